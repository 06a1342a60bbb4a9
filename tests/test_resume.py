"A trial that is killed, again and again, ends with the record of one that was left alone."
import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT

from bdal.data import write_whole
from bdal.record import Record

TRIAL = """
import sys
from bdal.data import mnist
from bdal.steps import run_trial
d = mnist()
small = d.first(1000, test=300)
print("ready", flush=True)
run_trial(small, score=sys.argv[2], K=int(sys.argv[3]), n_final=60, seed=int(sys.argv[4]), T=4, schedule="steps 25", record=sys.argv[1])
"""


def start(record, score, K, seed, home):
    env = {**os.environ, "BDAL_HOME": str(home), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", TRIAL, str(record), score, str(K), str(seed)], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_killed_trials_end_like_others(mnist_home, kills):
    "SIGKILL at random moments, inside the append among them: the same bytes, times and host aside"
    env = {**os.environ, "BDAL_HOME": str(mnist_home), "OMP_NUM_THREADS": "1"}
    harness = subprocess.run([sys.executable, str(ROOT / "tests" / "kill_trials.py"), "--kills", str(kills)], env=env, capture_output=True, text=True, timeout=3600)
    assert harness.returncode == 0, harness.stderr
    told = json.loads(harness.stdout.splitlines()[-1])
    print(told)
    assert told["kills"] >= kills and not told["wrong"]
    assert told["inside an append"] and told["from outside"] and told["torn_lines"]


QUESTION = """
import sys, torch
from bdal.data import mnist
from bdal.steps import Learner
d = mnist()
few = d.first(500)
learner = Learner(few.x, K=4, start=few.start(2, seed=0), T=4, schedule="steps 20", record=sys.argv[1])
if sys.argv[2] == "tell": idx = learner.ask(); learner.tell(idx, d.y[idx])
print(*learner.ask().tolist(), flush=True)
sys.stdin.read()
"""


def test_a_laptop_closed_between_ask_and_tell(mnist_home, tmp_path):
    "Two answers, the process killed after each question: the question comes back, and the labels are there"
    env = {**os.environ, "BDAL_HOME": str(mnist_home), "OMP_NUM_THREADS": "1"}
    asked, record = [], tmp_path / "labels.jsonl"
    for what in ("ask", "ask", "tell", "ask"):
        process = subprocess.Popen([sys.executable, "-c", QUESTION, record, what], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        asked.append(process.stdout.readline().split())
        process.kill()
        process.communicate()
    first, again, second, third = asked
    assert len(first) == 4 and first == again and second == third and not set(first) & set(second)
    rounds = [json.loads(line) for line in record.read_text().splitlines()[1:]]
    assert [list(map(str, r["indices"])) for r in rounds] == [first]


def test_two_processes_do_not_write_one_record(mnist_home, tmp_path):
    first = start(tmp_path / "trial.jsonl", "bald", 1, 0, mnist_home)
    first.stdout.readline()
    first.stdout.readline()  # a round is written
    second = start(tmp_path / "trial.jsonl", "bald", 1, 0, mnist_home)
    _, err = second.communicate(timeout=200)
    first.kill()
    first.communicate()
    assert second.returncode != 0 and "is being written by another process" in err.splitlines()[-1]


def test_a_file_system_without_locks(monkeypatch, tmp_path):
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    record = Record(tmp_path / "trial-00.jsonl")
    with pytest.warns(UserWarning, match="let one process write it"):
        record.start(dict(format=1, config={}, device="cpu"))
    record.append(dict(round=0))
    record.close()
    assert len(Record(record.path).rounds) == 1


def test_a_file_that_cannot_be_written_leaves_nothing_behind(monkeypatch, tmp_path):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="set BDAL_HOME"):
        write_whole(tmp_path / "file", b"content")
    assert not list(tmp_path.iterdir())


def test_a_disk_that_is_full_within_a_line(tmp_path):
    "Half a line fits: the record ends with the last whole one, and goes on when there is room"
    resource = pytest.importorskip("resource")
    record = Record(tmp_path / "trial.jsonl")
    record.start(dict(format=1, config=dict(seed=0)))
    record.append(dict(round=0))
    before, limits = record.path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 5, limits[1]))
    try:
        with pytest.raises(OSError, match="no space left.*what came before is whole"):
            record.append(dict(round=1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert record.path.read_bytes() == before and len(record.rounds) == 1
    record.append(dict(round=1))
    record.close()
    assert [row["round"] for row in Record(record.path).rounds] == [0, 1]


CELL = """
from bdal.data import mnist
from bdal.steps import run_trial
d = mnist()
small = d.first(1000, test=300)
record = run_trial(small, K=2, n_final=44, T=4, schedule="steps 25", record={path!r})
"""


def test_a_cell_that_is_interrupted_goes_on_when_it_is_run_again(mnist_home, tmp_path):
    "The kernel's stop button, three times: the cell, run again, takes the record over where it is"
    manager, client = pytest.importorskip("jupyter_client.manager").start_new_kernel(env={**os.environ, "BDAL_HOME": str(mnist_home), "OMP_NUM_THREADS": "1"})
    printed = []

    def run(path, stop_after=None):
        def hear(message):
            if message["msg_type"] != "stream":
                return
            printed.append(message["content"]["text"])
            nonlocal stop_after
            if stop_after is not None and f"round {stop_after:3d}" in printed[-1]:
                stop_after = None
                manager.interrupt_kernel()

        return client.execute_interactive(CELL.format(path=str(path)), output_hook=hear, timeout=300)["content"]

    def rounds(path):
        return [{k: v for k, v in row.items() if not k.endswith("_seconds")} for row in Record(path).rounds]

    try:
        stopped, alone = tmp_path / "stopped.jsonl", tmp_path / "alone.jsonl"
        lengths = []
        for after in (1, 4, 7):
            assert run(stopped, after)["ename"] == "KeyboardInterrupt"
            lengths.append(len(Record(stopped).rounds))
        assert 1 < lengths[0] < lengths[1] < lengths[2] < 13
        printed.clear()
        assert run(stopped)["status"] == "ok" and f"round {lengths[2]:3d}" in "".join(printed) and f"round {lengths[2] - 1:3d}" not in "".join(printed)
        assert run(alone)["status"] == "ok"
        assert len(rounds(alone)) == 13 and rounds(stopped) == rounds(alone)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
