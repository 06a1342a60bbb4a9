"Pages that are made of the committed records hold the numbers that the records give: a new record makes them old, and `make report` new."
import json

import pandas as pd
import pytest
from conftest import ROOT
from execnb.shell import CaptureShell

PAGES = ["guides/read_a_curve", "deeper/results", "deeper/claims"]


def said(outputs):
    "The values that cells end in, but for figures and addresses"
    texts = ["".join(o["data"].get("text/plain", "")) for o in outputs if o["output_type"] == "execute_result"]
    return [t for t in texts if "<" not in t]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_what_the_records_say(page, monkeypatch):
    path = ROOT / "nbs" / f"{page}.ipynb"
    monkeypatch.chdir(path.parent)
    monkeypatch.setenv("IN_TEST", "1")
    shell, compared = CaptureShell(path.parent), 0
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] != "code" or "nbdev_export()" in "".join(cell["source"]):
            continue
        with pd.option_context("display.max_columns", 20, "display.width", 80):   # as in a notebook; a terminal has others
            now, stored = said(shell.run("".join(cell["source"]))), said(cell["outputs"])
        assert not shell.exc, (page, "".join(cell["source"]))
        assert now == stored, f"{page} is old; run: make report"
        compared += len(now)
    assert compared > 5
