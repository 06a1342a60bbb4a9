"Protocol 2: even mini-batches, trials that are extended, records of protocol 1 that are read and not continued."
import os

import pytest
import torch
from conftest import ROOT, sweep_process
from hypothesis import given
from hypothesis import strategies as st

from bdal.data import mnist, stream
from bdal.train import even_batches
from bdal.record import Record
from bdal.steps import Learner, run_trial

OLD = sorted((ROOT / "results" / "v0.1").glob("*/trial-*.jsonl"))
HOW = dict(score="bald", K=5, seed=1, T=4, schedule="steps 10", progress=False)


@pytest.fixture(scope="module")
def small():
    d = mnist()
    return d.first(400, test=100)


def rounds(record):
    "What a record says, without its seconds and without the word that it was extended"
    return [{k: v for k, v in row.items() if "seconds" not in k and k != "n_final"} for row in record.rounds]


@given(st.integers(1, 3000), st.integers(1, 300))
def test_no_mini_batch_is_small(n, batch):
    parts = list(even_batches(n, batch, 1, None, stream(0, "order")))
    sizes = [len(part) for part in parts]
    assert sum(sizes) == n and len(parts) == -(-n // batch) and max(sizes) - min(sizes) <= 1
    assert max(sizes) <= batch and (n <= batch or min(sizes) >= batch // 2)
    assert torch.cat(parts).unique().numel() == n


@pytest.mark.parametrize("ends", [(30, 50), (25, 30, 50), (50, 50)])
def test_a_trial_extended_is_the_longer_trial(small, tmp_path, ends):
    whole = run_trial(small, n_final=ends[-1], **HOW)
    for n_final in ends:
        record = run_trial(small, n_final=n_final, record=tmp_path / "trial.jsonl", **HOW)
        assert record.complete and record.rounds[-1]["n_labelled"] == n_final
        record.close()
    again = Record(tmp_path / "trial.jsonl")
    assert rounds(again) == rounds(whole) and again.header["config"] == whole.header["config"] and again.complete


def test_an_unfinished_trial_is_extended_too(small, tmp_path):
    whole, path = run_trial(small, n_final=50, **HOW), tmp_path / "trial.jsonl"
    run_trial(small, n_final=40, record=path, **HOW).close()
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:3]))
    assert rounds(run_trial(small, n_final=50, record=path, **HOW)) == rounds(whole)


