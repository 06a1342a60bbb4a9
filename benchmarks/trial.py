"""A whole trial, by bdal 0.1.0, by this bdal, and by the same loop written with baal.

    python benchmarks/trial.py [--n-final 1020] [--baal-at 20 500 1000] [--quick]

The two bdal take turns, round by round, each in a process of its own (before.py). baal's loop takes hours at this size, so its
rounds are timed at some label counts, when the others have come to them, with the same network, training, test set and pool, and
the trial's time is what they add up to when the rounds between are interpolated.
"""
import importlib.util
import os
import sys
import time

from before import CORES, FULL, PARTS, SMALL, sides
from report import arguments, save

os.environ["OMP_NUM_THREADS"] = str(CORES)  # baal's rounds are timed in this process; before torch is imported

import numpy as np  # noqa: E402
import torch  # noqa: E402

from bdal.data import mnist  # noqa: E402
from bdal.model import bayesian_cnn  # noqa: E402
from bdal.train import fit  # noqa: E402
from bdal.steps import Protocol  # noqa: E402
from scoring import T, machine, plain_layers  # noqa: E402

DATA, P = mnist(), Protocol()


def baal_round(n, batch, steps, pool, test):
    "Train on n labels, predict test set and pool with baal, choose ten by baal's BALD"
    from baal.active import ActiveLearningDataset
    from baal.active.heuristics import BALD
    from baal.bayesian.caching_utils import MCCachingModule
    from baal.bayesian.dropout import MCDropoutModule
    from baal.modelwrapper import ModelWrapper, TrainingArgs

    active = ActiveLearningDataset(torch.utils.data.TensorDataset(DATA.x[:pool], DATA.y[:pool]))
    active.label_randomly(n)
    t = time.perf_counter()
    net = bayesian_cnn(p=P.p, seed=0)
    idx = torch.as_tensor(np.flatnonzero(active.labelled))
    fit(net, DATA.x[idx], DATA.y[idx], steps=steps, batch=P.batch, lr=P.lr)   # our training for both
    model = MCCachingModule(MCDropoutModule(plain_layers(net).eval()))
    wrapper = ModelWrapper(model, TrainingArgs(batch_size=batch, use_cuda=False, workers=0, replicate_in_memory=False))
    test = torch.utils.data.TensorDataset(DATA.x_test[:test], DATA.y_test[:test])
    wrapper.predict_on_dataset(test, iterations=T, verbose=False)
    scores = BALD().get_ranks(wrapper.predict_on_dataset(active.pool, iterations=T, verbose=False))[0][:10]
    active.label(scores)
    return time.perf_counter() - t


def main():
    args = arguments(__doc__)
    args.add_argument("--n-final", type=int, default=1020, help="labels at the end")
    args.add_argument("--baal-at", type=int, nargs="*", default=[20, 500, 1000], help="labels at which baal's round is timed")
    args.add_argument("--baal-batch", type=int, default=64, help="baal's batch size; see scoring.py for the best")
    args = args.parse_args()
    if args.quick:
        args.n_final, args.baal_at = 50, [20]
    if importlib.util.find_spec("baal") is None:
        print("baal is not installed here (make bench has it): its rounds are left out", file=sys.stderr)
        args.baal_at = []
    job = {**(SMALL if args.quick else FULL), "labels": None, "n_final": args.n_final}
    baal, rows = {}, {"before": [], "now": []}
    with sides(CORES) as both:
        for side in both.values():
            side.round(**SMALL)
        while not rows["now"] or not rows["now"][-1]["complete"]:
            for (name, _), side in both.items():
                rows[name].append(side.round(**(job if not rows[name] else {})))
            b, a = rows["before"][-1], rows["now"][-1]
            n = a["labels"]
            assert (b["labels"], b["complete"], b["config"]) == (n, a["complete"], a["config"]), "the sides do different things"
            if n in args.baal_at:
                baal[n] = baal_round(n, args.baal_batch, job["steps"], job["pool"], job["test"])
                print(f"{n} labels: baal {baal[n]:.1f} s", file=sys.stderr, flush=True)
            if n % 100 == 0:
                sofar = (f"{name} {sum(r[p] for r in rows[name] for p in PARTS)/60:.1f} min" for name in rows)
                print(f"{n} labels: " + ", ".join(sofar), file=sys.stderr, flush=True)
        trials = {name: dict(commit=both[name, CORES].about["commit"], accuracy=rows[name][-1]["accuracy"],
                             **{p: [r[p] for r in rows[name]] for p in PARTS}) for name in rows}
    asked = np.arange(20, args.n_final, 10)
    minutes = float(np.interp(asked, list(baal), list(baal.values())).sum() / 60) if baal else None
    save("trial", dict(machine=machine(), threads=CORES, n_final=args.n_final, trials=trials,
                       baal=dict(rounds=list(baal.items()), batch=args.baal_batch, minutes=minutes)), args.quick)


if __name__ == "__main__":
    main()
