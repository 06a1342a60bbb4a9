"The report, on records made by hand whose verdicts are known."
import csv
import json
import os
import re
import subprocess
import sys
from statistics import median

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from bdal.figures import to_markdown
from bdal.report import as_read, short_in_words

METHODS = {"random": 0, "margin": 0.012, "bald": 0.01}  # gain over random from 150 labels on
EARLY = {"random": 0, "margin": 0.01, "bald": -0.02}  # and before


def write(folder, study, seed, rows, last=None):
    path = folder / study / f"trial-{seed:02d}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    header = dict(format=1, config=dict(seed=seed, start_indices=[seed], n_final=last), device="cpu: by hand", arithmetic="float32")
    path.write_text("".join(json.dumps(row) + "\n" for row in [header, *({"round": i, **row} for i, row in enumerate(rows))]))


def trial(folder, study, seed, rounds=101):
    "A learning curve with a start of its own, shared by the methods, and a little noise"
    luck, noise = np.random.default_rng(seed).normal(0, 0.01), np.random.default_rng([seed, *study.encode()])
    rows = []
    for n in range(20, 20 + 10 * rounds, 10):
        accuracy = 0.965 - 0.3 * np.exp((20 - n) / 80) + luck * np.exp(-n / 200) + (EARLY if n < 150 else METHODS)[study] + noise.normal(0, 0.002)
        new = noise.integers(0, 60000, 10).tolist() if n < 1020 else []
        rows.append(dict(n_labelled=n, train_accuracy=1.0, test_accuracy=accuracy, test_nll=1 - accuracy, indices=new, scores=[0.0] * len(new), labels=[i % 10 for i in new],
                         train_seconds=2.0, score_seconds=1.0, evaluate_seconds=1.0))
    write(folder, study, seed, rows, 1020)


def report(folder, out, *parameters):
    run = subprocess.run([sys.executable, "-m", "papermill", "--no-progress-bar", str(ROOT / "nbs" / "09_report.ipynb"), str(out), "-p", "results", str(folder), *parameters],
                         cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=400)
    assert run.returncode == 0, run.stderr[-3000:]
    with open(folder / "tables" / "verdicts.csv") as f:
        return {row["words"]: row for row in csv.DictReader(f)}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    "Ten trials of three methods and of the setup; an eleventh of margin was stopped half way"
    folder = tmp_path_factory.mktemp("report") / "results"
    for seed in range(10):
        for study in METHODS:
            trial(folder, study, seed)
        write(folder, "setup", seed, [dict(epoch=e, test_accuracy=0.994 - 0.01 / e + 1e-5 * seed, test_nll=0.2 / e, train_accuracy=0.99, train_nll=0.3 / e, train_seconds=9.0) for e in range(1, 11)])
    trial(folder, "margin", 10, rounds=40)
    rows = "".join(f"{seed},1.{seed},2.{seed}\n" for seed in range(10))
    (folder / "score_seconds.csv").write_text("network,margin,bald\n" + rows)
    return folder, report(folder, folder.parent / "out.ipynb")


def test_verdicts_are_those_of_the_records(made):
    folder, verdicts = made
    assert len(verdicts) > 30
    for words, expected in {
        "margin is more accurate than random": "supported",
        "margin is more accurate than BALD": "supported",
        "BALD is below random early": "supported",
        "BALD is above random from 150 labels on": "supported",
        "BALD is above random": "supported",
        "BALD converges more slowly than random": "refuted",
        "BALD costs more to score than margin": "supported",
        "98.74 % after 10 epochs is on a par with the literature": "refuted",
        "test accuracy is high soon, and stable": "supported",
        "random: accuracy rises fast in the first steps": "supported",
        "the heuristic gives high accuracy": "not measured yet: needs random_heuristic, random_epochs10",
        "Dirty-MNIST: margin is more accurate than BALD": "not measured yet: needs dirty_margin, dirty_bald",
    }.items():
        assert verdicts[words]["verdict"] == expected, words
    text = (folder / "REPORT.md").read_text()
    for words, row in verdicts.items():  # what the report says is what the table says
        line = next(line for line in text.splitlines() if f"| {words} |" in line)
        assert f"**{row['verdict']}{f' ({remark})' if (remark := row['remark']) else ''}**" in line
    later = verdicts["BALD is above random from 150 labels on"]
    assert abs(float(later["mean"]) - 1) < 0.2 and later["n"] == "10"
    summary = next(line for line in text.splitlines() if line.startswith("Of ")).replace("*", "")
    assert next(line for line in text.splitlines() if "| Of the reference study's" in line).split("|")[2].strip() in summary
    assert "| 10 (1 more have not come so far) |" in text
    figures = {p.stem for p in folder.glob("*.png")}
    assert figures == {"BDAL_setup_acc_and_nll", "random_aq_k10", "margin_sampling_acc", "bald_acc", "all_acc", "all_nll"}
    assert text.count("](") > len(figures) and all((folder / target).exists() for target in (t.split(")")[0] for t in text.split("](")[1:]) if not target.startswith("https://"))


