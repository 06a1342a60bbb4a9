"CONTRIBUTING.md is tried: its score is a score, its commands exist."
import re

from conftest import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_score_it_shows_is_one():
    from bdal.acquisition import SCORES, SELECTORS, check_contract
    try:
        exec(re.search(r"```python\n(.*?)```", TEXT, re.S)[1], {})
        for selector in SELECTORS:
            check_contract("disagreement", selector)
    finally:
        SCORES.pop("disagreement", None)


def test_its_commands_and_files_exist():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    named = set(re.findall(r"\bmake ([a-z-]+)(?=[`\s]+(?:#|;|lists|says|fails))|`make ([a-z-]+)`", TEXT))
    named = {name for pair in named for name in pair if name}
    assert named and named <= targets, named - targets
    for path in re.findall(r"\bnbs/[\w.]+", TEXT):
        assert (ROOT / path).exists(), path
