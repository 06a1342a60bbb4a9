"""RESULTS.md, made from what the parts have written into out/. No number in it is typed by hand.

    python benchmarks/report.py [--quick]     # --quick: from out/quick into out/quick, to see that it works
"""
import argparse
import json
import platform
import re
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
OUT = HERE / "out"
PARTS = ("train", "evaluate", "score")
BAAL, REDUX = "baal 2.1.0, caching", "batchbald_redux 2.0.5"
WAIT = {"train": "train, {steps} steps", "evaluate": "evaluate, T = 20", "score": "score, T = 20, a race"}


def save(part, data, quick=False):
    "Keep what a part has measured for the report, and print its section"
    folder = OUT / "quick" if quick else OUT
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{part}.json").write_text(json.dumps(data, indent=1) + "\n")
    print(SECTIONS[part]({part: data}), flush=True)


def arguments(about, runs=None, of=None):
    "The parser of a part: what all of them take"
    args = argparse.ArgumentParser(description=about)
    if runs: args.add_argument("--runs", type=int, default=runs, help=of)
    args.add_argument("--quick", action="store_true", help="tiny, to see that it works")
    return args


def machine():
    "Processor, its instructions, threads and versions; imported by the sides of a comparison, so nothing of bdal may stand above"
    import torch

    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    name = next((line.split(":")[1].strip() for line in lines if "model name" in line), platform.processor())
    amx = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)()
    name += f" ({torch.backends.cpu.get_cpu_capability()}, {'AMX' if amx else 'no AMX'})"
    return f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}, Python {platform.python_version()}"


def table(head, *rows):
    rows = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)


def spread(values):
    return f"{median(values):.2f} [{min(values):.2f}, {max(values):.2f}]"


def whole(row):
    "Seconds of each round"
    return [sum(parts) for parts in zip(*(row[p] for p in PARTS))]


def goal(reached, what):
    return f"{'reached' if reached else 'missed'} (the goal: {what})"


def threads(n):
    return "default" if n is None else f"{n} thread{'s' * (n > 1)}"


def before(d):
    b = d["before"]
    by = {(r["side"], r["threads"]): r for r in b["rows"]}
    commits = {r["side"]: r["commit"] for r in b["rows"]}
    ways = list(dict.fromkeys(t for _, t in by))
    rows = []
    for part in (*PARTS, None):
        cells = [WAIT[part].format(steps=b["steps"]) if part else "the round"]
        for t in ways:
            old, new = ((by[side, t][part] if part else whole(by[side, t])) for side in ("before", "now"))
            cells += [spread(old), spread(new), f"{median(new) / median(old):.2f}"]
        rows.append(cells)
    head = [f"a round at {b['labels']} labels, seconds"]
    for t in ways:
        head += [f"0.1.0, {threads(t)}", f"now, {threads(t)}", "ratio"]
    share = median(whole(by["now", ways[0]])) / median(whole(by["before", ways[0]]))
    return f"""## A round, before and now

bdal 0.1.0 ({commits['before']}) and now ({commits['now']}), each from its own checkout in a process of its own,
taking turns: the round of a trial, with {b['pool'] - b['labels']:,} images in the pool and {b['test']:,} test images.
Both with OMP_NUM_THREADS={b['cores']}, and both as they are by themselves, where 0.1.0 trains on all cores, and now a
small network on one. Median of {b['runs']} alternating runs [fastest, slowest].

{table(head, *rows)}

On {threads(ways[0])} the round takes {share:.2f} of 0.1.0's: {goal(share <= 0.6, 'at most 0.60')}."""


def trial(d):
    t = d["trial"]
    minutes = {name: sum(whole(row)) / 60 for name, row in t["trials"].items()}
    rows = []
    for name, row in t["trials"].items():
        each = ", ".join(f"{p} {median(row[p]):.2f}" for p in PARTS)
        rows.append([f"bdal {'0.1.0' if name == 'before' else 'now'} ({row['commit']})", f"{median(whole(row)):.1f}: {each}",
                     f"{minutes[name]:.1f}", f"{row['accuracy']:.1%}"])
    share, n = minutes["now"] / minutes["before"], len(whole(t["trials"]["now"]))
    text = f"The trial takes {share:.2f} of 0.1.0's: {goal(share <= 0.6, 'at most 0.60')}."
    if at := dict(t["baal"]["rounds"]):
        each = f"{', '.join(f'{s:.1f}' for s in at.values())} at {', '.join(map(str, at))} labels"
        rows.append(["the same loop with baal 2.1.0", each, f"{t['baal']['minutes']:.0f}, the rounds between interpolated", ""])
        times = t["baal"]["minutes"] / minutes["now"]
        text += f" It is {times:.1f} times as fast as baal's loop: {goal(times >= 15, 'at least 15')}."
        text += f" All train with our `fit`; baal predicts with its caching, in batches of {t['baal']['batch']}."
        if exact := (d.get("costs") or {}).get("parts", {}).get("all exactly"):
            now = t["trials"]["now"]
            alone = median(now["train"]) + median(now["evaluate"]) + median(exact)
            text += (" baal knows no race. Where bdal, too, scores the whole pool exactly (below), its round takes "
                     f"{alone:.1f} seconds, and baal's {median(at.values()) / alone:.1f} times as long.")
    head = [f"20 to {t['n_final']:,} labels, K = 10, BALD, T = 20", f"a round, seconds (medians of {n})", "the trial, minutes",
            "test accuracy at the end"]
    short = "" if t["n_final"] >= 1020 else f" `make bench` goes to 1,020 labels; this run ended at {t['n_final']:,}."
    return f"""## A whole trial

One trial each, with the full pool, in one run: the sides take turns, round by round, on {threads(t['threads'])};
baal's rounds are timed when the trials have come to its label counts.{short}

{table(head, *rows)}

{text}"""