def test_a_second_run_writes_the_same_bytes(made):
    folder, _ = made
    files = [folder / "REPORT.md", *sorted((folder / "tables").glob("*.csv"))]
    before = {f: f.read_bytes() for f in files}
    report(folder, folder.parent / "again.ipynb")
    assert {f: f.read_bytes() for f in files} == before and len(files) > 6


def test_five_trials_decide_nothing_by_the_exact_test(made, tmp_path):
    for seed in range(5):
        for study in ("random", "margin"):
            trial(tmp_path, study, seed, rounds=31 + 10 * (seed < 2))
    few = report(tmp_path, tmp_path / "out.ipynb", "-p", "test", "sign-flip")["margin is more accurate than random"]
    assert (few["verdict"], few["remark"]) == ("undecided", "too few trials for the test") and float(few["low"]) > 0.5
    student = report(tmp_path, tmp_path / "out.ipynb")["margin is more accurate than random"]  # too few for the exact test: Student's
    assert student["verdict"] == "supported" and student["test"] == "t" and student["n"] == "5"
    text = (tmp_path / "REPORT.md").read_text()
    assert "labels 20 to 320 of 1020" in text and "random: near-optimal with 900" in text  # as far as all five have come


def test_enough_trials_are_tested_exactly(made):
    assert {row["test"] for row in made[1].values() if row["n"]} == {"sign-flip"}  # ten pairs


def test_two_studies_are_compared_where_both_are_evaluated(tmp_path):
    for seed in range(5):
        trial(tmp_path, "bald", seed, rounds=14)
        ten = [json.loads(line) for line in (tmp_path / "bald" / f"trial-{seed:02d}.jsonl").read_text().splitlines()[1:]]
        one = [{**ten[n // 10 - 2], "n_labelled": n, "test_accuracy": 0.1} for n in range(20, 151)]  # hopeless between the tens
        for row in one[::10]:
            row["test_accuracy"] = ten[row["n_labelled"] // 10 - 2]["test_accuracy"] + 0.01 + 1e-5 * seed  # and better at them
        write(tmp_path, "bald_k1", seed, [{**row, "round": i} for i, row in enumerate(one)], 300)
    gain = report(tmp_path, tmp_path / "out.ipynb")["K = 10 is more accurate than K = 1"]
    assert gain["verdict"] == "refuted" and abs(float(gain["mean"]) + 1.002) < 1e-3


def test_what_is_missing_is_a_line(made):
    "One study is not there: the others stand, and the line says what it waits for"
    text = (made[0] / "REPORT.md").read_text()
    assert "## Dirty-MNIST, by part of the test set" in text and "Not measured yet: needs dirty_random, dirty_entropy, dirty_margin, dirty_bald." in text
    line = next(line for line in text.splitlines() if line.startswith("| BALD one at a time"))
    assert "not measured yet: needs bald_k1" in line
    assert "*all methods on Dirty-MNIST, accuracy on the clean digits: not measured yet: needs dirty_margin*" in text
    assert "| Mean accuracy minus that of random acquisition | margin +" in text  # without entropy, which has no records


def test_tables_hold_numbers():
    "A column is numbers throughout, or words to find them by; no number is inside a text"
    words = "study step claim words read_as unit test answer verdict remark question what says along number waits device arithmetic torch".split()
    for file in (ROOT / "results" / "tables").glob("*.csv"):
        table = pd.read_csv(file)
        for column in table.select_dtypes(exclude="number"):
            assert column in (*words, "ahead of", "mean accuracy, points") or table[column].isna().all(), f"{file.name}: {column} holds text"


def test_the_report_has_the_lines_in_short():
    short = short_in_words(as_read(ROOT / "results" / "tables" / "short.csv"))
    assert to_markdown(short).strip() in (ROOT / "results" / "REPORT.md").read_text(), "REPORT.md is older than the records; run: make report"


def test_the_numbers_of_the_first_page_are_the_records():
    "Computed here by plain pandas: the median over trials of the first label count from which three evaluations are at 95 %"
    page = " ".join((ROOT / "README.md").read_text().split())
    said = re.search(r"margin sampling needs \*\*(\d+) labels\*\* .* BALD needs (\d+), and random labelling needs (\d+)\. \(These are medians of (\d+) trials each", page)
    bent = re.search(r"margin needs \*\*(\d+) labels\*\*, and random labelling (\d+) \(medians of (\d+) trials each\)", page)
    told = dict(margin=(said[1], said[4]), bald=(said[2], said[4]), random=(said[3], said[4]), augmented_margin=(bent[1], bent[3]), augmented_random=(bent[2], bent[3]))
    for study, (labels, n) in told.items():
        rows = [pd.DataFrame([json.loads(line) for line in path.read_text().splitlines()[1:]]) for path in sorted((ROOT / "results" / study).glob("trial-*.jsonl"))[: int(n)]]
        held = [r.n_labelled[(r.test_accuracy >= 0.95).astype(int).iloc[::-1].rolling(3).min().iloc[::-1] == 1].min() for r in rows]
        assert median(np.nan_to_num(held, nan=np.inf)) == float(labels) and len(rows) == int(n), study
