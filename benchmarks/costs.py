"""What an exact score and a race cost, and how the cost grows with pool, samples and labels. Draws costs.png.

    python benchmarks/costs.py [--runs 3] [--quick]
"""
import statistics
import time

import torch

from bdal.data import mnist, stream
from bdal.model import bayesian_cnn
from bdal.train import AUGMENT, auto_dtype, fit
from bdal.scoring import race, score_pool
from bdal.steps import Protocol
from report import HERE, OUT, arguments, machine, save

P = Protocol()
DATA = mnist()
ORDER = torch.randperm(60_000, generator=stream(0, "costs"))


def train(n, seed=0, steps=300, augment="none"):
    net = bayesian_cnn(p=P.p, seed=seed)
    fit(net, DATA.x[ORDER[:n]], DATA.y[ORDER[:n]], steps=steps, batch=P.batch, lr=P.lr, augment=AUGMENT[augment])
    return net


def score(net, N=59_500, T=20):
    return score_pool(net, DATA.x, ORDER[500 : 500 + N], "bald", T, dtype=auto_dtype())


def raced(net, N=59_500, T=20):
    return race(net, DATA.x, ORDER[500 : 500 + N], "bald", 10, T, dtype=auto_dtype())


def seconds(runs, **ways):
    "What alternating runs took"
    times = {name: [] for name in ways}
    for _ in range(runs):
        for name, way in ways.items():
            t = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - t)
    return times


def main():
    args = arguments(__doc__, 3, "alternating runs; a third as many of each point").parse_args()
    runs, each, small = args.runs, max(args.runs // 3, 1), 100 if args.quick else 1
    steps, pool = 6 if args.quick else 300, 59_500 // small
    net = train(500, steps=steps)
    score(net, 1000), raced(net, 1000)
    parts = seconds(runs, **{"all exactly": lambda: score(net, pool), "a race": lambda: raced(net, pool)})
    augmented = seconds(runs, **{name: lambda name=name: train(500, steps=steps, augment=name) for name in AUGMENT})
    sizes = [n // small for n in (7_500, 15_000, 30_000, 59_500)]
    grows = {
        "images in the pool": (sizes, lambda N: score(net, N), lambda N: raced(net, N)),
        "samples T": ((1, 5, 20, 50, 100), lambda T: score(net, 10_000 // small, T), lambda T: raced(net, 10_000 // small, T)),
        "labels": ((20, 50, 100, 200, 500, 1000), lambda n: train(n, steps=steps), None)}
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    fig, axes = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
    rows = []
    for ax, (what, (values, exact, quick)) in zip(axes, grows.items()):
        names = dict(train=exact) if quick is None else dict(exact=exact, race=quick)
        for (name, way), marker in zip(names.items(), "os"):
            line = [statistics.median(seconds(each, x=lambda v=v: way(v))["x"]) for v in values]
            ax.plot(values, line, marker=marker, label=name)
            rows += [dict(what=what, way=name, at=v, seconds=t) for v, t in zip(values, line)]
        ax.set(xlabel=what, ylabel="seconds", ylim=0)
        ax.legend(frameon=False)
    for ax, title in zip(axes, (f"{pool:,} and less, T = 20", f"{10_000 // small:,} images", f"{steps} training steps")):
        ax.set_title(title)
    save("costs", dict(machine=machine(), runs=runs, runs_each=each, pool=pool, parts=parts, steps=steps, augmented=augmented, grows=rows), args.quick)
    fig.savefig((OUT / "quick" if args.quick else HERE) / "costs.png", dpi=150)


if __name__ == "__main__":
    main()
