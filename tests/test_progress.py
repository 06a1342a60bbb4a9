"Whoever waits sees life: in a log, on a terminal, in a notebook; and nothing of it is left."
import json
import os
import re
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest
import torch
from conftest import ROOT
from torch import nn

import bdal.progress
from bdal.data import Data
from bdal.progress import Progress
from bdal.steps import Learner, run_trial

SLOW = """
import time, torch
from torch import nn
from bdal.data import Data
from bdal.steps import run_trial
class Nap(nn.Module):
    def forward(self, x):
        if self.training: time.sleep(.13)
        return x
def net(seed): return nn.Sequential(nn.Flatten(), Nap(), nn.Linear(4, 8), nn.Dropout(.5), nn.Linear(8, 2))
x, y = torch.arange(60*4).view(60, 1, 2, 2)/240, torch.arange(60) % 2
data = Data("made up", x, y, x, y, ["even", "odd"])
print("now", flush=True)
run_trial(data, "bald", K=2, n_final=4, per_class=1, T=2, schedule="steps 16", net=net)
"""
ENV = {k: v for k, v in os.environ.items() if k not in ("PYTEST_CURRENT_TEST", "IN_TEST", "BDAL_PROGRESS")}   # ipykernel looks for the first
ENV |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
FIRST = r"round 0: training( \d+/16, this part about \d+ s more|, for \d+ s)"   # before its first step, an optimizer is imported
ROUNDS = r"round   0     2/4 labels .* s  about \d+ s left  acquired .*\nround   1     4/4 labels .* s  end\n"
NET = dict(net=lambda seed: nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 2)))
x, y = torch.arange(60 * 4).view(60, 1, 2, 2) / 240, torch.arange(60) % 2
DATA = Data("made up", x, y, x, y, ["even", "odd"])
HOW = dict(score="bald", K=2, n_final=8, per_class=1, T=2, schedule="steps 20", **NET)


@pytest.fixture
def eager(monkeypatch):
    "No patience, so that short waits are spoken of"
    monkeypatch.setattr("bdal.progress._FIRST", 0.001)
    monkeypatch.setattr("bdal.progress._EVERY", 0.001)
    monkeypatch.delenv("IN_TEST", raising=False)
    monkeypatch.delenv("BDAL_PROGRESS", raising=False)


def test_a_log_is_told_within_two_seconds_and_then_every_ten():
    said, pauses, wait = [], [], Progress()

    def pause(seconds):
        pauses.append(round(seconds, 1))
        return len(pauses) % 4 == 0   # then the wait is over

    for _ in range(2):   # a second wait, right after the first, waits its turn
        wait._show(SimpleNamespace(wait=pause), said.append, bdal.progress._EVERY)
    assert pauses == [1.5, 10, 10, 10, 10, 10, 10, 10] and len(said) == 8 and said[3] == said[7] == ""