def neighbours(d):
    b = d["neighbours"]
    ways = list(dict.fromkeys(r["threads"] for r in b["rows"]))
    names = {0: "quiet", 1: "one core busy", b["cores"]: "both cores busy" if b["cores"] == 2 else "all cores busy"}
    rows, worst, notes = [], dict.fromkeys(ways, 1.0), []
    for busy in dict.fromkeys(r["busy"] for r in b["rows"]):
        row = {r["threads"]: r for r in b["rows"] if r["busy"] == busy}
        took = {t: median(whole(r)) for t, r in row.items()}
        best = min(took.values())
        worst = {t: max(worst[t], took[t] / best) for t in ways}
        rows.append([names[busy], *(f"{took[t]:.1f} ({median(row[t]['train']):.1f}), {took[t] / best:.2f}" for t in ways)])
        notes += [f"{names[busy]}, {threads(t)}, {r['steps']}" for t, r in row.items() if r["steps"] < b["steps"]]
    scaled = f" Training was scaled from fewer steps than {b['steps']}: {'; '.join(notes)}." if notes else ""
    return f"""## Busy neighbours

The same round while other processes spin, one a core; by OMP_NUM_THREADS: unset, {', '.join(str(t) for t in ways if t)}.
Each cell is a process of its own, those of a row take turns.
Median seconds of a round, of {b['runs']} (of which training); times the best of the row.

{table(['', *map(threads, ways)], *rows)}

At worst it takes {', '.join(f'{worst[t]:.2f} ({threads(t)})' for t in ways)} times the best of a row.{scaled}"""


def scoring(d):
    s = d["scoring"]
    took = {r["name"]: median(r["seconds"]) for r in s["rows"]}
    peers = [p for p in (BAAL, REDUX) if p in took]
    rows = []
    for r in s["rows"]:
        speed, high, low = (s["T"] * s["n"] / f(r["seconds"]) for f in (median, min, max))
        rows.append([r["name"], f"{speed:,.0f} [{low:,.0f}, {high:,.0f}]", *(f"{took[p] / took[r['name']]:.1f}" for p in peers),
                     "" if r["peak"] is None else f"{r['peak']:.0f}"])
    text = []
    for kind in ("float32", "bfloat16"):
        if (limit := f"limit: thinned convolutions alone, {kind}") in took:
            beside = f" as this, which is {took[BAAL] / took[limit]:.1f} times baal" if BAAL in took else " as this"
            text.append(f"in {kind}, bdal's whole pass takes {took[f'bdal, {kind}'] / took[limit]:.2f} times as long{beside}")
    head = ["", "sample-images a second", *(f"times {p.split()[0]}" for p in peers), "peak memory, MiB"]
    return f"""## Scoring

Every way predicts the same images with the same network and weights; each peer at the best of four batch sizes. Peak memory
is what comes on top of data, libraries and weights, in a process of its own. {s['n']:,} images, T = {s['T']}, network
of the notebooks with p = 0.5; median of {s['runs']} alternating runs [slowest, fastest].

{table(head, *rows)}

The limit runs nothing but the thinned second convolutions, T of them, in torch's best layout: no first layer, no pooling, no
linear layers. That is as fast as thinning alone could be here: {'; '.join(text)}.
Partial products (nbs/deeper/thinning) do the second convolution once instead of T times.

bdal's float32 result is exact: within 1e-5 of the plain loop's probabilities for any chunk size (asserted in nbs/deeper/thinning).
How many of BALD's ten best bfloat16 keeps: nbs/deeper/race."""


def costs(d):
    c = d["costs"]
    lines = {}
    for r in c["grows"]:
        lines.setdefault((r["what"], r["way"]), []).append((r["at"], r["seconds"]))
    rows = [[what, way, ", ".join(f"{s:.2f} at {n:,}" for n, s in points)] for (what, way), points in lines.items()]
    points_are = f", median of {c['runs_each']} runs" if c["runs_each"] > 1 else ", one run"
    exact, race = c["parts"]["all exactly"], c["parts"]["a race"]
    points = lines["images in the pool", "race"]
    steps = ", ".join(f"{1000 * median(s) / c['steps']:.1f} ({name})" for name, s in c["augmented"].items())
    (n, first), (N, last) = points[0], points[-1]
    return f"""## How costs grow

To score {c['pool']:,} images with T = 20 takes {spread(exact)} seconds exactly, {spread(race)} in a race
(nbs/deeper/race), median of {c['runs']} alternating runs [fastest, slowest]: {median(race) / median(exact):.2f} of the time.
Each point below by itself{points_are}.

{table(['grows', '', 'seconds'], *rows)}

![Seconds against images in the pool, samples and labels](costs.png)

The race takes {last / first:.1f} times the time for {N / n:.1f} times the images.
Training does a fixed number of steps: its cost stops growing where a mini-batch is full.
At 500 labels a step takes {steps} ms, by augmentation."""


