"CONTRIBUTING.md is tried: its score is a score, its commands exist."
import json
import re

import pytest
from conftest import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SCORE, EXAMPLE, CASE, SELECTOR = re.findall(r"```python\n(.*?)```", TEXT, re.S)


def test_the_score_it_shows_is_one():
    from bdal.acquisition import SCORES, SELECTORS, check_contract
    there = SCORES.pop("disagreement", None)  # whoever follows the recipe has put it into the library
    try:
        exec(SCORE, {})
        for selector in SELECTORS:
            check_contract("disagreement", selector)
    finally:
        SCORES.pop("disagreement", None)
        SCORES.update({"disagreement": there} if there else {})


def test_the_selector_it_shows_is_one():
    import bdal.batches  # noqa: F401, registers
    from bdal.acquisition import SCORES, SELECTORS, check_contract, needs
    try:
        exec(SELECTOR, {})
        assert needs(SELECTORS["apart"]) == ("scores_N", "features_N_D", "K", "generator")
        for score in SCORES:
            check_contract(score, "apart")
    finally:
        SELECTORS.pop("apart", None)


def test_it_names_scores_that_there_are():
    "A score that is added need not stand there for the tests to pass"
    import bdal.batches  # noqa: F401, registers
    from bdal.acquisition import SCORES
    listed = re.findall(r"`(\w+)`", re.search(r"says: (.*?) of `bdal.batches`", TEXT)[1])
    assert len(listed) >= 10 and set(listed) <= set(SCORES)


@pytest.mark.parametrize("case", [CASE, ""])
def test_its_recipe_for_the_library(case):
    "In the cells of the notebook the score passes; without a case in slow(), it says what to add"
    pytest.importorskip("scipy")
    from bdal.acquisition import SCORES

    there = SCORES.get("disagreement")
    notebook = json.loads((ROOT / "nbs" / "02_acquisition.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    cells = [c.replace(CASE, "") for c in cells if "def disagreement(" not in c and c.strip() != EXAMPLE.strip()]  # before the recipe
    last = next(i for i, c in enumerate(cells) if "check_contract(s, sel)" in c)
    below = next(i for i, c in enumerate(cells) if c.startswith("test_close(bald(")) + 1
    namespace = {"__name__": "__main__"}

    def run():
        SCORES.pop("disagreement", None)
        for source in [*cells[1:below], SCORE[SCORE.index("@score"):SCORE.index("check_contract(")], EXAMPLE, *cells[below:last + 1]]:
            exec(source.replace("        case _:", case + "        case _:"), namespace)

    try:
        if case:
            run()
            assert "disagreement" in namespace["SCORES"]
        else:
            with pytest.raises(NotImplementedError, match="no case for 'disagreement' in slow"):
                run()
    finally:
        SCORES.update({"disagreement": there} if there else {})


def test_its_commands_and_files_exist():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    named = set(re.findall(r"\bmake ([a-z-]+)(?=[`\s]+(?:#|;|lists|says|fails))|`make ([a-z-]+)`", TEXT))
    named = {name for pair in named for name in pair if name}
    assert named and named <= targets, named - targets
    for path in re.findall(r"\bnbs/[\w./]*\w", TEXT):
        assert (ROOT / path).exists(), path