def test_a_log_gets_whole_lines():
    run = subprocess.run([sys.executable, "-c", SLOW], env=ENV, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = run.stdout.decode()
    assert run.returncode == 0 and "\r" not in said and re.match("now\n" + FIRST + "\n", said), said
    assert re.fullmatch("now\n" + ROUNDS, re.sub(r"round \d: .*\n", "", said)), said


def test_a_terminal_gets_one_line_in_one_place():
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    run = subprocess.Popen([sys.executable, "-c", SLOW], env=ENV, stdout=theirs, stderr=theirs, close_fds=True)
    os.close(theirs)
    seen = b""
    try:
        while part := os.read(ours, 4096):
            seen += part
    except OSError:   # its other end is closed
        pass
    os.close(ours)
    assert run.wait() == 0
    seen = seen.decode().replace("\r\n", "\n")
    assert re.search("\r" + FIRST, seen) and re.search(r"\rround 1: .*, about \d+ s left", seen) and seen.count("\rround") > 2
    shown = [re.sub(r".*\r", "", line) for line in seen.splitlines(keepends=True)]
    assert re.fullmatch("now\n" + ROUNDS, "".join(shown)), seen


def test_an_executed_notebook_holds_nothing_of_it(tmp_path):
    nbformat = pytest.importorskip("nbformat")
    nb = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "language": "python", "display_name": "python3"}})
    nb.cells.append(nbformat.v4.new_code_cell(SLOW.strip() + ";"))
    nbformat.write(nb, tmp_path / "in.ipynb")
    run = subprocess.run([sys.executable, "-m", "papermill", "--no-progress-bar", "in.ipynb", "out.ipynb"], cwd=tmp_path, env=ENV, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert re.search("^" + FIRST + "$", run.stderr, flags=re.M) and "\r" not in run.stderr
    outputs = json.loads((tmp_path / "out.ipynb").read_text())["cells"][0]["outputs"]
    text = "".join("".join(o.get("text", ["something else"])) for o in outputs)
    assert re.fullmatch("now\n" + ROUNDS, text), outputs


def test_a_notebook_that_somebody_looks_at_shows_it_in_one_place(tmp_path, monkeypatch):
    manager = pytest.importorskip("jupyter_client.manager")
    manager, client = manager.start_new_kernel(kernel_name="python3", env=ENV, cwd=tmp_path)
    try:
        shown = []
        client.execute_interactive(SLOW.strip() + ";", allow_stdin=True, output_hook=shown.append, timeout=60)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    drawn = [m for m in shown if "display" in m["msg_type"]]
    assert [m["msg_type"] for m in drawn][0] == "display_data" and {m["msg_type"] for m in drawn[1:]} == {"update_display_data"}
    assert len({m["content"]["transient"]["display_id"] for m in drawn}) == 1
    texts = [m["content"]["data"]["text/plain"] for m in drawn]
    assert re.match(FIRST, texts[0]) and "round 1: " in "".join(texts) and texts[-1] == ""
    streams = "".join(m["content"]["text"] for m in shown if m["msg_type"] == "stream" and m["content"]["name"] == "stdout")
    assert re.fullmatch("now\n" + ROUNDS, streams)


def test_the_record_is_the_same(eager, capfd):
    loud, said = run_trial(DATA, **HOW), capfd.readouterr()
    quiet, unsaid = run_trial(DATA, **HOW, progress=False), capfd.readouterr()
    assert "round 3: " in said.err and "round   3 " in said.out and unsaid == ("", "")
    loud, quiet = ([{k: v for k, v in row.items() if "seconds" not in k} for row in r.rounds] for r in (loud, quiet))
    assert loud == quiet


@pytest.mark.parametrize("name", ["IN_TEST", "BDAL_PROGRESS"])
def test_tests_and_sweeps_are_spared(name, eager, capfd, monkeypatch):
    monkeypatch.setenv(name, "1" if name == "IN_TEST" else "0")
    run_trial(DATA, **HOW)
    said = capfd.readouterr()
    assert said.err == "" and said.out.count("\n") == 4


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_it_ends_with_the_wait(error, eager, capfd, monkeypatch):
    learner = Learner(DATA.x, K=2, start=([0, 1], [0, 1]), T=2, schedule="steps 20", **NET)

    def fail(*args, **kwargs):
        time.sleep(0.1)
        raise error

    monkeypatch.setattr(bdal.steps, "choose", fail)
    def own():
        return [t for t in threading.enumerate() if t.name != "tqdm_monitor"]  # which tqdm keeps for all bars

    before = own()
    with pytest.raises(error):
        learner.ask()
    assert own() == before and "round 0: " in capfd.readouterr().err
    time.sleep(0.1)
    assert capfd.readouterr().err == ""


def test_a_front_end_that_goes_away_takes_no_trial_with_it(eager, monkeypatch):
    def gone(text):
        raise BrokenPipeError

    monkeypatch.setattr(bdal.progress, "front_end", lambda: (gone, 0.01))
    with Progress().waiting(True):
        time.sleep(0.05)


@pytest.mark.parametrize("begun", [False, True], ids=["before the thread began", "after it began"])
def test_an_interrupt_while_the_thread_is_started_stays_an_interrupt(monkeypatch, begun):
    "Ctrl-C within Thread.start: a KeyboardInterrupt comes out, nothing is drawn, and no thread is left"
    drawn, start = [], threading.Thread.start

    def interrupted(thread):
        if begun:
            start(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(bdal.progress, "front_end", lambda: (drawn.append, 0.5))
    monkeypatch.setattr(threading.Thread, "start", interrupted)
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        with Progress().waiting(True):
            pass
    assert not [text for text in drawn if text] and threading.active_count() == before
