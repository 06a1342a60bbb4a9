"""What a round costs, part by part, and how the cost grows with pool, samples and labels. Writes benchmarks/costs.png.

    python benchmarks/costs.py [--runs 5]
"""
import argparse
import statistics
import time
from pathlib import Path

import torch

from bdal.data import mnist, stream
from bdal.model import auto_dtype, bayesian_cnn, evaluate, fit
from bdal.scoring import race, score_pool
from bdal.steps import Protocol
from scoring import machine

P = Protocol()
DATA = mnist()
ORDER = torch.randperm(60_000, generator=stream(0, "costs"))


def train(n, seed=0):
    net = bayesian_cnn(p=P.p, seed=seed)
    fit(net, DATA.x[ORDER[:n]], DATA.y[ORDER[:n]], steps=300, batch=P.batch, lr=P.lr)
    return net


def score(net, N=59_500, T=20):
    return score_pool(net, DATA.x, ORDER[500 : 500 + N], "bald", T, dtype=auto_dtype())


def raced(net, N=59_500, T=20):
    return race(net, DATA.x, ORDER[500 : 500 + N], "bald", 10, T, dtype=auto_dtype())


def seconds(runs, **ways):
    "Median, fastest and slowest of alternating runs"
    times = {name: [] for name in ways}
    for _ in range(runs):
        for name, way in ways.items():
            t = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - t)
    return {name: (statistics.median(t), min(t), max(t)) for name, t in times.items()}


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--runs", type=int, default=5, help="alternating runs of each part")
    runs = args.parse_args().runs
    net = train(500)
    score(net, 1000), raced(net, 1000)
    parts = seconds(runs, **{
        "train, 300 steps": lambda: train(500),
        "evaluate, 10,000 images, T = 20, float32": lambda: evaluate(net, DATA.x_test, DATA.y_test, 20),
        "score 59,500, T = 20, all exactly": lambda: score(net),
        "score 59,500, T = 20, a race": lambda: raced(net)})
    print(f"{machine()}; median of {runs} alternating runs [fastest, slowest], seconds\n")
    print("| part of a round at 500 labels | seconds |\n|---|---|")
    for name, (median, low, high) in parts.items():
        print(f"| {name} | {median:.2f} [{low:.2f}, {high:.2f}] |")
    shared = parts["train, 300 steps"][0] + parts["evaluate, 10,000 images, T = 20, float32"][0]
    for way in ("all exactly", "a race"):
        print(f"| the round, {way} | {shared + parts[f'score 59,500, T = 20, {way}'][0]:.2f} |")

    grows = {
        "images in the pool": ((7_500, 15_000, 30_000, 59_500), lambda N: score(net, N), lambda N: raced(net, N)),
        "samples T": ((1, 5, 20, 50, 100), lambda T: score(net, 10_000, T), lambda T: raced(net, 10_000, T)),
        "labels": ((20, 50, 100, 200, 500, 1000), train, None)}
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    fig, axes = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
    print("\n| grows | at | seconds |  |\n|---|---|---|---|")
    for ax, (what, (values, exact, quick)) in zip(axes, grows.items()):
        names = dict(train=exact) if quick is None else dict(exact=exact, race=quick)
        for (name, way), marker in zip(names.items(), "os"):
            line = [seconds(max(runs // 2, 1), x=lambda v=v: way(v))["x"][0] for v in values]
            ax.plot(values, line, marker=marker, label=name)
            for v, t in zip(values, line):
                print(f"| {what} | {v:,} | {t:.2f} | {name} |")
        ax.set(xlabel=what, ylabel="seconds", ylim=0)
        ax.legend(frameon=False)
    axes[0].set_title("59,500 and less, T = 20"), axes[1].set_title("10,000 images"), axes[2].set_title("300 training steps")
    fig.savefig(Path(__file__).with_name("costs.png"), dpi=150)


if __name__ == "__main__":
    main()
