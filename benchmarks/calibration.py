"""ECE and Brier score of eight studies' networks, trained again from their records: results/calibration.csv

    python benchmarks/calibration.py [--trials 3]

A quarter of an hour. nbs/deeper/calibration reads the file, and so does the report (then `make report`).
"""
import argparse

import pandas as pd

from bdal.calibration import measures_at
from bdal.data import mnist
from bdal.record import Record
from bdal.results import results_folder

SCORES = ("random", "margin", "bald", "entropy")
COUNTS = dict.fromkeys(SCORES, (20, 50, 100, 150, 200, 300)) | {f"augmented_{s}": (20, 50, 100, 150) for s in SCORES}


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--trials", type=int, default=3, help="of each study, the first")
    args, images, parts = args.parse_args(), mnist(), []
    for seed in range(args.trials):
        for study, counts in COUNTS.items():
            record = Record(results_folder() / study / f"trial-{seed:02d}.jsonl")
            parts.append(measures_at(record, images, counts).assign(study=study, seed=seed))
            print(study, seed, flush=True)
    pd.concat(parts).round(6).to_csv(results_folder() / "calibration.csv", index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
