"Pages that are made of the committed records hold the numbers that the records give: a new record makes them old, and `make report` new."
import ast
import json
import re

import pandas as pd
import pytest
from conftest import ROOT
from execnb.shell import CaptureShell

PAGES = ["guides/read_a_curve", "deeper/results", "deeper/claims"]
STEPS = ["01c_setup", "03a_random", "03b_scaling", "04_margin", "05_bald", "06_top_k", "07_dirty_mnist", "08_batches", "deeper/mistakes"]


def said(outputs):
    "The values that cells show, but for figures and addresses"
    shown = [o for o in outputs if o["output_type"] in ("execute_result", "display_data")]
    return [t for o in shown if "<" not in (t := "".join(o["data"].get("text/plain", "")))]


def code_cells(path):
    "Source and stored outputs of each code cell, and whether it stands below the heading of the studies"
    below = False
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            yield source, cell["outputs"], below
        below |= cell["cell_type"] == "markdown" and bool(re.match("## The stud(y|ies)\n", source))


@pytest.fixture
def shell_of(monkeypatch):
    "A shell that runs a page where it lies, quickly"
    monkeypatch.setenv("IN_TEST", "1")

    def shell(path):
        monkeypatch.chdir(path.parent)
        return CaptureShell(path.parent)

    return shell


def run(shell, source):
    with pd.option_context("display.max_columns", 20, "display.width", 80):   # as in a notebook; a terminal has others
        return said(shell.run(source))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_what_the_records_say(page, shell_of):
    path, compared, unknown = ROOT / "nbs" / f"{page}.ipynb", 0, set()
    shell = shell_of(path)
    for source, stored, _ in code_cells(path):
        if "nbdev_export()" in source:
            continue
        now = run(shell, source)
        assert not shell.exc, (page, source)
        assert now == said(stored), f"{page} is old; run: make report"
        compared += len(now)
    assert compared > 5


def names_made(source):
    "Names that a cell would have made"
    code = "\n".join(line for line in source.splitlines() if not line.startswith(("%", "!")))
    return {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)} | {
        node.name for node in ast.walk(ast.parse(code)) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}


@pytest.mark.parametrize("page", STEPS)
def test_an_experiment_says_what_the_records_say(page, shell_of):
    "Below the heading of the studies; what needs the trial above it is not run: the notebook's own test runs it"
    path, compared, unknown = ROOT / "nbs" / f"{page}.ipynb", 0, set()
    shell = shell_of(path)
    for k, (source, stored, below) in enumerate(code_cells(path)):
        if k > 2 and not below:   # the first three import, and give parameters
            unknown |= names_made(source)
            continue
        now = run(shell, source)
        if below and isinstance(shell.exc, NameError) and shell.exc.name in unknown:
            unknown |= names_made(source)
            continue
        assert not shell.exc, (page, source, shell.exc)
        if below:
            assert now == said(stored), f"{page} is old; run: make execute NB=nbs/{page}.ipynb"
            compared += len(now)
    assert compared > 1
