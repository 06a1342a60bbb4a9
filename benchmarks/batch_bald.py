"""BatchBALD beside batchbald_redux: the same batch, with as many configurations.

    python benchmarks/batch_bald.py [--runs 3] [--quick]

Predictions are made up: an image has a mean opinion, and networks scatter around it. The first images of a batch are exact in
both (C^b configurations fit), and must be the same; beyond, both draw configurations, and what counts is how much the batch tells.
"""
import contextlib
import os
import sys
import time
import warnings

import torch
from bdal.batches import batch_bald
from bdal.data import stream
from report import arguments, machine, save


def predictions(N, T, C):
    "Log-probabilities of an imaginary pool"
    g = stream(0, "batch_bald")
    opinion, doubt = 3 * torch.randn(N, 1, C, generator=g), torch.rand(N, 1, 1, generator=g) * 2
    return (opinion + doubt * torch.randn(N, T, C, generator=g)).log_softmax(-1)


def told(log_probs, chosen, draws=20_000):
    "Joint information of a batch, nat, by fresh configurations of its own, in float64: E[log p(y | w) - log p(y)]"
    log_p = log_probs[chosen].double()  # [K, T, C]
    K, T, C = log_p.shape
    g = stream(1, "told")
    t = torch.randint(T, (draws,), generator=g)
    y = torch.stack([torch.multinomial(p[t].exp(), 1, generator=g)[:, 0] for p in log_p])
    each = sum(p[:, y_S] for p, y_S in zip(log_p, y))  # [T, draws]
    return (each[t, torch.arange(draws)] - (each.logsumexp(0) - torch.tensor(T).log())).mean().item()


def main():
    args = arguments(__doc__, 3, "alternating runs").parse_args()
    from batchbald_redux.batchbald import get_batchbald_batch
    N, T, C, K, most = (60, 20, 4, 6, 300) if args.quick else (1000, 100, 10, 10, 10_000)
    log_probs = predictions(N, T, C)
    ways = {"bdal": lambda: batch_bald(log_probs, K, stream(0, "ties"), most).tolist(),
            "batchbald_redux 2.0.5, float64": lambda: get_batchbald_batch(log_probs, K, most, dtype=torch.double).indices,
            "batchbald_redux 2.0.5, float32": lambda: get_batchbald_batch(log_probs, K, most, dtype=torch.float).indices}
    rows = {name: dict(name=name, seconds=[], cpu=[]) for name in ways}
    warnings.simplefilter("ignore")
    for _ in range(1 if args.quick else args.runs):
        for name, way in ways.items():
            before, cpu = time.perf_counter(), time.process_time()
            with open(os.devnull, "w") as quiet, contextlib.redirect_stderr(quiet):
                chosen = way()
            rows[name]["seconds"].append(time.perf_counter() - before)
            rows[name]["cpu"].append(time.process_time() - cpu)
            rows[name].update(chosen=chosen, told=told(log_probs, chosen))
            print(f"{name}: {rows[name]['seconds'][-1]:.2f} s", file=sys.stderr, flush=True)
    exact = next(b for b in range(K + 1) if C**b > most)  # so many images are chosen by all answers to those before
    save("batch_bald", dict(machine=machine(), N=N, T=T, C=C, K=K, configurations=most, exact=exact, rows=[*rows.values()]), args.quick)


if __name__ == "__main__":
    main()
