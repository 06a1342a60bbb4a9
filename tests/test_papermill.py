"The experiment notebook, as papermill runs it."
import json
import os
import re
import subprocess
import sys

import pytest
from conftest import ROOT

from bdal.study import Experiment, check_parameters

NOTEBOOK = ROOT / "nbs" / "05_bald.ipynb"


def papermill(*args, home):
    env = {**os.environ, "BDAL_HOME": str(home), "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, "-m", "papermill", "--no-progress-bar", *map(str, args)], cwd=ROOT, env=env, capture_output=True, text=True, timeout=400)


def last_line(run):
    return run.stderr.strip().splitlines()[-1]


def test_help_lists_every_parameter(mnist_home):
    run = papermill("--help-notebook", NOTEBOOK, home=mnist_home)
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    declared = ["".join(c["source"]) for c in cells if "parameters" in c["metadata"].get("tags", [])]
    assert len(declared) == 1
    for line in declared[0].splitlines():
        name, kind, meaning = line.split(":")[0], line.split(":")[1].split("=")[0].strip(), line.split("  # ")[1]
        assert f"{name}: {kind}" in run.stdout and meaning[:40] in run.stdout


@pytest.mark.parametrize(
    "parameters, cause",
    [
        (("K", 100000), "choose K from 1 to 59,980"),
        (("scroe", "bald"), "there is no parameter 'scroe'; did you mean 'score'?"),
    ],
)
def test_bad_parameters_end_before_training(parameters, cause, mnist_home, tmp_path):
    run = papermill(NOTEBOOK, tmp_path / "out.ipynb", "-p", *parameters, "-p", "out", tmp_path / "trial.jsonl", home=mnist_home)
    assert run.returncode != 0
    assert cause in last_line(run)
    assert not (tmp_path / "trial.jsonl").exists()


@pytest.mark.parametrize(
    "name, value, cause",
    [
        ("K", 0, "K is 0; give a whole number from 1"),
        ("score", "balld", "did you mean 'bald'?"),
        ("n_final", 10, "n_final is 10; choose from 21"),
        ("K", "ten", "parameter K is 'ten', of type str; give int"),
    ],
)
def test_so_do_these(name, value, cause, tmp_path):
    "The same without papermill, whose kernel takes most of the time"
    [declared] = ["".join(c["source"]) for c in json.loads(NOTEBOOK.read_text())["cells"] if "parameters" in c["metadata"].get("tags", [])]
    space = {}
    exec(declared, space)
    space.update({name: value, "out": str(tmp_path / "trial.jsonl")})
    with pytest.raises((ValueError, TypeError), match=re.escape(cause)):
        Experiment(check_parameters(space)).run()
    assert not any(tmp_path.iterdir())


def test_a_small_trial_end_to_end(mnist_home, tmp_path):
    "K=1 on the full pool: an executed notebook, a record, and a line a round while it runs"
    out = tmp_path / "trial.jsonl"
    run = papermill(NOTEBOOK, tmp_path / "out.ipynb", "-p", "K", 1, "-p", "n_final", 22, "-p", "T", 2, "-p", "schedule", "steps 50", "-p", "out", out,
                    "--stdout-file", "/dev/stdout", home=mnist_home)
    assert run.returncode == 0, run.stderr[-2000:]
    header, *rounds = map(json.loads, out.read_text().splitlines())
    assert header["format"] == 1 and header["config"]["K"] == 1 and header["config"]["data"] == "mnist"
    assert [r["n_labelled"] for r in rounds] == [20, 21, 22] and [len(r["indices"]) for r in rounds] == [1, 1, 0]
    assert [line.split()[1] for line in run.stdout.splitlines() if line.startswith("round ")][:3] == ["0", "1", "2"]
    executed = json.loads((tmp_path / "out.ipynb").read_text())
    assert not [o for c in executed["cells"] for o in c.get("outputs", []) if o["output_type"] == "error"]
