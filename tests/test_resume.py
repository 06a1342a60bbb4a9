"A trial that is killed, again and again, ends with the record of one that was left alone."
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

TRIAL = """
import sys
from bdal.data import mnist, Data
from bdal.steps import run_trial
d = mnist()
small = Data("mnist-1000", d.x[:1000], d.y[:1000], d.x_test[:300], d.y_test[:300], d.classes)
print("ready", flush=True)
run_trial(small, score=sys.argv[2], K=int(sys.argv[3]), n_final=60, seed=int(sys.argv[4]), T=4, schedule="steps 25", record=sys.argv[1])
"""
TIMES = ("train_seconds", "score_seconds", "evaluate_seconds")


def start(record, score, K, seed, home):
    env = {**os.environ, "BDAL_HOME": str(home), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", TRIAL, str(record), score, str(K), str(seed)], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def results(record):
    return [{k: v for k, v in json.loads(line).items() if k not in TIMES} for line in record.read_text().splitlines()]


@pytest.mark.parametrize("score, K, seed", [("bald", 5, 0), ("random", 3, 1)])
def test_killed_trials_end_like_others(score, K, seed, mnist_home, tmp_path):
    whole, killed = tmp_path / "whole.jsonl", tmp_path / "killed.jsonl"
    alone = start(whole, score, K, seed, mnist_home)
    out, err = alone.communicate(timeout=200)
    assert alone.returncode == 0, err
    chance, kills = random.Random(seed), 0
    for _ in range(40):
        process = start(killed, score, K, seed, mnist_home)
        process.stdout.readline()  # data are loaded, rounds begin
        time.sleep(chance.uniform(0, 1.5) if kills < 3 else 0)
        if kills < 3:
            process.send_signal(signal.SIGKILL)
        out, err = process.communicate(timeout=200)
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, err
        kills += 1
    assert kills >= 1
    assert results(killed) == results(whole)


def test_two_processes_do_not_write_one_record(mnist_home, tmp_path):
    first = start(tmp_path / "trial.jsonl", "bald", 1, 0, mnist_home)
    first.stdout.readline()
    first.stdout.readline()  # a round is written
    second = start(tmp_path / "trial.jsonl", "bald", 1, 0, mnist_home)
    _, err = second.communicate(timeout=200)
    first.kill()
    first.communicate()
    assert second.returncode != 0 and "is being written by another process" in err.splitlines()[-1]
