"""Every score, and every selector, runs in every experiment notebook: its own tests hold for what it was not written about.

Each pair in one of the notebooks, taken in turn; with --long in all of them.
"""
import warnings

import pytest
from test_study import ASKING, MINE, run_cells

import bdal.batches  # noqa: F401, registers
from bdal.acquisition import SCORES, SELECTORS

EXPERIMENTS = [name for name in (*ASKING, "08_batches") if name != "deeper/mistakes"]
PAIRS = [dict(score=score, selector="top_k") for score in SCORES] + [dict(score="bald", selector=selector) for selector in SELECTORS if selector != "top_k"]


@pytest.mark.parametrize("name", dict.fromkeys(EXPERIMENTS))
def test_every_score_and_selector_in_every_experiment(name, mnist_home, tmp_path, monkeypatch, request):
    monkeypatch.setenv("BDAL_HOME", str(mnist_home))
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    wrong = {}
    among = list(dict.fromkeys(EXPERIMENTS))
    for i, pair in enumerate(PAIRS):
        if among[i % len(among)] != name and not request.config.getoption("--long"):
            continue
        how = dict(data="mine:digits", net="mine:small", T=4, K=3, n_final=12, n_pool=200, n_test=60, schedule="steps 3", out=str(tmp_path / f"{i}.jsonl"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                assert run_cells(name, {**how, **pair})["record"].complete
            except Exception as e:
                wrong[(pair["score"], pair["selector"])] = f"{type(e).__name__}: {e}"
        import matplotlib.pyplot as plt

        plt.close("all")
    assert not wrong, "\n".join(f"{pair}: {e}" for pair, e in wrong.items())
