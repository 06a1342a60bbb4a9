"What a notebook cannot test of itself: papermill, processes, the installed wheel."
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session", autouse=True)
def interruptible():
    "Where pytest runs in the background, Ctrl-C is ignored, and would be by every process that a test starts and interrupts"
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def mnist_home(tmp_path_factory):
    "MNIST unpacked once, in a folder of the tests' own"
    home = tmp_path_factory.mktemp("bdal-home")
    subprocess.run([sys.executable, "-c", "from bdal.data import unpack_mnist; unpack_mnist()"], check=True, env={**os.environ, "BDAL_HOME": str(home)})
    return home


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="many kills, and the tests that take minutes")


@pytest.fixture
def kills(request):
    return 60 if request.config.getoption("--long") else 5


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes minutes; pytest --long, or make test-long")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--long"):
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="takes minutes: pytest --long, or make test-long"))


SMALL = [
    ("parameters", "from __future__ import annotations\nscore: str = 'bald'  # how to value an image\nK: int = 10  # images acquired in a round\n"
     "n_final: int = 60  # labels at which to stop\nseed: int = 0  # of the trial\nsteps: int = 20  # of a training\n"
     "fail: int = -1  # the seed whose trial fails, to see what happens\nout: str = ''  # the record's file"),
    ("", "from bdal.data import mnist\nfrom bdal.steps import run_trial\nfrom bdal.study import check_parameters\ncheck_parameters(globals())\nd = mnist()\n"
     "few = d.first(400, test=200)"),
    ("", "record = run_trial(few, score=score, K=K, n_final=n_final, seed=seed, T=4, schedule=f'steps {steps}', record=out or None)"),
    ("", "assert seed != fail, 'made to fail'"),
    ("report", "raise SystemExit('a trial ran the report')"),
]
STUDIES = """
[chance]
notebook = "small.ipynb"
trials = 3
parameters = {score = "random"}

[bald]
notebook = "small.ipynb"
trials = 3
parameters = {K = 8}
"""


@pytest.fixture
def project(tmp_path, mnist_home):
    "A project with two studies of a small experiment: real digits, real networks, short trainings"
    nbformat = pytest.importorskip("nbformat")
    nb = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "language": "python", "display_name": "python3"}})
    for tag, source in SMALL:
        nb.cells.append(nbformat.v4.new_code_cell(source, metadata={"tags": [tag] if tag else []}))
    (tmp_path / "nbs").mkdir()
    nbformat.write(nb, tmp_path / "nbs" / "small.ipynb")
    (tmp_path / "nbs" / "studies.toml").write_text(STUDIES)
    return tmp_path


def sweep_process(project, *args, home, **env):
    "The command, as a process in a group of its own"
    return subprocess.Popen([sys.executable, "-c", "from bdal.sweep import cli; cli()", *map(str, args)], cwd=project, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env={**os.environ, "PYTHONPATH": str(ROOT), "BDAL_HOME": str(home), **env}, start_new_session=True)