def test_cut_off_within_the_line_that_extends(small, tmp_path):
    "Wherever the power fails, the next run ends with the same record"
    path = tmp_path / "trial.jsonl"
    run_trial(small, n_final=30, record=path, **HOW).close()
    short = path.read_bytes()
    whole = run_trial(small, n_final=40, record=path, **HOW)
    whole.close()
    line = path.read_bytes()[len(short):].splitlines(keepends=True)[0]
    for cut in (0, 1, len(line) // 2, len(line) - 2, len(line)):
        path.write_bytes(short + line[:cut])
        record = run_trial(small, n_final=40, record=path, **HOW)
        record.close()
        assert rounds(record) == rounds(whole) and rounds(Record(path)) == rounds(whole), cut


def test_what_cannot_be_extended_is_refused(small, tmp_path):
    "A last question that was cut short, a smaller end, another choice beside a larger end: the file stays as it is"
    path = tmp_path / "trial.jsonl"
    run_trial(small, n_final=28, record=path, **HOW).close()  # 20, 25, 28: three were asked about, where a longer trial asks about five
    before = path.read_bytes()
    for changed in (dict(n_final=40), dict(n_final=24), dict(n_final=40, T=5)):
        with pytest.raises(ValueError, match="is the record of another trial: .*n_final is 28 there"):
            run_trial(small, record=path, **{**HOW, **changed})
    assert path.read_bytes() == before


def test_a_person_goes_on(small, tmp_path):
    "A Learner that is complete asks again, once its record is opened with more labels to give, or with no end"
    how = dict(K=5, T=4, schedule="steps 10", record=tmp_path / "labels.jsonl")
    start = (torch.arange(20), small.y[:20])
    learner = Learner(small.x, start=start, n_final=25, **how)
    learner.tell(idx := learner.ask(), small.y[idx])
    assert not len(learner.ask())
    learner.record.close()
    for n_final in (40, None):
        learner = Learner(small.x, n_final=n_final, **how)
        learner.tell(idx := learner.ask(), small.y[idx])
        learner.record.close()
    assert len(Record(how["record"]).known[0]) == 35 and Record(how["record"]).header["config"]["n_final"] is None


@pytest.mark.parametrize("path", OLD, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_records_of_protocol_1_are_read(path):
    record = Record(path)
    assert record.protocol == 1 and record.rounds
    idx, labels = record.known
    if record.rounds[-1].get("labels") is not None:  # a trial that acquires
        assert len(idx) == len(labels) == len(set(idx)) == record.rounds[-1]["n_labelled"] + len(record.rounds[-1]["indices"])


def test_a_record_of_protocol_1_is_not_continued_but_its_labels_are(small, tmp_path):
    path = tmp_path / "old.jsonl"
    record = run_trial(small, n_final=30, record=path, **HOW)
    record.close()
    path.write_text(path.read_text().replace('"protocol": 2, ', ""))
    before = path.read_bytes()
    with pytest.raises(ValueError, match="record of protocol 1.*start=Record\\(path\\).known"):
        run_trial(small, n_final=30, record=path, **HOW)
    assert path.read_bytes() == before
    learner = Learner(small.x, K=5, T=4, schedule="steps 10", start=Record(path).known)
    assert learner.pool.labelled.tolist() == record.known[0]


def test_a_sweep_extends_its_trials(project, mnist_home):
    "A larger n_final in studies.toml, and the same command: one study's trial is extended, not begun anew"
    toml, path = project / "nbs" / "studies.toml", project / "results" / "chance" / "trial-00.jsonl"
    ends = []
    for n_final in (30, 50):
        toml.write_text(f'[chance]\nnotebook = "small.ipynb"\ntrials = 1\nparameters = {{score = "random", n_final = {n_final}}}\n')
        out, err = (process := sweep_process(project, "chance", "--jobs", 1, home=mnist_home)).communicate(timeout=200)
        assert process.returncode == 0 and "1 of 1 trials complete" in out, (out, err)
        ends.append(path.read_bytes())
    assert ends[1].startswith(ends[0]) and Record(path).rounds[-1]["n_labelled"] == 50
    out, _ = sweep_process(project, "chance", "--dry-run", home=mnist_home).communicate(timeout=100)
    assert "finished, 4 rounds" in out


def test_threads_that_train_are_yours_if_you_set_them():
    "In processes of their own: nothing set, the environment's, and torch's"
    import subprocess
    import sys

    code = "import torch; from bdal.model import bayesian_cnn; from bdal.train import fit_threads; {} print(fit_threads(bayesian_cnn(), torch.zeros(64, 1, 28, 28)), torch.get_num_threads())"
    clean = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}

    def said(set_, **env):
        return subprocess.run([sys.executable, "-c", code.format(set_)], env={**clean, **env}, capture_output=True, text=True, check=True).stdout.split()

    assert said("")[0] == "1" and said("", OMP_NUM_THREADS="2") == ["2", "2"]
    assert said("torch.set_num_threads(3);") == ["3", "3"]


def test_a_trial_has_the_same_bits_on_any_number_of_cores():
    "One thread trains, and scoring is cut into the same chunks whoever does them"
    import subprocess
    import sys

    code = """
import hashlib
from bdal.data import mnist
from bdal.steps import run_trial
d = mnist()
small = d.first(1000, test=200)
record = run_trial(small, "bald", 5, 30, T=4, schedule="steps 15", race=.2, progress=False)
print(hashlib.sha256(repr([{k: v for k, v in row.items() if "seconds" not in k} for row in record.rounds]).encode()).hexdigest())
"""
    clean = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    found = {subprocess.run([sys.executable, "-c", code], env={**clean, **env}, capture_output=True, text=True, check=True).stdout for env in ({}, dict(OMP_NUM_THREADS="1"))}
    assert len(found) == 1
