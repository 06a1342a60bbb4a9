"What the experiment notebooks share: one set of parameters, any data and network, the records that are there."
import json
import re
import shutil
from dataclasses import fields

import pandas as pd
import pytest
from conftest import ROOT

pytest.importorskip("papermill")

ASKING = ("03a_random", "04_margin", "05_bald", "06_top_k", "07_dirty_mnist", "deeper/mistakes")  # those that acquire
MINE = '''
import torch
from torch import nn
from bdal.data import Data, mnist

def digits():
    "A few zeros, ones and twos"
    d = mnist()
    some, tests = (torch.cat([(y == c).nonzero()[:n, 0] for c in range(3)]) for y, n in ((d.y, 150), (d.y_test, 30)))
    some = some[torch.randperm(len(some), generator=torch.Generator().manual_seed(0))]
    return Data.from_arrays(d.x[some, :, ::2, ::2], d.y[some], d.x_test[tests, :, ::2, ::2], d.y_test[tests], name="zeros to twos")

def small(seed):
    "A network with dropout"
    return nn.Sequential(nn.Flatten(), nn.Linear(196, 32), nn.ReLU(), nn.Dropout(.5), nn.Linear(32, 3))
'''


def cells(name, upto="report"):
    "The code of a notebook up to a tag, and the cell of its parameters"
    before, parameters = [], ""
    for cell in json.loads((ROOT / "nbs" / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]:
        tags, source = cell["metadata"].get("tags", []), "".join(cell["source"])
        if upto in tags:
            break
        if cell["cell_type"] == "code" and "/content" not in source:
            before.append((source, "parameters" in tags))
            parameters = source if "parameters" in tags else parameters
    return before, parameters


def declared(source):
    "name -> (type, meaning)"
    lines = [line.split("  # ") for line in source.splitlines()]
    return {line.split(":")[0]: (line.split(":")[1].split("=")[0].strip(), meaning) for line, meaning in lines}


@pytest.mark.parametrize("name", (*ASKING, "08_batches", "guides/own_study"))
def test_what_a_page_says_of_parameters_is_so(name):
    "The stored list of parameters is today's, and the studies end at the labels that the page says"
    from bdal.study import Parameters
    from bdal.sweep import load_studies

    page = json.loads((ROOT / "nbs" / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    stored = ["".join(o.get("data", {}).get("text/plain", "")) for c in page for o in c.get("outputs", [])]
    for text in (t for t in stored if t.startswith("Experiment(")):
        assert re.findall(r"(\w+)=", text) == [f.name for f in fields(Parameters)], f"{name} is old; run: make execute NB=nbs/{name}.ipynb"
    prose = " ".join("".join(c["source"]) for c in page if c["cell_type"] == "markdown")
    ends = {s.parameters["n_final"] for s in load_studies(ROOT / "nbs" / "studies.toml").values() if s.notebook == ROOT / "nbs" / f"{name}.ipynb"}
    for said in re.findall(r"ha(?:s|ve) ([\d,]+) labels at (?:its|their) end", prose):
        assert int(said.replace(",", "")) in ends, (said, ends)


@pytest.mark.parametrize("name", ASKING)
def test_every_experiment_has_every_parameter(name):
    "with the type and the meaning that bdal.study gives it"
    from bdal.study import Parameters

    code = (ROOT / "bdal" / "study.py").read_text(encoding="utf-8")
    said = dict(line.strip().split(" # ", 1) for line in code.split("class Parameters")[1].split("@property")[0].splitlines() if " # " in line)
    said = {k.split(":")[0]: v for k, v in said.items()}
    here = declared(cells(name)[1])
    assert {f.name: (f.type, said[f.name]) for f in fields(Parameters)}.items() <= here.items()


def test_the_template_has_them_too():
    from bdal.study import Parameters

    assert list(declared(cells("guides/own_study")[1])) == [f.name for f in fields(Parameters)]


def run_cells(name, parameters):
    "Execute a notebook up to its report, with other parameters"
    namespace = {"__name__": "__main__"}
    for source, tagged in cells(name)[0]:
        exec(compile(source, name, "exec"), namespace)
        if tagged:
            assert set(parameters) <= set(namespace)
            namespace.update(parameters)
    return namespace


@pytest.mark.parametrize("name", [*ASKING, "03b_scaling"])
def test_data_and_net_by_name(name, mnist_home, tmp_path, monkeypatch):
    "Three classes, small images, another network: each experiment runs to its end, and the record says so"
    monkeypatch.setenv("BDAL_HOME", str(mnist_home))
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    more = dict(most=4) if name == "03b_scaling" else dict(K=3, n_final=12, n_pool=300, n_test=60, schedule="steps 5")
    if name == "deeper/mistakes":
        more["per_class"] = True
    run = run_cells(name, dict(data="mine:digits", net="mine:small", T=2, out=str(tmp_path / "trial.jsonl"), **more))
    config = run["record"].header["config"]
    assert run["record"].complete and config["data"].startswith("zeros to twos") and config["net"].split(",")[0] == "small"
    assert len((tmp_path / "trial.jsonl").read_text().splitlines()) == 1 + len(run["record"].rounds)


def test_committed_records_are_continued(mnist_home, tmp_path, monkeypatch, capsys):
    "What an experiment writes by default is what is on record, key for key: a complete trial is left alone, and can be extended"
    from bdal.record import Record
    from bdal.study import Experiment
    from bdal.sweep import load_studies, plan

    monkeypatch.setenv("BDAL_HOME", str(mnist_home))
    trials = [t for t in plan(load_studies(ROOT / "nbs" / "studies.toml"), ["all"]) if t.record.exists()]
    asking = [t for t in trials if t.notebook.relative_to(ROOT / "nbs").with_suffix("").as_posix() in ASKING and "inverted" not in t.parameters]
    assert asking
    seen = set()  # one trial of each notebook, data, selector and posterior; test_experiments reads the others
    for trial in asking:
        kind = (trial.notebook, *(trial.parameters.get(k) for k in ("data", "selector", "posterior")))
        there = Record(trial.record)
        if not there.complete or kind in seen:
            continue
        seen.add(kind)
        n_final, copy = there.header["config"]["n_final"], tmp_path / trial.record.name
        shutil.copy(trial.record, copy)
        experiment = Experiment({**trial.parameters, "n_final": n_final, "seed": trial.seed, "out": str(copy)})
        record = experiment.run()
        assert "nothing to do" in capsys.readouterr().out and record.header["config"] == there.header["config"]
        assert copy.read_bytes() == trial.record.read_bytes()
        longer = experiment.learner(race=experiment.race or None, n_final=n_final + 10 * trial.parameters["K"], record=copy)
        assert not longer.record.complete and len(longer.record.rounds) == len(there.rounds) - 1
        longer.record.close()
    assert len(seen) > 10


def test_a_parameter_that_a_record_does_not_state_has_its_default(tmp_path):
    "A record that does not say how it began is finished; a study that begins otherwise is another one, and the other way round"
    from dataclasses import replace
    from bdal.sweep import load_studies, plan

    trial = plan(load_studies(ROOT / "nbs" / "studies.toml"), ["bald"], 1)[0]
    header, *rows = trial.record.read_text(encoding="utf-8").splitlines(keepends=True)
    assert "balanced" not in json.loads(header)["config"] and trial.state()[0] != "refused"
    state, why, _ = replace(trial, parameters={**trial.parameters, "balanced": False}).state()
    assert state == "refused" and "balanced is True there, False here" in why
    other = replace(trial, root=tmp_path)
    other.record.parent.mkdir(parents=True)
    other.record.write_text("".join([header.replace('"config": {', '"config": {"balanced": false, '), *rows]), encoding="utf-8")
    state, why, _ = other.state()
    assert state == "refused" and "balanced is False there, True here" in why
    assert replace(other, parameters={**trial.parameters, "balanced": False}).state()[0] == trial.state()[0]


def test_a_private_study_with_a_notebook_of_the_project(mnist_home, tmp_path, monkeypatch, capsys):
    "A file, and functions beside it: nothing is copied, and everything is written there"
    from bdal.sweep import main

    monkeypatch.setenv("BDAL_HOME", str(mnist_home))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # of the kernels
    private = tmp_path / "private"
    (private / "nbs").mkdir(parents=True)
    (private / "nbs" / "mine.py").write_text(MINE)
    parameters = '{data = "mine:digits", net = "mine:small", K = 3, n_final = 15, T = 2, schedule = "steps 5"}'
    (private / "nbs" / "studies.toml").write_text(f'[mine]\nnotebook = "05_bald.ipynb"\nparameters = {parameters}\n')
    monkeypatch.chdir(private)
    assert main(["all", "--jobs", "1"]) == 0, capsys.readouterr().out
    assert main(["all", "--dry-run"]) == 0 and "finished, 4 rounds" in capsys.readouterr().out
    assert sorted(p.name for p in private.iterdir()) == ["nbs", "results", "runs"]
    assert sorted(p.name for p in (private / "nbs").iterdir() if p.name != "__pycache__") == ["mine.py", "studies.toml"]
    toml = (private / "nbs" / "studies.toml").read_text()
    (private / "nbs" / "studies.toml").write_text(toml.replace("mine:small", "bayesian_cnn"))
    assert main(["mine", "--dry-run"]) == 1 and "net is 'small" in capsys.readouterr().out


def test_compare_writes_numbers(tmp_path, capsys):
    "of the committed records"
    from bdal.sweep import main

    args = ["--compare", "random", "margin", "bald", "--results", str(ROOT / "results" / "v0.1"), "--to", str(tmp_path / "to")]
    assert main(args) == 0
    curves, tests, labels = (pd.read_csv(tmp_path / "to" / f"{name}.csv") for name in ("curves", "tests", "labels_to"))
    assert set(curves.study) == {"random", "margin", "bald"} and curves.drop(columns="study").dtypes.map(lambda t: t.kind in "if").all()
    assert len(tests) == 3 * 5 and set(tests.answer) <= {"above", "below", "undecided"} and tests["mean"].between(-100, 100).all()
    assert len(labels) == 3 * curves.trials.iloc[0]
    assert (tmp_path / "to" / "curves.png").read_bytes()[:4] == b"\x89PNG"
    assert main(["--compare", "random"]) == 2 and "name two studies or more" in capsys.readouterr().err
    assert main([*args[:3], "margn", *args[4:]]) == 2 and "there are no trials in" in capsys.readouterr().err


@pytest.mark.parametrize("name", [*ASKING, "03b_scaling", "guides/own_study"])
def test_no_branch_for_records_that_are_missing(name):
    text = (ROOT / "nbs" / f"{name}.ipynb").read_text(encoding="utf-8")
    assert "has not been run yet" not in text and "nothing has been run" not in text
