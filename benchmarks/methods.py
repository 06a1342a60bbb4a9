"""What it costs to score the pool by one score or another: five networks, the scores in turn.

    python benchmarks/methods.py [--runs 3] [--write] [--quick]

--write: into results/score_seconds.csv, too, which the report of the experiments reads (then `make report`). `make bench` leaves
that file alone: the committed report quotes it.
"""
import csv
import statistics
from pathlib import Path

from bdal.train import auto_dtype
from bdal.scoring import race
from costs import DATA, ORDER, seconds, train
from report import arguments, machine, save

FILE = Path(__file__).parents[1] / "results" / "score_seconds.csv"
SCORES = ("random", "margin", "entropy", "bald")


def main():
    args = arguments(__doc__, 3, "alternating runs of each score")
    args.add_argument("--write", action="store_true", help="results/score_seconds.csv")
    args = args.parse_args()
    if args.write and args.quick:
        raise SystemExit("quick runs measure nothing; give --write without --quick")
    images, rows = 500 if args.quick else 20_000, []
    for seed in range(2 if args.quick else 5):
        net = train(100, seed, 6 if args.quick else 300)
        pool = ORDER[500 : 500 + images]
        ways = {name: lambda name=name: race(net, DATA.x, pool, name, 10, dtype=auto_dtype()) for name in SCORES}
        rows.append({name: statistics.median(t) for name, t in seconds(args.runs, **ways).items()})
    save("methods", dict(machine=machine(), images=images, T=20, runs=args.runs, rows=rows), args.quick)
    if args.write:
        lines = [dict(network=i, images=images, T=20, **{name: round(t, 4) for name, t in row.items()}, machine=machine())
                 for i, row in enumerate(rows)]
        with open(FILE, "w", newline="") as f:
            written = csv.DictWriter(f, lines[0], lineterminator="\n")
            written.writeheader(), written.writerows(lines)


if __name__ == "__main__":
    main()
