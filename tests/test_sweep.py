"Sweeps, as a person starts them: by the command, in processes, two at once, and with things going wrong."
import json
import os
import re
import signal
import subprocess
import sys
import time

import psutil
import pytest
from conftest import ROOT, sweep_process
from kill_trials import results

pytest.importorskip("papermill")
pytest.importorskip("joblib")


def finish(process, timeout=300):
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err


def records(project, *studies):
    return {p: results(p) for study in studies for p in sorted((project / "results" / study).glob("*.jsonl"))}


def until(what, seconds=100):
    "Wait for something to become true"
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def lines(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


def below(process, what=""):
    "Processes started by a process, and by those; with a word of their command line"
    return [p for p in psutil.Process(process.pid).children(recursive=True) if what in " ".join(p.cmdline())]


@pytest.mark.slow
def test_two_studies_once_and_again(project, mnist_home):
    "One fails, the others are run; the exit code and the last lines say so; the second sweep runs only what is left"
    toml = project / "nbs" / "studies.toml"
    mended = toml.read_text()
    toml.write_text(mended.replace("K = 8", "K = 8, fail = 0").replace("trials = 3", "trials = 2"))
    code, out, err = finish(sweep_process(project, "chance", "bald", "--jobs", 2, home=mnist_home))
    assert code == 1, err
    assert "chance: 2 of 2 trials complete" in out and "bald: 1 of 2 trials complete" in out
    assert "bald 00 failed: AssertionError: made to fail; see" in out
    assert (project / "runs" / "bald" / "trial-00.unfinished.ipynb").exists() and not (project / "runs" / "bald" / "trial-00.ipynb").exists()
    for line in out.splitlines():  # a log file of whole lines
        assert line[2] == line[5] == ":" and "\r" not in line and "\x1b" not in line
    assert " round " in out
    for study in ("chance", "bald"):
        header = json.loads((project / "results" / study / "trial-01.jsonl").read_text().splitlines()[0])
        assert header["config"]["seed"] == 1 and header["device"].endswith(" 1 threads")
    executed = json.loads((project / "runs" / "chance" / "trial-01.ipynb").read_text())
    assert "report" not in [t for c in executed["cells"] for t in c["metadata"]["tags"]]
    before = records(project, "chance", "bald")
    toml.write_text(mended.replace("trials = 3", "trials = 2"))
    code, out, err = finish(sweep_process(project, "all", home=mnist_home))
    assert code == 0, out
    assert "bald: 2 of 2 trials complete" in out and records(project, "chance", "bald") == before


@pytest.mark.slow
def test_killed_sweeps_leave_nobody_behind_and_go_on(project, mnist_home):
    "The sweep's own process, a worker and a kernel are killed; nothing lives on, and the same command ends with the same records"
    args = ("chance", "--trials", 2, "--jobs", 2)
    first = project / "results" / "chance" / "trial-00.jsonl"
    process = sweep_process(project, *args, home=mnist_home)
    until(lambda: lines(first) >= 2)
    everybody = below(process)
    assert len(below(process, "ipykernel")) == 2
    process.kill()
    process.communicate()
    until(lambda: not [p for p in everybody if p.is_running() and p.status() != psutil.STATUS_ZOMBIE], 10)
    begun = first.read_bytes().rpartition(b"\n")[0]
    process = sweep_process(project, *args, home=mnist_home)
    until(lambda: below(process, "ipykernel"))
    below(process, "ipykernel")[0].kill()
    code, out, _ = finish(process)
    assert code == 0, out
    assert first.read_bytes().startswith(begun)
    killed = records(project, "chance")
    for path in killed:
        path.unlink()
    code, out, _ = finish(sweep_process(project, *args, home=mnist_home))
    assert code == 0 and records(project, "chance") == killed


@pytest.mark.slow
def test_a_lost_worker(project, mnist_home):
    "Joblib's pool breaks when a worker is killed; the sweep goes on with another"
    process = sweep_process(project, "chance", "--jobs", 2, home=mnist_home)
    until(lambda: lines(project / "results" / "chance" / "trial-00.jsonl") >= 2)
    below(process, "ipykernel")[0].parent().kill()
    code, out, _ = finish(process)
    assert code == 0, out
    assert "workers were lost" in out and "chance: 3 of 3 trials complete" in out


def test_two_sweeps_at_once_share_the_work(project, mnist_home):
    "Every trial is run by one of them, and whoever meets the other says so"
    args = ("chance", "--trials", 3, "--jobs", 1)
    both = [sweep_process(project, *args, home=mnist_home) for _ in range(2)]
    ends = [finish(p) for p in both]
    outs = [out for _, out, _ in ends]
    assert any("elsewhere: another sweep is running it" in out for out in outs)
    for seed in range(3):
        path = project / "results" / "chance" / f"trial-{seed:02d}.jsonl"
        config, *rounds = map(json.loads, path.read_text().splitlines())
        assert [r["round"] for r in rounds] == [0, 1, 2, 3, 4] and not rounds[-1]["indices"]
        done = [float(s) for out in outs for s in re.findall(rf"chance {seed:02d}  done: finished, 5 rounds \(([0-9.]+) s\)", out)]
        assert sum(seconds > 1 for seconds in done) == 1  # the other found it finished, or left it alone
        notebook = json.loads((project / "runs" / "chance" / f"trial-{seed:02d}.ipynb").read_text())
        assert len([c for c in notebook["cells"] if c.get("execution_count")]) == 5
    for code, out, _ in ends:
        assert (code == 0) == ("chance: 3 of 3 trials complete" in out)
        assert code == 0 or "another sweep is running it" in out
    assert not list((project / "runs" / "chance").glob("*.unfinished.ipynb"))


FLAKY = """
import os, sys
counter = os.environ["FLAKY"]
if "ipykernel_launcher" in " ".join(sys.orig_argv):
    with open(counter, "a") as f: f.write("x")
    if os.path.getsize(counter) <= int(os.environ["FLAKY_STARTS"]):
        import socket, json
        os._exit(3)
"""


@pytest.mark.parametrize("starts, code", [(1, 0), (9, 1)])
def test_a_kernel_that_does_not_start(project, mnist_home, starts, code):
    "It is started again, up to three times"
    (project / "site").mkdir()
    (project / "site" / "sitecustomize.py").write_text(FLAKY)
    env = dict(PYTHONPATH=f"{project / 'site'}{os.pathsep}{ROOT}", FLAKY=str(project / "starts"), FLAKY_STARTS=str(starts))
    got, out, err = finish(sweep_process(project, "chance", "--trials", 1, "--jobs", 2, home=mnist_home, **env))
    assert got == code, out + err
    assert "leaked" not in err
    assert (project / "starts").read_text() == ("xx" if code == 0 else "xxx")
    assert code == 0 or "chance 00 failed: its kernel died 3 times" in out


@pytest.mark.parametrize(
    "args, cause",
    [
        (("balld",), "there is no study 'balld'; did you mean 'bald'?"),
        ((), "no study is named; choose from chance, bald, all"),
        (("chance", "--trials", "0"), "trials is 0; give a whole number from 1"),
        (("chance", "--jobs", "-1"), "jobs is -1; give a whole number from 1"),
        (("chance", "--backend", "slurm"), "there is no backend 'slurm'"),
        (("chance", "--backend", "dask"), "no scheduler is given"),
        (("chance", "--file", "none.toml"), "there is no file none.toml"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_starts(project, args, cause, monkeypatch, capsys):
    from bdal.sweep import main

    monkeypatch.chdir(project)
    assert main(args) == 2
    assert cause in capsys.readouterr().err
    assert sorted(p.name for p in project.iterdir() if p.name != "bdal-home") == ["nbs"]


def test_what_to_install(project, monkeypatch, capsys):
    from bdal.sweep import main

    monkeypatch.chdir(project)
    monkeypatch.setitem(sys.modules, "papermill", None)
    assert main(["chance"]) == 2
    assert "a sweep needs papermill" in (err := capsys.readouterr().err) and "install it: pip install -e '.[dev]'" in err


def test_tables_of_python_3_10(project, monkeypatch):
    "There, tomli reads what tomllib reads later"
    pytest.importorskip("tomli")
    from bdal.sweep import load_studies

    studies = load_studies(project / "nbs" / "studies.toml")
    monkeypatch.setattr(sys, "version_info", (3, 10))
    monkeypatch.setitem(sys.modules, "tomllib", None)
    assert load_studies(project / "nbs" / "studies.toml") == studies


def test_the_projects_own_studies(capsys):
    "Each names a notebook and parameters that exist"
    from bdal.sweep import check_study, load_studies

    studies = load_studies(ROOT / "nbs" / "studies.toml")
    assert {"bald", "random"} <= set(studies)
    for study in studies.values():
        check_study(study)


def test_a_link_out_of_the_project_is_refused(project, tmp_path_factory):
    from bdal.sweep import load_studies, plan, run

    outside = tmp_path_factory.mktemp("outside")
    (project / "results").mkdir()
    (project / "results" / "chance").symlink_to(outside)
    told = run(plan(load_studies(project / "nbs" / "studies.toml"), ["chance"])[0])
    assert told["outcome"] == "failed" and "remove that link" in told["words"]
    assert not list(outside.iterdir())


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.slow
def test_stopped_by_a_person(project, mnist_home, jobs):
    "Ctrl-C: the trials end too, and the exit code says so"
    process = sweep_process(project, "chance", "--jobs", jobs, home=mnist_home)
    until(lambda: lines(project / "results" / "chance" / "trial-00.jsonl") >= 2)
    everybody = below(process)
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process, 30)
    assert code == 130 and err.endswith("bdal_sweep: stopped; the same command goes on from here\n")
    until(lambda: not [p for p in everybody if p.is_running() and p.status() != psutil.STATUS_ZOMBIE], 10)


@pytest.mark.slow
def test_one_by_one_by_loky_by_dask(project, mnist_home):
    "Ten trials of BALD, seed for seed, by three ways: the same records"
    n, found = 10, {}
    ways = {"one": ("--jobs", 1), "loky": ("--jobs", 2)}
    cluster = None
    try:
        if cluster := dask_cluster(project, mnist_home):
            ways["dask"] = ("--backend", "dask", "--scheduler", cluster[0])
        for name, args in ways.items():
            code, out, err = finish(sweep_process(project, "bald", "--trials", n, *args, home=mnist_home), 900)
            assert code == 0, out + err
            found[name] = records(project, "bald")
            assert len(found[name]) == n
            for path in found[name]:
                path.rename(path.with_suffix(f".{name}"))
    finally:
        stop(cluster)
    assert all(r == found["one"] for r in found.values())


def dask_cluster(project, home, workers=2, **more):
    "A scheduler and workers on this machine: (address, processes)"
    if not __import__("importlib.util").util.find_spec("distributed"):
        return None
    env = {**os.environ, "PYTHONPATH": str(ROOT), "BDAL_HOME": str(home), "DASK_DISTRIBUTED__SCHEDULER__DASHBOARD__STATUS": "", **more}
    file = project / "scheduler.json"

    def dask(*args):
        return subprocess.Popen([sys.executable, "-m", "dask", *args], env=env, cwd=project, stdout=subprocess.DEVNULL, stderr=open(project / "dask.log", "a"), start_new_session=True)

    processes = [dask("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file))]
    until(lambda: file.exists() and file.read_text().strip())
    address = json.loads(file.read_text())["address"]
    return address, processes + [dask("worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1") for _ in range(workers)]


def stop(cluster):
    for p in reversed(cluster[1] if cluster else []):
        os.killpg(p.pid, signal.SIGKILL) if p.poll() is None else None
        p.wait()


@pytest.mark.parametrize("allowed", [3, 0])  # workers that a task may lose before Dask gives it up; then we ask again
@pytest.mark.slow
def test_a_dask_worker_killed_in_mid_run(allowed, project, mnist_home):
    "Its trial is finished by the other worker, and no record is torn"
    pytest.importorskip("distributed")
    cluster = dask_cluster(project, mnist_home, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=str(allowed))
    try:
        process = sweep_process(project, "chance", "--trials", 3, "--backend", "dask", "--scheduler", cluster[0], home=mnist_home)
        at_work = [project / "results" / "chance" / f"trial-0{i}.jsonl" for i in range(2)]
        until(lambda: all(lines(p) >= 2 for p in at_work))
        victim = cluster[1][1]
        assert below(victim, "ipykernel")
        victim.kill()
        code, out, err = finish(process)
    finally:
        stop(cluster)
    assert code == 0, out + err
    assert "chance: 3 of 3 trials complete" in out
    for lines_of in records(project, "chance").values():
        assert len(lines_of) == 1 + 5 + 1 and lines_of[-1] == b""


@pytest.mark.slow
def test_a_scheduler_killed_in_mid_run(project, mnist_home):
    "The sweep ends, and says that it is not complete"
    cluster = dask_cluster(project, mnist_home)
    try:
        process = sweep_process(project, "chance", "--backend", "dask", "--scheduler", cluster[0], home=mnist_home)
        until(lambda: lines(project / "results" / "chance" / "trial-00.jsonl") >= 2)
        cluster[1][0].kill()
        code, out, err = finish(process)
    finally:
        stop(cluster)
    assert code == 1 and "its workers were lost" in out, out + err


def test_workers_lost_one_after_another(project, monkeypatch):
    "As long as trials are finished we go on; where nothing comes any more, three times and no more"
    from bdal.sweep import load_studies, plan, sweep

    trials, begun = plan(load_studies(project / "nbs" / "studies.toml"), ["chance"], 5), []

    def one_and_gone(todo, *_):
        yield dict(study=todo[0].study, seed=todo[0].seed, outcome="done", words="", seconds=0, starts=1)
        if len(todo) > 1:
            raise RuntimeError("a worker was killed")

    def gone(todo, *_):
        begun.append(len(todo))
        raise RuntimeError("a worker was killed")
        yield

    monkeypatch.setattr("bdal.sweep._outcomes", one_and_gone)
    assert [r["outcome"] for r in sweep(trials)] == ["done"] * 5
    monkeypatch.setattr("bdal.sweep._outcomes", gone)
    assert [r["outcome"] for r in sweep(trials)] == ["failed"] * 5 and begun == [5] * 3


def test_a_log_on_a_full_disk(monkeypatch):
    from bdal.sweep import _say

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("builtins.print", full)
    _say("a line")


def test_no_cluster_where_one_is_said_to_be(project, capsys):
    pytest.importorskip("distributed")
    from bdal.sweep import main

    assert main(["chance", "--file", str(project / "nbs" / "studies.toml"), "--backend", "dask", "--scheduler", "tcp://127.0.0.1:1"]) == 2
    assert "no Dask cluster works at tcp://127.0.0.1:1" in capsys.readouterr().err
