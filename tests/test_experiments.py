"Experiment notebooks as a sweep runs them: small, whole, and resumed where they were cut."
import json

import pytest
from conftest import ROOT

pytest.importorskip("papermill")

SMALL = {
    "01c_setup": dict(n_train=600, epochs=3, T=2),
    "03b_scaling": dict(experiment="labels", most=8, T=2),
}


def rows(path):
    "A record without its seconds"
    return [{k: v for k, v in json.loads(line).items() if "seconds" not in k} for line in path.read_text().splitlines()[1:]]


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.slow
def test_a_trial_that_asks_nothing_is_resumed(name, mnist_home, tmp_path, monkeypatch):
    from bdal.sweep import Study, plan, run

    monkeypatch.setenv("BDAL_HOME", str(mnist_home))
    (trial,) = plan({"small": Study("small", ROOT / "nbs" / f"{name}.ipynb", 1, SMALL[name])}, ["small"], root=tmp_path)
    told = run(trial)
    assert told["outcome"] == "done", told["words"]
    whole = rows(trial.record)
    assert len(whole) == 3
    lines = trial.record.read_text().splitlines(keepends=True)
    trial.record.write_text("".join(lines[:2]) + lines[2][:30])
    assert trial.state()[:2] == ("begun", "begun, 1 rounds")
    assert run(trial)["outcome"] == "done" and rows(trial.record) == whole


def test_committed_records_are_those_of_their_study():
    from bdal.sweep import load_studies, plan

    trials = plan(load_studies(ROOT / "nbs" / "studies.toml"), ["all"])
    states = {trial.record: trial.state() for trial in trials}
    assert not [words for state, words, _ in states.values() if state == "refused"]
    there = set((ROOT / "results").glob("*/trial-*.jsonl"))
    assert there and there <= {path for path, (state, _, _) in states.items() if state in ("begun", "finished")}
