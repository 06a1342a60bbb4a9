"Records that somebody has broken, on purpose or by an editor: each ends its own trial's line, and no command."
import json
import shutil

import pytest

pytest.importorskip("papermill")
pytest.importorskip("joblib")

VALUES = ("x", "", None, [], {}, [["x"]], True, -1, 2**70, float("nan"), 1e308 * 10)
CONFIG = ("rows", "K", "n_final", "seed", "score", "start_indices", "protocol", "data", "T")
ROW = ("test_accuracy", "train_accuracy", "train_seconds", "n_labelled", "indices", "scores", "labels", "round", "goes_on")


@pytest.fixture(scope="module")
def whole(mnist_home, tmp_path_factory):
    "A finished trial of the study `chance`, as the sweep would have left it"
    from bdal.data import mnist
    from bdal.steps import run_trial

    path = tmp_path_factory.mktemp("whole") / "trial.jsonl"
    few = mnist(mnist_home).first(400, test=200)
    run_trial(few, score="random", K=10, n_final=60, seed=0, T=4, schedule="steps 20", record=path, progress=False).close()
    return path.read_text()


def harm(text, at, key, value):
    "The record with one value exchanged: in its configuration, its header, its first or last round"
    header, *rounds = map(json.loads, text.splitlines())
    place = {"config": header["config"], "header": header, "first": rounds[0], "last": rounds[-1]}[at]
    if value == "gone":
        place.pop(key, None)
    else:
        place[key] = value
    return "".join(json.dumps(line) + "\n" for line in (header, *rounds))


def hostile(text):
    "Some 250 broken records"
    for value in (*VALUES, "gone"):
        yield from (harm(text, "config", key, value) for key in CONFIG)
        yield from (harm(text, at, key, value) for key in ROW for at in ("first", "last"))
        yield from (harm(text, "header", key, value) for key in ("versions", "device", "parameters", "notebook", "config", "format"))
    lines = text.splitlines(True)
    yield from ("".join(lines[:2]) * 2, "".join(reversed(lines)), lines[0] * 2, "[]\n", "\x00" * 99, '{"format": 1}\n', text.replace("0", "1e999"), "[" * 5000)


def test_one_bad_record_ends_one_line(whole, project, monkeypatch, capsys):
    "In the dry run, in the status, in tables: the other trials are there"
    from bdal.results import load_used, trials
    from bdal.sweep import main

    monkeypatch.chdir(project)
    folder = project / "results" / "chance"
    folder.mkdir(parents=True)
    good = folder / "trial-01.jsonl"
    good.write_text(whole.replace('"seed": 0', '"seed": 1'))
    found, n = {"refused": 0, "taken": 0}, 0
    for n, text in enumerate(hostile(whole), 1):
        (folder / "trial-00.jsonl").write_text(text)
        code = main(["chance", "--dry-run"])
        bad, fine, _ = capsys.readouterr().out.splitlines()
        assert fine.startswith("chance 01  finished") and bad.startswith("chance 00  "), text[:200]
        assert main(["chance", "--status"]) == 0 and len(capsys.readouterr().out.splitlines()) == 3
        try:
            load_used("chance", results=project / "results")
            trials("chance", results=project / "results")
        except ValueError as e:
            assert str(folder / "trial-00.jsonl") in str(e) or "give" in str(e) or "choose" in str(e), e
        if code:
            found["refused"] += 1
            assert "trial-00.jsonl" in bad and ("move it away" in bad or "mend" in bad), bad
        else:
            found["taken"] += 1
    assert n > 250 and found["refused"] > 150, found


def test_half_a_last_round_is_not_the_end(whole, tmp_path):
    from bdal.record import Record

    path = tmp_path / "trial.jsonl"
    path.write_text(whole)
    assert Record(path).complete
    path.write_text(harm(whole, "last", "indices", "gone"))
    assert not Record(path).complete
    shutil.rmtree(tmp_path)
