"""What it costs to score the pool by one score or another: five networks, the scores in turn. Writes results/score_seconds.csv.

    python benchmarks/methods.py [--runs 5]
"""
import argparse
import csv
from pathlib import Path

from bdal.model import auto_dtype
from bdal.scoring import race
from costs import DATA, ORDER, seconds, train
from scoring import machine

FILE = Path(__file__).parents[1] / "results" / "score_seconds.csv"
SCORES = ("random", "margin", "entropy", "bald")


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--runs", type=int, default=5, help="alternating runs of each score")
    runs, rows = args.parse_args().runs, []
    for seed in range(5):
        net = train(100, seed)
        ways = {name: lambda name=name: race(net, DATA.x, ORDER[500:20_500], name, 10, dtype=auto_dtype()) for name in SCORES}
        medians = {name: round(median, 4) for name, (median, *_) in seconds(runs, **ways).items()}
        rows.append(dict(network=seed, images=20_000, T=20, **medians, machine=machine()))
    with open(FILE, "w", newline="") as f:
        table = csv.DictWriter(f, rows[0], lineterminator="\n")
        table.writeheader(), table.writerows(rows)
    print(FILE.read_text())


if __name__ == "__main__":
    main()
