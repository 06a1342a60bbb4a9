"The page of the benchmarks, on measurements made up, whose ratios are known."
import json
import subprocess
import sys

from conftest import ROOT

PARTS = ("train", "evaluate", "score")


def rounds(*seconds, n=3, **row):
    return dict(**row, commit="abc", **{part: [s] * n for part, s in zip(PARTS, seconds)})


def made_up(slow=10.0):
    "What the parts would write, had 0.1.0 taken `slow` seconds to train"
    about = dict(machine="A CPU, 2 threads, torch 0", cores=2, runs=3, steps=300)
    took = {"bdal, float32": 2, "bdal, bfloat16": 1, "baal 2.1.0, caching": 8, "batchbald_redux 2.0.5": 6,
            "limit: thinned convolutions alone, float32": 1}
    return dict(
        before=dict(**about, labels=500, pool=60_000, test=10_000, rows=[
            rounds(s, 1, 1, side=side, threads=t) for t in (2, None) for side, s in (("before", slow), ("now", 4))]),
        trial=dict(**about, threads=2, n_final=1020, baal=dict(rounds=[[20, 100.0], [1000, 120.0]], batch=64, minutes=200.0),
                   trials={side: rounds(s, 1, 1, n=100, accuracy=0.98) for side, s in (("before", slow), ("now", 4))}),
        neighbours=dict(**about, rows=[
            rounds((1 + busy) * (t or 1), 1, 1, busy=busy, threads=t, steps=300 if t != 2 else 50)
            for busy in (0, 1, 2) for t in (None, 1, 2)]),
        scoring=dict(**about, n=1000, T=20, rows=[
            dict(name=name, seconds=[s], peak=None if "limit" in name else 50.0) for name, s in took.items()]),
        costs=dict(**about, runs_each=1, pool=59_500, augmented=dict(none=[3.0], elastic=[3.3]), parts={"all exactly": [8.0], "a race": [4.0]}, grows=[
            dict(what="images in the pool", way=way, at=n, seconds=n / 1e4)
            for way in ("exact", "race") for n in (7_500, 15_000)]),
        batch_bald=dict(**about, N=1000, T=100, C=10, K=10, configurations=10_000, exact=5, rows=[
            dict(name=name, seconds=[t], cpu=[t], chosen=chosen, told=4.4) for name, t, chosen in
            (("bdal", 1.0, [3, 1, 2]), ("one", 30.0, [3, 1, 2]), ("other", 20.0, [3, 1, 4]))]),
        methods=dict(**about, images=20_000, T=20, rows=[dict(random=0, margin=1.0, bald=2.0)]),
        memory=dict(**about, rows=[dict(images=60_000, T=100, dtype="float32", mib=300, seconds=9.0)]))


def report(folder, parts):
    for part, data in parts.items():
        (folder / f"{part}.json").write_text(json.dumps(data))
    return subprocess.run([sys.executable, ROOT / "benchmarks" / "report.py", "--out", folder], capture_output=True, text=True)


def test_ratios_are_those_of_the_measurements(tmp_path):
    assert report(tmp_path, made_up()).returncode == 0
    page = (tmp_path / "RESULTS.md").read_text()
    for line in ("| train, 300 steps | 10.00 [10.00, 10.00] | 4.00 [4.00, 4.00] | 0.40 |",
                 "the round takes 0.50 of 0.1.0's: reached",
                 "The trial takes 0.50 of 0.1.0's: reached", "20.0 times as fast as baal's loop: reached",
                 "baal's 8.5 times as long",
                 "| both cores busy | 5.0 (3.0), 1.00 | 5.0 (3.0), 1.00 | 8.0 (6.0), 1.60 |", "quiet, 2 threads, 50",
                 "At worst it takes 1.00 (default), 1.00 (1 thread), 1.60 (2 threads)",
                 "| bdal, bfloat16 | 20,000 [20,000, 20,000] | 8.0 | 6.0 | 50 |",
                 "2.00 times as long as this, which is 8.0 times baal",
                 "| other | 20.00 [20.00, 20.00] | 20.00 [20.00, 20.00] | 20.0 | 2 | 4.400 |", "20.0 times as fast as the faster",
                 "2.0 times the time for 2.0 times the images", "a step takes 10.0 (none), 11.0 (elastic) ms", "A CPU, torch 0."):
        assert line in page, line
    assert "A sweep" not in page


def test_goals_may_be_missed(tmp_path):
    assert report(tmp_path, made_up(slow=5.0)).returncode == 0
    page = (tmp_path / "RESULTS.md").read_text()
    assert page.count("0.86 of 0.1.0's: missed") == 2


def test_a_part_that_was_not_run_is_named(tmp_path):
    parts = made_up()
    del parts["costs"]
    run = report(tmp_path, parts)
    assert run.returncode and "costs not measured" in run.stderr and not (tmp_path / "RESULTS.md").exists()
