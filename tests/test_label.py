"A person labels a folder by the page of `bdal_label`: exactly what was given is in the record, whatever dies in between."
import csv
import json
import signal
import subprocess
import sys
import urllib.request

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from bdal.record import Record

NAMES = ["red", "green", "blue"]


@pytest.fixture
def scans(tmp_path):
    "Ninety small pictures, of one colour each with noise; the colour is the first word of the name"
    rng = np.random.default_rng(0)
    for i in range(90):
        a = rng.integers(0, 90, (24, 30, 3))
        a[..., i % 3] += 120
        (tmp_path / "scans").mkdir(exist_ok=True)
        Image.fromarray(a.astype(np.uint8)).save(tmp_path / "scans" / f"{NAMES[i % 3]}-{i:02}.png")
    (tmp_path / "scans" / "red-broken.jpg").write_bytes(b"no picture")
    return tmp_path


class Person:
    "Presses keys on the page of a process"

    def __init__(self, folder):
        command = [sys.executable, "-c", "from bdal.label import cli; cli()", "scans", "--classes", *NAMES, "--side", "24", "--budget", "60"]
        self.process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().split()[1]

    def get(self, path):
        with urllib.request.urlopen(self.address + path, timeout=60) as reply:
            return json.loads(reply.read())

    def press(self, **what):
        urllib.request.urlopen(urllib.request.Request(self.address + "press", json.dumps(what).encode()), timeout=60).read()

    def state(self):
        "Of the next picture"
        while True:
            state = self.get("state")
            if not state["busy"]:
                return state


@pytest.mark.parametrize("killed_after", [23])
def test_sixty_labels_an_undo_a_skip_a_new_class_a_kill(scans, killed_after, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    files = sorted(p.name for p in (scans / "scans").glob("*.png"))
    person, given, keys, skipped = Person(scans), {}, 0, []
    while (state := person.state())["index"] is not None:
        i = state["index"]
        if len(given) == 10 and i not in skipped and not skipped:
            person.press(key="s")
            skipped.append(i)
            keys += 1
            continue
        if len(given) == 15 and "grey" not in state["names"]:
            person.press(add="grey")
            continue
        name = files[i].split("-")[0]
        key = state["keys"][state["names"].index(name)]
        if len(given) == 20:  # a slip, taken back
            person.press(key="4")
            person.press(key="Backspace")
            keys += 2
            assert person.state()["index"] == i
        person.press(key=key)
        keys += 1
        given[files[i]] = name
        if len(given) == killed_after:
            person.process.send_signal(signal.SIGKILL)
            person.process.wait()
            person = Person(scans)
            assert person.state()["done"] == killed_after
    assert len(given) == 60 and keys <= 1.2 * 60 and "Thank you" in state["message"]
    person.process.kill()
    person.process.wait()
    out = subprocess.run([sys.executable, "-c", "from bdal.label import cli; cli()", "scans", "--classes", *NAMES, "--side", "24", "--export", "out"],
                         cwd=scans, capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    with open(scans / "out" / "labels.csv") as f:
        rows = list(csv.DictReader(f))
    assert {row["file"].rpartition("/")[2]: row["label"] for row in rows if row["label"]} == given
    assert [row["file"].rpartition("/")[2] for row in rows if not row["label"]] == [files[i] for i in skipped]
    assert len(Record(scans / "labels.jsonl").known[0]) == 60 if hasattr(Record, "known") else True


def test_what_is_wrong_is_said_before_anything_is_read(scans, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for words, said in ((["nowhere", "--classes", "a", "b"], "nowhere"), (["scans", "--classes", "a"], "give 2 to")):
        out = subprocess.run([sys.executable, "-c", "from bdal.label import cli; cli()", *words], cwd=scans, capture_output=True, text=True)
        assert out.returncode == 2 and said in out.stderr and "Traceback" not in out.stderr
