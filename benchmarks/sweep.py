"""A sweep on two jobs, against the same trials in sequence.

    python benchmarks/sweep.py            # four studies x three small trials of 05_bald, twice; ten minutes or so on two free cores

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

ROOT = Path(__file__).parent.parent
STUDY = """
[{score}]
notebook = "05_bald.ipynb"
trials = {trials}
parameters = {{score = "{score}", K = 10, n_final = 40, T = 5, schedule = "steps 100"}}
"""
SCORES = ("random", "margin", "entropy", "bald")


def swept(jobs, trials):
    "Seconds that a sweep took in a new folder, and its records without times and host"
    folder = Path(tempfile.mkdtemp())
    (folder / "nbs").mkdir()
    shutil.copy(ROOT / "nbs" / "05_bald.ipynb", folder / "nbs")
    (folder / "nbs" / "studies.toml").write_text("".join(STUDY.format(score=s, trials=trials) for s in SCORES))
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import sys; from bdal.sweep import main; sys.exit(main())", "all", "--jobs", str(jobs)], cwd=folder, env=env, check=True)
    seconds = time.perf_counter() - began
    lines = {p.relative_to(folder): re.sub(rb'"versions": .*|"(train|score|evaluate)_seconds": [-0-9.e]+', b"", p.read_bytes()) for p in sorted((folder / "results").rglob("*.jsonl"))}
    shutil.rmtree(folder)
    return seconds, lines


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--trials", type=int, default=3)
    a = parser.parse_args()
    from bdal.data import unpack_mnist

    unpack_mnist()
    (one, records), (many, others) = swept(1, a.trials), swept(a.jobs, a.trials)
    assert records == others and len(records) == len(SCORES) * a.trials
    print(f"{len(records)} trials: {one:.0f} s in sequence, {many:.0f} s on {a.jobs} jobs: {one / many:.2f} times as fast; the same records")


if __name__ == "__main__":
    main()
