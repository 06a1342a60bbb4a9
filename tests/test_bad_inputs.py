"""Whatever is given: a right result, or an error that says the cause and the cure, and no damaged file.

270 inputs in all, drawn by hypothesis, and with --long 1,080; the same ones in every run.
"""
import ast
import json
import re
import shutil
import sys
import traceback

import numpy as np
import pytest
import torch
from conftest import ROOT
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bdal.acquisition import SCORES
from bdal.data import Data, Pool, mnist, unpack_mnist
from bdal.predict import mc_log_probs
from bdal.record import Record
from bdal.steps import Protocol, run_trial
from bdal.study import check_parameters

CURE = re.compile(r"\b(give|choose|move|delete|mend|repair|drop|make|set|put|declare|leave|run|install|lower|did you mean|tag)\b")


def inputs(n):
    return settings(max_examples=4 * n if "--long" in sys.argv else n, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


def clear(error):
    "Is an error ours, with a cause and a cure?"
    last = traceback.extract_tb(error.__traceback__)[-1].filename
    return isinstance(error, (ValueError, TypeError, OSError, IndexError)) and last.startswith(str(ROOT / "bdal")) and CURE.search(str(error))


def attempt(f, *args, **kwargs):
    "(result, none) or (none, a clear error); anything else fails the test"
    try:
        return f(*args, **kwargs), None
    except Exception as error:
        if not clear(error):
            raise
        return None, error


odd = st.one_of(st.none(), st.booleans(), st.integers(-3, 10**6), st.floats(), st.text(max_size=8))
words = st.sampled_from(["bald", "random", "margin", "balld", "top_k", "power", "steps 3", "steps 0", "epochs x", "heuristic", "auto", "float16"])
fields = {name: odd | words for name in ("score", "selector", "schedule", "dtype", "K", "T", "seed", "n_final", "batch", "coldness", "lr", "race", "augment")}
fields["p"] = odd | st.lists(st.floats(-0.5, 1.5) | st.just(float("nan")), max_size=4)


@inputs(60)
@given(st.fixed_dictionaries({}, optional=fields), st.integers(1, 100), st.integers(1, 100))
@example(dict(K=True), 20, 60)
@example(dict(coldness=float("nan")), 20, 60)
def test_parameters(parameters, n_start, N):
    def sized():
        protocol = Protocol(**parameters)
        protocol.check_sizes(n_start, N)
        return protocol

    protocol, _ = attempt(sized)
    if protocol:
        assert 1 <= protocol.K <= N - n_start and protocol.T >= 1 and protocol.lr > 0 and protocol.seed >= 0
        assert protocol.n_final is None or n_start < protocol.n_final <= N


@inputs(20)
@given(st.dictionaries(st.sampled_from(["K", "score", "Kk", "scroe", "coldness"]), odd))
def test_parameters_of_a_notebook(given_parameters):
    notebook = dict(__annotations__=dict(K=int, score=str, coldness=float), K=10, score="bald", coldness=1.0)
    got, _ = attempt(check_parameters, {**notebook, **given_parameters})
    if got:
        assert type(got["K"]) is int and type(got["score"]) is str and type(got["coldness"]) in (int, float)


@pytest.fixture(scope="module")
def few(mnist_home):
    d = mnist(mnist_home)
    return d.first(60, test=20)


def trial(few, path):
    torch.set_num_threads(1)
    return run_trial(few, score="random", K=5, n_final=25, per_class=1, T=2, schedule="steps 1", record=path, progress=False)


@pytest.fixture(scope="module")
def whole(few, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "trial.jsonl"
    trial(few, path).close()
    return path.read_bytes()


@st.composite
def damage(draw, length=2500):
    "What may happen to a file: a function from bytes to bytes"
    kind, at, n = draw(st.sampled_from(["cut", "delete", "insert", "change", "double", "line", "other"])), draw(st.integers(0, length)), draw(st.integers(1, 40))
    junk = draw(st.binary(min_size=1, max_size=12) | st.sampled_from([b"\n", b"[]\n", b"{}\n", b"null", b"-1", b"1e999", b'"', b"NaN", b"\x00" * 9, b"\xff\n"]))
    return {
        "cut": lambda b: b[:at],
        "delete": lambda b: b[:at] + b[at + n :],
        "insert": lambda b: b[:at] + junk + b[at:],
        "change": lambda b: b[:at] + junk + b[at + len(junk) :],
        "double": lambda b: b + b.splitlines(True)[at % b.count(b"\n")],
        "line": lambda b: b"".join(line for i, line in enumerate(b.splitlines(True)) if i != at % b.count(b"\n")),
        "other": lambda b: junk,
    }[kind]


@inputs(60)
@given(damage())
def test_records(few, whole, tmp_path_factory, harm):
    folder = tmp_path_factory.mktemp("record")
    path, damaged = folder / "trial.jsonl", harm(whole)
    path.write_bytes(damaged)
    record, error = attempt(trial, few, path)
    if error:
        assert path.read_bytes() == damaged  # nobody's file is touched
    else:
        record.close()
        kept = damaged.rpartition(b"\n")
        assert record.complete and path.read_bytes().startswith(kept[0] + kept[1])
        assert Record(path).rounds[-1]["n_labelled"] == 25
    assert [p.name for p in folder.iterdir()] == ["trial.jsonl"]
    shutil.rmtree(folder)


@pytest.mark.parametrize("make", ["mkdir", "mkfifo"])
def test_records_that_are_no_files(few, tmp_path, make):
    path = tmp_path / "trial.jsonl"
    path.mkdir() if make == "mkdir" else __import__("os").mkfifo(path)
    _, error = attempt(trial, few, path)
    assert "is not a file; give another path" in str(error)


shapes = st.lists(st.integers(0, 4), max_size=4)


@inputs(30)
@given(shapes, st.lists(st.integers(-2, 3) | st.floats() | st.text(max_size=2), max_size=5), st.sampled_from(["float32", "uint8", "int64", "bool"]), st.floats())
def test_arrays(shape, labels, dtype, value):
    with np.errstate(all="ignore"):
        x = np.zeros(shape, dtype)
        if x.size and dtype == "float32":
            x.flat[0] = value
    data, _ = attempt(Data.from_arrays, x, labels)
    if data:
        assert torch.isfinite(data.x).all() and len(data) == len(data.y) and 0 <= data.y.min() and data.y.max() < len(data.classes)


@pytest.fixture(scope="module")
def files(mnist_home, tmp_path_factory):
    "The label files of MNIST, unpacked, in a folder that may be damaged"
    home = tmp_path_factory.mktemp("damaged")
    shutil.copytree(mnist_home, home, dirs_exist_ok=True)
    return home


@inputs(12)
@given(damage(5000), st.sampled_from(["train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"]))
def test_data_files(files, harm, name):
    path = files / "MNIST" / "raw" / name
    right = path.read_bytes()
    damaged = harm(right + b"\n" if b"\n" not in right else right)
    path.write_bytes(damaged)
    got, error = attempt(unpack_mnist, files)
    assert damaged == right if got else path.read_bytes() == damaged and "delete it" in str(error)
    path.write_bytes(right)


pytest.importorskip("papermill")
values = st.recursive(odd.filter(lambda v: v is not None), lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2), max_leaves=4)
names = st.sampled_from(["bald", "../bald", "/tmp/x", "all", "a b", "", "K", "score", "seed", "out", "notebook", "n_final", "Bald", "a/b", "..", "."]) | st.text(max_size=5)
tables = st.fixed_dictionaries({}, optional=dict(
    notebook=st.sampled_from(["small.ipynb", "../small.ipynb", "/etc/passwd", "none.ipynb", "a/small.ipynb", "small.ipynb\n", "studies.toml"]) | odd,
    trials=st.integers(-2, 5) | odd, parameters=st.dictionaries(names, values, max_size=3) | odd, says=odd, trails=odd))


def as_toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {as_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    return repr(value) if isinstance(value, float) else json.dumps(value)


@inputs(60)
@given(st.dictionaries(names, tables | values, max_size=3).map(lambda d: "\n".join(f"{json.dumps(k)} = {as_toml(v)}" for k, v in d.items() if v is not None)) | st.text(max_size=40)
       | st.builds(lambda harm: harm(b'[chance]\nnotebook = "small.ipynb"\ntrials = 3\nparameters = {score = "random"}\n').decode("utf-8", "replace"), damage(80)))
@example('[a]\nnotebook = "small.ipynb"\nparameters = {K = 3}')
@example('[a]\nnotebook = "small.ipynb"\nparameters = {out = "/tmp/elsewhere"}')
@example("a = " + "[" * 3000)
def test_studies_from_strangers(project, text):
    from bdal.sweep import load_studies, plan

    path = project / "nbs" / "strange.toml"
    path.write_text(text, encoding="utf-8", errors="replace")
    before = sorted(project.rglob("*"))
    trials, _ = attempt(lambda: plan(load_studies(path), ["all"]))
    for t in trials or []:
        assert t.record.parent.parent == project / "results" and t.executed.parent.parent == project / "runs"
        assert t.notebook == project / "nbs" / "small.ipynb" and t.name.isprintable()
    assert sorted(project.rglob("*")) == before


@inputs(30)
@given(st.lists(st.text(max_size=20) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.integers(), max_size=3))
@example(['"; import os; os.abort() #', "\\", "'''", '\\"\n', "\r\nK = 3", "{}"])
def test_a_text_stays_a_text(value):
    "What a notebook gets from a study is a literal, equal to what the file says, and no code"
    papermill = pytest.importorskip("papermill.translators")
    module = ast.parse(papermill.PythonTranslator.codify({"score": value}))
    assert len(module.body) == 1 and ast.literal_eval(module.body[0].value) == value


@pytest.mark.parametrize("classes", [["cat", "dog"], "3", 2.0, True, ("a", "b")])
def test_classes_are_counted_and_not_named(classes):
    with pytest.raises(ValueError, match="give their number"):
        Pool(torch.zeros(5, 1, 4, 4), ([0, 1], [0, 1]), classes)


@pytest.mark.parametrize("layer", [torch.nn.Dropout(1.0), torch.nn.Dropout1d(1.0), torch.nn.Dropout2d(1.0)])
def test_a_dropout_that_drops_everything_is_named(layer):
    net = torch.nn.Sequential(torch.nn.Linear(4, 3), layer, torch.nn.Linear(3, 2))
    with pytest.raises(ValueError, match="p = 1 drops everything"):
        mc_log_probs(net, torch.rand(3, 4), T=2)


@pytest.mark.parametrize("score", ["margin", "entropy", "bald", "variation_ratios"])
def test_one_class_is_nothing_to_choose_from(score):
    with pytest.raises(ValueError, match="of one class"):
        SCORES[score](torch.zeros(3, 2, 1))
