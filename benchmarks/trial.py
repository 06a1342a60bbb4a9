"""A whole trial, and the same loop written with baal.

    python benchmarks/trial.py [--n-final 1020] [--baal-at 20 500 1000] [--exact]

bdal runs every round of the trial. baal's loop takes hours at this size, so its rounds are timed at some label counts, with the same
network, training, test set and pool, and the trial's time is what they add up to when the rounds between are interpolated.
"""
import argparse
import time

import numpy as np
import torch

from bdal.data import mnist
from bdal.model import evaluate, fit
from bdal.steps import Protocol, bayesian_cnn, run_trial
from scoring import T, machine, plain_layers

DATA, P = mnist(), Protocol()


def bdal_trial(n_final, **kwargs):
    t = time.perf_counter()
    record = run_trial(DATA, score="bald", K=10, n_final=n_final, seed=0, progress=False, **kwargs)
    return time.perf_counter() - t, record


def baal_round(n, batch):
    "Train on n labels, predict test set and pool with baal, choose ten by baal's BALD"
    from baal.active import ActiveLearningDataset
    from baal.active.heuristics import BALD
    from baal.bayesian.caching_utils import MCCachingModule
    from baal.bayesian.dropout import MCDropoutModule
    from baal.modelwrapper import ModelWrapper, TrainingArgs

    active = ActiveLearningDataset(torch.utils.data.TensorDataset(DATA.x, DATA.y))
    active.label_randomly(n)
    t = time.perf_counter()
    net = bayesian_cnn(p=P.p, seed=0)
    idx = torch.as_tensor(np.flatnonzero(active.labelled))
    fit(net, DATA.x[idx], DATA.y[idx], steps=300, batch=P.batch, lr=P.lr)   # our training for both
    model = MCCachingModule(MCDropoutModule(plain_layers(net).eval()))
    wrapper = ModelWrapper(model, TrainingArgs(batch_size=batch, use_cuda=False, workers=0, replicate_in_memory=False))
    test = torch.utils.data.TensorDataset(DATA.x_test, DATA.y_test)
    wrapper.predict_on_dataset(test, iterations=T, verbose=False)
    scores = BALD().get_ranks(wrapper.predict_on_dataset(active.pool, iterations=T, verbose=False))[0][:10]
    active.label(scores)
    return time.perf_counter() - t


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--n-final", type=int, default=1020, help="labels at the end")
    args.add_argument("--baal-at", type=int, nargs="*", default=[20, 500, 1000], help="labels at which baal's round is timed")
    args.add_argument("--baal-batch", type=int, default=64, help="baal's batch size; see scoring.py for the best")
    args.add_argument("--exact", action="store_true", help="also a trial that scores the whole pool exactly")
    args = args.parse_args()
    print(machine())
    for name, kwargs in {"a race": dict(race=0.08), **({"all exactly": {}} if args.exact else {})}.items():
        seconds, record = bdal_trial(args.n_final, **kwargs)
        parts = record.table()[["train_seconds", "evaluate_seconds", "score_seconds"]]
        print(f"bdal, 20 to {args.n_final} labels, K = 10, BALD, T = 20, full pool, {name}: {seconds/60:.1f} min, "
              f"{record.rounds[-1]['test_accuracy']:.1%}; rounds " + ", ".join(f"{k} {v:.2f} s" for k, v in parts.median().items()), flush=True)
    if args.baal_at:
        rounds = {n: baal_round(n, args.baal_batch) for n in args.baal_at}
        print("baal 2.1.0, a round at", ", ".join(f"{n} labels: {s:.1f} s" for n, s in rounds.items()))
        labels = np.arange(20, args.n_final, 10)
        print(f"baal's {len(labels)} rounds add up to {np.interp(labels, list(rounds), list(rounds.values())).sum()/60:.0f} min")


if __name__ == "__main__":
    main()
