"""A sweep on two jobs, against the same trials in sequence.

    python benchmarks/sweep.py [--quick]   # four studies x three small trials of 05_bald, twice; ten minutes on two free cores

The trials are real: all 60,000 images in the pool, T=5, three rounds. Both ways must leave the same records.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from report import machine, save

ROOT = Path(__file__).parent.parent
STUDY = """
[{score}]
notebook = "05_bald.ipynb"
trials = {trials}
parameters = {{score = "{score}", K = 10, n_final = {n_final}, T = 5, schedule = "steps {steps}"}}
"""
SCORES = ("random", "margin", "entropy", "bald")


def swept(jobs, scores, **study):
    "Seconds that a sweep took in a new folder, and its records without times and host"
    folder = Path(tempfile.mkdtemp())
    (folder / "nbs").mkdir()
    shutil.copy(ROOT / "nbs" / "05_bald.ipynb", folder / "nbs")
    (folder / "nbs" / "studies.toml").write_text("".join(STUDY.format(score=s, **study) for s in scores))
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    began = time.perf_counter()
    code = "import sys; from bdal.sweep import main; sys.exit(main())"
    subprocess.run([sys.executable, "-c", code, "all", "--jobs", str(jobs)], cwd=folder, env=env, stdout=sys.stderr, check=True)
    seconds = time.perf_counter() - began
    moving = rb'"versions": .*|"(train|score|evaluate)_seconds": [-0-9.e]+'
    lines = {p.relative_to(folder): re.sub(moving, b"", p.read_bytes()) for p in sorted((folder / "results").rglob("*.jsonl"))}
    shutil.rmtree(folder)
    return seconds, lines


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="tiny, to see that it works")
    a = parser.parse_args()
    from bdal.data import unpack_mnist

    unpack_mnist()
    study = dict(scores=SCORES, trials=a.trials, n_final=40, steps=100)
    if a.quick:
        study = dict(scores=SCORES[:1], trials=2, n_final=30, steps=5)
    (one, records), (many, others) = swept(1, **study), swept(a.jobs, **study)
    assert records == others and len(records) == len(study["scores"]) * study["trials"]
    save("sweep", dict(machine=machine(), jobs=a.jobs, trials=len(records), one=one, many=many), a.quick)


if __name__ == "__main__":
    main()
