"""How much memory scoring needs: 60,000 images with T = 100, and a pool on the disk.

    python benchmarks/memory.py [--disk 10000000] [--T 20]

Private memory (RssAnon) is what a process cannot give back; the pages of a file that is mapped (RssFile) are the system's
cache, which it takes back when it needs the room.
"""
import argparse
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import torch

from bdal.data import as_pool, mnist
from bdal.model import auto_dtype, bayesian_cnn
from bdal.scoring import score_pool
from scoring import machine


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
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--disk", type=int, default=0, help="images in a pool on the disk; 0: none")
    args.add_argument("--T", type=int, default=20, help="samples for the pool on the disk")
    args.add_argument("--dtype", help="one measurement, in this process: what an earlier one has left would be in `before`")
    args = args.parse_args()
    if not args.dtype:
        print(machine(), flush=True)
        for dtype in ("float32", str(auto_dtype()).removeprefix("torch.")):
            subprocess.run([sys.executable, __file__, "--dtype", dtype], check=True)
    data, net = mnist(), bayesian_cnn(p=(0.25, 0.25, 0.5), seed=0)
    if args.dtype:
        dtype = getattr(torch, args.dtype)
        score_pool(net, data.x, torch.arange(100), "bald", dtype=dtype)
        mib, seconds = peak(lambda: score_pool(net, data.x, torch.arange(60_000), "bald", 100, dtype=dtype))
        print(f"60,000 images, T = 100, {dtype}: {mib['RssAnon']} MiB on top, {seconds} s")
    elif args.disk:
        with tempfile.NamedTemporaryFile(suffix=".bin") as f:
            digits = (data.x[:, 0] * 255).round().byte().numpy()
            for start in range(0, args.disk, len(digits)):
                f.write(digits[: min(len(digits), args.disk - start)].tobytes())
            f.flush()
            pool = as_pool(np.memmap(f.name, dtype="uint8", mode="r", shape=(args.disk, 28, 28)))
            mib, seconds = peak(lambda: score_pool(net, pool, torch.arange(args.disk), "bald", args.T, dtype=auto_dtype()))
            print(f"{args.disk:,} images on the disk ({pool.nbytes / 2**30:.1f} GiB), T = {args.T}, {auto_dtype()}: "
                  f"{mib['RssAnon']} MiB private, {mib['RssFile']} MiB of the file mapped, {seconds} s")


if __name__ == "__main__":
    main()
