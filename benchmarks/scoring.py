"""Sample-images a second of MC dropout: bdal beside its peers, on the same network, weights and images, alternating.

    python benchmarks/scoring.py [--n 4000] [--runs 5] [--quick]

`make bench` runs this in an environment of its own, which has the peers too."""
import importlib.util
import resource
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import nn

from bdal.data import balanced_start, mnist
from bdal.model import bayesian_cnn
from bdal.train import fit
from bdal.predict import mc_log_probs
from report import BAAL, REDUX, arguments, machine, save

T = 20


def plain_layers(net):
    "The same layers and weights, with torch's own dropout"
    swap = {"ConsistentDropout": nn.Dropout, "ConsistentDropout2d": nn.Dropout2d}
    return nn.Sequential(*[swap[type(m).__name__](m.p) if type(m).__name__ in swap else m for m in net])


def bdal(net, x, dtype=torch.float32):
    return mc_log_probs(net, x, T=T, dtype=dtype).shape


def torch_loop(net, x, batch=256):
    "The obvious way: T passes with dropout switched on"
    net = plain_layers(net).train()
    with torch.inference_mode():
        return torch.cat([torch.stack([net(b).log_softmax(-1) for _ in range(T)], 1) for b in x.split(batch)]).shape


def baal(net, x, batch=256):
    "MC dropout, caching, no replication in memory: its fastest setting"
    from baal.bayesian.caching_utils import MCCachingModule
    from baal.bayesian.dropout import MCDropoutModule
    from baal.modelwrapper import ModelWrapper, TrainingArgs

    model = MCCachingModule(MCDropoutModule(plain_layers(net).eval()))
    wrapper = ModelWrapper(model, TrainingArgs(batch_size=batch, use_cuda=False, workers=0, replicate_in_memory=False))
    data = torch.utils.data.TensorDataset(x, torch.zeros(len(x)))
    return wrapper.predict_on_dataset(data, iterations=T, verbose=False).shape


def batchbald(net, x, batch=64):
    "Consistent MC dropout of batchbald_redux"
    from batchbald_redux import consistent_mc_dropout as c

    swap = {"ConsistentDropout": c.ConsistentMCDropout, "ConsistentDropout2d": c.ConsistentMCDropout2d}
    layers = [swap[type(m).__name__](m.p) if type(m).__name__ in swap else m for m in net]

    class Net(c.BayesianModule):
        def __init__(self):
            super().__init__()
            self.shared, self.body = nn.Sequential(*layers[:3]), nn.Sequential(*layers[3:])

        def forward(self, x, k):
            return super().forward(self.shared(x), k)

        def mc_forward_impl(self, x):
            return self.body(x)

    model = Net().eval()
    for m in model.modules():
        m.training = False
    with torch.inference_mode():
        return torch.cat([model(b, T).log_softmax(-1) for b in x.split(batch)]).shape


def limit(net, x, dtype=torch.float32, batch=64):
    "The thinned second convolutions alone, in torch's best layout: what no method that runs them can beat"
    weight = net[4].weight.detach()
    keep = [int(p * (1 - d.p)) for p, d in zip(weight.shape[:2][::-1], (net[3], net[7]))]
    weight = weight[: keep[1], : keep[0]].to(dtype, memory_format=torch.channels_last)
    h = torch.rand(batch, keep[0], 12, 12).to(dtype, memory_format=torch.channels_last)
    threads = torch.get_num_threads()

    def run(_):
        with torch.inference_mode():
            for _ in range(T):
                torch.nn.functional.conv2d(h, weight)

    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(run, range(-(-len(x) // batch))))
    finally:
        torch.set_num_threads(threads)
    return (len(x), T)


WAYS = {
    "bdal, float32": bdal,
    "bdal, bfloat16": lambda net, x: bdal(net, x, torch.bfloat16),
    "torch, loop over T": torch_loop,
    BAAL: baal,
    REDUX: batchbald,
    "limit: thinned convolutions alone, float32": limit,
    "limit: thinned convolutions alone, bfloat16": lambda net, x: limit(net, x, torch.bfloat16),
}


def trained():
    data = mnist()
    start = balanced_start(data.y, 10, seed=0)
    net = bayesian_cnn(seed=0)
    fit(net, data.x[start], data.y[start], steps=100)
    return net.eval(), data.x


def memory(name, n):
    "Peak memory of one way, MiB above what was there before; in a process of its own"
    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20

    net, x = trained()
    WAYS[name](net, x[:256])
    before = peak = resident()
    worker = threading.Thread(target=WAYS[name], args=(net, x[:n]))
    worker.start()
    while worker.is_alive():
        peak = max(peak, resident())
        time.sleep(0.002)
    return peak - before


def best_batch(name, way, net, x):
    "A peer at the best of four batch sizes, tried on a part"
    tried = {}
    for batch in (16, 64, 256, 1000):
        t = time.perf_counter()
        way(net, x[:1000], batch=batch)
        tried[batch] = time.perf_counter() - t
    best = min(tried, key=tried.get)
    print(f"{name}: best batch size {best}", file=sys.stderr, flush=True)
    return lambda net, x: way(net, x, batch=best)


def main():
    args = arguments(__doc__, 5, "alternating runs of each way")
    args.add_argument("--n", type=int, default=4000, help="images")
    args.add_argument("--memory", choices=WAYS, help="print the peak memory of one way, and end")
    args = args.parse_args()
    if args.memory:
        return print(f"{memory(args.memory, args.n):.0f}")
    if args.quick:
        args.n, args.runs = 200, 2
    for name, module in {BAAL: "baal", REDUX: "batchbald_redux"}.items():
        if importlib.util.find_spec(module) is None:
            print(f"{module} is not installed here (make bench has it): left out", file=sys.stderr)
            del WAYS[name]
    net, x = trained()
    for name, way in WAYS.items():
        assert tuple(way(net, x[:300]))[0] == 300, name  # warm up, and see that it predicts
    for name in ("torch, loop over T", BAAL, REDUX):
        if name in WAYS and not args.quick:
            WAYS[name] = best_batch(name, WAYS[name], net, x)
    seconds = {name: [] for name in WAYS}
    for _ in range(args.runs):
        for name, way in WAYS.items():
            t = time.perf_counter()
            way(net, x[: args.n])
            seconds[name].append(time.perf_counter() - t)
    rows = []
    for name, s in seconds.items():
        command = [sys.executable, __file__, "--memory", name, "--n", str(args.n)]
        peak = None
        if not name.startswith("limit"):
            peak = float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()[-1])
        rows.append(dict(name=name, seconds=s, peak=peak))
    save("scoring", dict(machine=machine(), n=args.n, runs=args.runs, T=T, rows=rows), args.quick)


if __name__ == "__main__":
    main()
