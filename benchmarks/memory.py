"""How much memory scoring needs: 60,000 images with T = 100, and a pool on the disk.

    python benchmarks/memory.py [--quick]
    python benchmarks/memory.py --disk 10000000 [--T 20]   # a file of 7.3 GiB, for a while

Private memory (RssAnon) is what a process cannot give back; the pages of a file that is mapped (RssFile) are the system's
cache, which it takes back when it needs the room.
"""
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import torch

from bdal.data import as_pool, mnist
from bdal.model import bayesian_cnn
from bdal.train import auto_dtype
from bdal.scoring import score_pool
from report import arguments, machine, save


def status():
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    return {k: int(lines[k].split()[0]) / 1024 for k in ("RssAnon", "RssFile")}


def peak(work):
    "MiB on top of what was there, and seconds"
    before, most, start = status(), status(), time.perf_counter()
    worker = threading.Thread(target=work)
    worker.start()
    while worker.is_alive():
        now = status()
        most = {k: max(most[k], now[k]) for k in most}
        time.sleep(0.005)
    return {k: round(most[k] - before[k]) for k in most}, round(time.perf_counter() - start, 1)


def main():
    args = arguments(__doc__)
    args.add_argument("--disk", type=int, default=0, help="only a pool on the disk, of so many images")
    args.add_argument("--T", type=int, default=20, help="samples for the pool on the disk")
    args.add_argument("--n", type=int, default=60_000, help="images of a pool in memory")
    args.add_argument("--dtype", help="one measurement, in this process: what an earlier one has left would be in `before`")
    args = args.parse_args()
    if args.quick:
        args.n = 500
    kinds = dict.fromkeys(("float32", str(auto_dtype()).removeprefix("torch.")))
    if not args.dtype and not args.disk:
        def one(kind):
            command = [sys.executable, __file__, "--dtype", kind, "--n", str(args.n)]
            return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        return save("memory", dict(machine=machine(), rows=[one(kind) for kind in kinds]), args.quick)
    data, net = mnist(), bayesian_cnn(p=(0.25, 0.25, 0.5), seed=0)
    if args.dtype:
        dtype = getattr(torch, args.dtype)
        score_pool(net, data.x, torch.arange(100), "bald", dtype=dtype)
        mib, seconds = peak(lambda: score_pool(net, data.x, torch.arange(args.n), "bald", 100, dtype=dtype))
        return print(json.dumps(dict(images=args.n, T=100, dtype=args.dtype, mib=mib["RssAnon"], seconds=seconds)))
    with tempfile.NamedTemporaryFile(suffix=".bin") as f:
        digits = (data.x[:, 0] * 255).round().byte().numpy()
        for start in range(0, args.disk, len(digits)):
            f.write(digits[: min(len(digits), args.disk - start)].tobytes())
        f.flush()
        pool = as_pool(np.memmap(f.name, dtype="uint8", mode="r", shape=(args.disk, 28, 28)))
        mib, seconds = peak(lambda: score_pool(net, pool, torch.arange(args.disk), "bald", args.T, dtype=auto_dtype()))
        save("disk", dict(machine=machine(), images=args.disk, gib=pool.nbytes / 2**30, T=args.T, dtype=list(kinds)[-1],
                          mib=mib["RssAnon"], mapped=mib["RssFile"], seconds=seconds), args.quick)


if __name__ == "__main__":
    main()
