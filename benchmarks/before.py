"""A round at 500 labels, by bdal 0.1.0 (d77b9c2) and by this bdal, in alternating runs.

    python benchmarks/before.py [--runs 5] [--quick]

Each side is a process that imports bdal from a checkout of its own: 0.1.0 from a git worktree, deleted afterwards. A round is
what a trial of that side does: train, measure 10,000 test images and the labelled ones, score the other 59,500 in a race.
trial.py and neighbours.py ask the same processes.
"""
import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

from report import arguments, machine, save

ROOT, BEFORE = Path(__file__).resolve().parents[1], "d77b9c2"
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
CHOICES = ("score", "K", "T", "seed", "race", "schedule", "p", "batch", "lr", "dtype", "n_final")  # the same on both sides
PARTS = ("train", "evaluate", "score")
FULL = dict(labels=500, n_final=None, steps=300, pool=60_000, test=10_000)
SMALL = dict(labels=500, n_final=None, steps=10, pool=2_500, test=500)  # to warm up, and for --quick


def serve():
    "The process of a side: a round for each line of stdin; a line with choices begins another trial"
    import torch

    import bdal
    from bdal.data import balanced_start, mnist
    from bdal.steps import Learner

    replies, sys.stdout = sys.stdout, sys.stderr

    def reply(**what):
        print(json.dumps(what), file=replies, flush=True)

    data = mnist()
    reply(file=bdal.__file__, threads=torch.get_num_threads(), machine=machine())
    for line in sys.stdin:
        if new := json.loads(line):
            x, y = data.x[: new["pool"]], data.y[: new["pool"]]
            start = balanced_start(y, 2, seed=0)
            if new["labels"]:
                start = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[: new["labels"]]
            test = data.x_test[: new["test"]], data.y_test[: new["test"]]
            learner = Learner(x, "bald", 10, (start, y[start]), test=test, classes=10,
                              n_final=new["n_final"], schedule=f"steps {new['steps']}", race=0.08, p=(0.25, 0.25, 0.5),
                              data=dict(data="mnist", fingerprint=data.fingerprint))
        idx = learner.ask()
        if len(idx):
            learner.tell(idx, y[idx])
        row, config = learner.record.rounds[-1], learner.record.header["config"]
        reply(labels=row["n_labelled"], accuracy=row["test_accuracy"], complete=learner.record.complete,
              config={k: config[k] for k in CHOICES}, **{part: row[f"{part}_seconds"] for part in PARTS})


class Side:
    "A process that does rounds by the bdal of a folder, on so many threads; none: as many as it chooses itself"
    def __init__(self, folder=ROOT, threads=None):
        env = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
        env["PYTHONPATH"] = os.pathsep.join([str(folder), *filter(None, [env.get("PYTHONPATH")])])
        if threads:
            env["OMP_NUM_THREADS"] = str(threads)
        command = [sys.executable, str(ROOT / "benchmarks" / "before.py"), "--serve"]
        self.process = subprocess.Popen(command, cwd=folder, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.about = self._reply()
        self.about["commit"] = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=folder, stdout=subprocess.PIPE, text=True).stdout.strip()
        assert Path(self.about["file"]).resolve().is_relative_to(Path(folder).resolve()), self.about

    def _reply(self):
        if line := self.process.stdout.readline():
            return json.loads(line)
        raise SystemExit("a side of the comparison has ended; what it said stands above")

    def round(self, **new):
        "The next round of its trial; with choices: the first of another"
        self.process.stdin.write(json.dumps(new) + "\n")
        self.process.stdin.flush()
        return self._reply()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


@contextmanager
def checkout(commit=BEFORE):
    "A folder with another commit, for as long as the block lasts"
    def git(*args):
        return subprocess.run(["git", "-C", str(ROOT), *args], stdout=sys.stderr).returncode

    if git("cat-file", "-e", f"{commit}^{{commit}}"):
        raise SystemExit(f"{commit} is not here: a clone with its whole history is needed (git fetch --unshallow)")
    with tempfile.TemporaryDirectory() as folder:
        try:
            if git("worktree", "add", "--quiet", "--detach", f"{folder}/bdal", commit):
                raise SystemExit(f"git did not check {commit} out")
            yield Path(folder) / "bdal"
        finally:
            git("worktree", "remove", "--force", f"{folder}/bdal")


@contextmanager
def sides(*threads):
    "Before and now, on each of some numbers of threads: (side, threads) -> `Side`"
    with checkout() as folder, ExitStack() as stack:
        both = {("before", t): None for t in threads} | {("now", t): None for t in threads}
        for side, t in both:
            both[side, t] = stack.enter_context(Side(folder if side == "before" else ROOT, t))
            print(side, t or "its own", both[side, t].about, file=sys.stderr, flush=True)
            assert (side == "before") == both[side, t].about["commit"].startswith(BEFORE)
        yield both


def main():
    args = arguments(__doc__, 5, "alternating runs of each side")
    args.add_argument("--serve", action="store_true", help="be one side")
    args = args.parse_args()
    if args.serve:
        return serve()
    job, runs = (SMALL, 2) if args.quick else (FULL, args.runs)
    with sides(CORES, None) as both:
        for side in both.values():
            side.round(**SMALL)
        taken = {key: [] for key in both}
        for _ in range(runs):
            for threads in (CORES, None):
                for side in ("before", "now"):
                    taken[side, threads].append(both[side, threads].round(**job))
            assert len({str(rows[-1]["config"]) for rows in taken.values()}) == 1, "the sides do different things"
        rows = [dict(side=name, threads=t, commit=side.about["commit"], **{p: [r[p] for r in taken[name, t]] for p in PARTS})
                for (name, t), side in both.items()]
        save("before", dict(machine=both["now", CORES].about["machine"], cores=CORES, runs=runs, rows=rows,
                            **{k: job[k] for k in ("labels", "steps", "pool", "test")}), args.quick)


if __name__ == "__main__":
    main()
