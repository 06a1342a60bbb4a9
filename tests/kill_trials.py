"""Kill small real trials, again and again, and compare what they leave with trials that were left alone.

    python tests/kill_trials.py --kills 60 --seed 0

Each attempt is a process of its own (forked from one that has torch and the images in memory, so that an attempt costs its trial only).
Two thirds of them are killed from outside after a random time; every third kills itself inside an append, with a random part of the line
written, none of it, all of it, or all but its end, in turn. The last line of the output is JSON; the exit code is 0 if every record is as it should be.
"""
import argparse
import itertools
import json
import os
import random
import re
import signal
import sys
import tempfile
import time
from pathlib import Path

ATTEMPTS = 30  # for one trial, before we say that it does not get on


def results(path):
    "A record's lines, byte for byte, but for times and host"
    header, *rounds = Path(path).read_bytes().split(b"\n")
    return [re.sub(rb'"versions": .*', b"", header), *(re.sub(rb'"(train|score|evaluate)_seconds": [-0-9.e]+', b"", line) for line in rounds)]


def dying_write(module, chance, kind):
    "An append that ends the process, after some of the line"
    whole, left = module.Record._write, chance.randrange(2)

    def write(record, entry):
        nonlocal left
        left -= 1
        if left >= 0 or not record._file:
            return whole(record, entry)
        line = (json.dumps(entry) + "\n").encode()
        record._file.write(line[: (chance.randrange(1, len(line) - 1), 0, len(line), len(line) - 1)[kind]])
        os.kill(os.getpid(), signal.SIGKILL)

    module.Record._write = write


def attempt(run, path, log, dying=None):
    "A process that runs the trial; or one that dies inside an append"
    pid = os.fork()
    if pid:
        return pid
    try:
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
        os.dup2(1, 2)
        if dying:
            import bdal.record

            dying_write(bdal.record, *dying)
        run(path)
        os._exit(0)
    except BaseException:
        import traceback

        traceback.print_exc()
    os._exit(1)


def end_of(pid):
    "How a process ended: 0, 1, or minus a signal"
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    from bdal.data import mnist
    from bdal.steps import run_trial

    d = mnist()
    few = d.first(1000, test=300)
    few.fingerprint
    chance, folder = random.Random(a.seed), Path(tempfile.mkdtemp())
    kinds = dict.fromkeys(("from outside", "inside an append"), 0)
    torn = resumed = trials = tried = 0
    wrong = []
    for seed, K, score in itertools.islice(((s, K, score) for s in itertools.count(a.seed) for K, score in ((1, "bald"), (5, "margin"), (3, "random"), (7, "entropy"))), 1000):
        if sum(kinds.values()) >= a.kills:
            break

        def run(path):
            run_trial(few, score=score, K=K, n_final=20 + 5 * K, seed=seed, T=4, schedule="steps 20", record=path)

        whole, killed, log = (folder / f"{seed}-{K}-{name}" for name in ("whole.jsonl", "killed.jsonl", "log"))
        began = time.monotonic()
        if end_of(attempt(run, whole, log)):
            sys.exit(log.read_text())
        seconds, trials = time.monotonic() - began, trials + 1
        for n in range(ATTEMPTS):
            before = killed.read_bytes() if killed.exists() else b""
            inside, tried = tried % 3 == 1, tried + 1
            pid = attempt(run, killed, log, (random.Random(chance.random()), kinds["inside an append"] % 4) if inside else None)
            if not inside:
                time.sleep(chance.uniform(0, 0.5 * seconds))
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            end, after = end_of(pid), killed.read_bytes() if killed.exists() else b""
            if end not in (0, -signal.SIGKILL):
                sys.exit(f"attempt {n} of {killed} ended with {end}\n{log.read_text()}")
            if before.rpartition(b"\n")[0] != after[: len(before.rpartition(b"\n")[0])]:
                wrong.append(f"{killed}: a whole line was lost")
            torn += end != 0 and not after.endswith(b"\n") and bool(after)
            if end == 0:
                break
            kinds["inside an append" if inside else "from outside"] += 1
        else:
            sys.exit(f"{killed} is not finished after {ATTEMPTS} attempts")
        resumed += n > 0
        if results(killed) != results(whole):
            wrong.append(f"{killed} differs from {whole}")
    print(json.dumps(dict(kills=sum(kinds.values()), **kinds, torn_lines=torn, trials=trials, resumed=resumed, wrong=wrong)))
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