def methods(d):
    m = d["methods"]
    names = [name for name in m["rows"][0] if name != "random"]
    per = {name: [row[name] for row in m["rows"]] for name in names}
    return f"""## One score or another

What differs is a formula on the samples; the samples cost the same. {len(m['rows'])} networks trained on 100 labels
score {m['images']:,} images in a race, the scores in turn, {m['runs']} times: median of the networks [lowest, highest].

{table(['', *names], ['seconds', *(spread(per[name]) for name in names)])}"""


def batch_bald(d):
    b = d["batch_bald"]
    ours, *peers = b["rows"]
    rows = []
    for r in b["rows"]:
        same = next((i for i, (x, y) in enumerate(zip(ours["chosen"], r["chosen"])) if x != y), b["K"])
        times = median(other / own for own, other in zip(ours["cpu"], r["cpu"]))
        rows.append([r["name"], spread(r["seconds"]), spread(r["cpu"]), f"{times:.1f}", same, f"{r['told']:.3f}"])
    ratio = min(median(o / own for own, o in zip(ours["cpu"], r["cpu"])) for r in peers)
    return f"""## BatchBALD

{b['N']:,} images, T = {b['T']}, C = {b['C']}, K = {b['K']}, at most {b['configurations']:,} configurations for each: up to image
{b['exact']} by all answers, then by drawn ones. Median of {len(ours['seconds'])} alternating runs [fastest, slowest]. What a batch tells is
estimated for all by the same 20,000 fresh answers.

{table(['', 'seconds', 'seconds of the processor', 'times bdal', 'the same from the first', 'tells, nat'], *rows)}

{ratio:.1f} times as fast as the faster of the two: {goal(ratio >= 8, 'at least 8')}."""


def memory(d):
    m = d["memory"]
    rows = [[f"{r['images']:,}", r["T"], r["dtype"], r["mib"], f"{r['seconds']:.1f}"] for r in m["rows"]]
    return f"""## Memory

What scoring needs on top of data, libraries and weights, each in a process of its own.

{table(['images', 'T', 'arithmetic', 'private memory, MiB', 'seconds'], *rows)}"""


def disk(d):
    m = d["disk"]
    return f"""A pool on the disk (`memory.py --disk {m['images']}`): {m['images']:,} images in a memory-mapped file of
{m['gib']:.1f} GiB, T = {m['T']}, {m['dtype']}: {m['mib']:,} MiB private, {m['mapped']:,} MiB of the file mapped (the system's
cache, which it takes back when it needs the room)."""


def sweep(d):
    s = d["sweep"]
    return f"""## A sweep

`sweep.py`: {s['trials']} small trials of nbs/05_bald (all 60,000 images, T = 5, three rounds), once one after the
other and once on {s['jobs']} jobs: {s['one']:.0f} and {s['many']:.0f} seconds, {s['one'] / s['many']:.2f} times as fast,
the same records. (One run of each, in this order: the first also warmed the disk's cache.)"""


SECTIONS = dict(before=before, trial=trial, neighbours=neighbours, scoring=scoring, costs=costs, methods=methods,
                batch_bald=batch_bald, memory=memory, disk=disk, sweep=sweep)
EXTRA = ("disk", "sweep")  # not parts of `make bench`; in the report where they have been run


def results(d, quick=False):
    "The page, from what the parts have measured: part -> data"
    machines = dict.fromkeys(re.sub(r", \d+ threads?", "", part["machine"]) for part in d.values())
    return "\n\n".join([
        "# Speed and memory, beside 0.1.0 and the peers",
        "Made by `make bench`: each script of this folder measures, and report.py makes this page of what they have measured. "
        "Machines are noisy, and it is the ratios within one run that count. No accelerator.",
        *["**Quick runs, of tiny sizes: these numbers mean nothing.**"][:quick], "; ".join(machines) + ".",
        *(section(d) for part, section in SECTIONS.items() if part in d)]) + "\n"


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--quick", action="store_true", help="of the quick runs")
    args.add_argument("--out", type=Path, help="folder of the parts' output, and of the page")
    args = args.parse_args()
    folder = args.out or (OUT / "quick" if args.quick else OUT)
    parts = {part: json.loads(file.read_text()) for part in SECTIONS if (file := folder / f"{part}.json").exists()}
    if missing := [part for part in SECTIONS if part not in parts and part not in EXTRA]:
        raise SystemExit(f"{', '.join(missing)} not measured: make bench runs all parts")
    page = (HERE if folder == OUT else folder) / "RESULTS.md"
    page.write_text(results(parts, args.quick))
    print(page)


if __name__ == "__main__":
    main()
