"""A round at 500 labels while other processes keep cores busy, by the threads torch is given.

    python benchmarks/neighbours.py [--runs 3] [--quick]

Quiet, one core busy, all busy (a process that spins for each); nothing set, OMP_NUM_THREADS=1, and as many threads as cores.
Each cell is a process of its own; those of a row take turns. Where the training of a cell would take over 90 seconds, fewer steps
are timed, and the seconds scaled.
"""
import subprocess
import sys
from contextlib import ExitStack, contextmanager

from before import CORES, FULL, PARTS, SMALL, Side
from report import arguments, save

SPIN = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: sum(range(100_000))"  # it ends with its parent


@contextmanager
def busy(n):
    "Within the block, n processes compute"
    spinning = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(n)]
    try:
        yield
        if any(process.poll() is not None for process in spinning):
            raise SystemExit("a busy process was ended by somebody else: the row was not busy to its end")
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def row(n, ways, runs, job, most=90):
    "What `runs` rounds take in each way, beside n busy processes"
    with busy(n), ExitStack() as stack:
        sides = {t: stack.enter_context(Side(threads=t)) for t in ways}
        steps, taken = {}, {t: [] for t in ways}
        for t, side in sides.items():
            side.round(**SMALL)
            tried = side.round(**{**SMALL, "steps": 2 * SMALL["steps"]})["train"] / (2 * SMALL["steps"])
            steps[t] = min(job["steps"], max(int(most / runs / tried), 10))
        for _ in range(runs):
            for t, side in sides.items():
                done = side.round(**{**job, "steps": steps[t]})
                done["train"] *= job["steps"] / steps[t]
                taken[t].append(done)
                parts = ", ".join(f"{p} {done[p]:.2f} s" for p in PARTS)
                print(f"{n} busy, threads {t or 'default'}: {parts}", file=sys.stderr, flush=True)
        cells = [dict(busy=n, threads=t, steps=steps[t], **{p: [r[p] for r in taken[t]] for p in PARTS}) for t in ways]
        return cells, side.about["machine"]


def main():
    args = arguments(__doc__, 3, "rounds of each cell").parse_args()
    job, runs = (SMALL, 1) if args.quick else (FULL, args.runs)
    cells = []
    for n in sorted({0, 1, CORES}):
        more, machine = row(n, dict.fromkeys((None, 1, CORES)), runs, job)
        cells += more
    save("neighbours", dict(machine=machine, cores=CORES, runs=runs, steps=job["steps"], rows=cells), args.quick)


if __name__ == "__main__":
    main()
