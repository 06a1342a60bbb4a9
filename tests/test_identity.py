"A sweep knows whose record it finds, writes nothing through a link, and says early which kernel is missing."
import os
import shutil
import sys

import nbformat
import pytest
import torch
from conftest import ROOT
from torch import nn

from bdal.steps import Learner

pytest.importorskip("papermill")
pytest.importorskip("joblib")
from bdal.sweep import Study, main, plan, run  # noqa: E402

CELLS = [
    ("parameters", "from __future__ import annotations\nwidth: int = 8  # of the net\nslope: float = 0.1\nlayers: list = [8, 4]\nname: str = 'a'  # of nothing\n"
     "per_class: int = 1\nK: int = 5\nn_final: int = 14\nseed: int = 0  # of the trial\nout: str = ''"),
    ("", "import torch\nfrom torch import nn\nfrom bdal.data import Data\nfrom bdal.steps import run_trial\nfrom bdal.study import check_parameters\ncheck_parameters(globals())\n"
     "X, y = torch.randn(60, 8, generator=torch.Generator().manual_seed(0)), torch.arange(60) % 2\nd = Data('tiny', X, y, X[:20], y[:20], ('a', 'b'))\n"
     "def net(seed): return nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Dropout(.5), nn.Linear(width, 2))\n"
     "run_trial(d, 'bald', K, n_final, seed, out or None, net=net, T=2, schedule='steps 2', per_class=4)"),
    ("report", "1"),
]


SEEN = set()  # what the trial of `done` opened to write


def write_notebook(path, cells=CELLS, kernelspec="python3"):
    nb = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": kernelspec, "language": "python", "display_name": "x"}} if kernelspec else {})
    nb.cells = [nbformat.v4.new_code_cell(s, metadata={"tags": [tag] if tag else []}) for tag, s in cells]
    nbformat.write(nb, path)


def make(root, parameters="{width = 8}", **how):
    (root / "nbs").mkdir(parents=True, exist_ok=True)
    write_notebook(root / "nbs" / "own.ipynb", **how)
    (root / "nbs" / "studies.toml").write_text(f'[s]\nnotebook = "own.ipynb"\nparameters = {parameters}\n')
    return root


def trial(root, **parameters):
    return plan({"s": Study("s", root / "nbs" / "own.ipynb", 1, dict(width=8, **parameters))}, ["s"])[0]


@pytest.fixture(scope="module", autouse=True)
def kernels_of_this_tree():
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(ROOT)
    yield
    os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    "A project below a folder with braces, its notebook without a kernelspec, and its one trial, run"
    root = make(tmp_path_factory.mktemp("a {b} c") / "{0}", kernelspec=None)
    on = [True]

    def hook(event, args):
        if on and event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR) and str(args[0]).startswith(str(root)):
            SEEN.add(os.path.relpath(args[0], root))

    sys.addaudithook(hook)
    told = run(trial(root))
    on.clear()
    assert told["outcome"] == "done", told["words"]
    return root


@pytest.mark.parametrize("changed", [dict(width=32), dict(slope=0.2), dict(layers=[8]), dict(name="b"), dict(per_class=2), dict(n_final=10), dict(width=16, name="c")])
def test_a_changed_parameter_is_another_trial(done, changed):
    study = Study("s", done / "nbs" / "own.ipynb", 1, {"width": 8, **changed})
    state, words, _ = plan({"s": study}, ["s"])[0].state()
    assert state == "refused" and "is the record of another trial" in words
    for name, value in changed.items():
        assert f"{name} is" in words and repr(value) in words


def test_the_same_is_the_same(done):
    assert trial(done).state()[:2] == ("finished", "finished, 3 rounds")
    assert trial(done, slope=0.1, layers=[8, 4], name="a").state()[0] == "finished"  # its defaults, given


@pytest.mark.parametrize("old, new, said", [("nn.ReLU", "nn.Tanh", True), ("steps 2", "steps 3", True), ("import torch\n", "import torch\n\n# a remark\n! true\n", False)])
def test_a_changed_notebook_is_said(done, tmp_path, old, new, said):
    root = tmp_path / "copy"
    shutil.copytree(done, root)
    write_notebook(root / "nbs" / "own.ipynb", [(tag, s.replace(old, new)) for tag, s in CELLS])
    state, words, _ = trial(root).state()
    assert state == "finished" and ("own.ipynb has changed since" in words) == said


def test_a_changed_default_is_a_changed_parameter(done, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(done, root)
    write_notebook(root / "nbs" / "own.ipynb", [(tag, s.replace("slope: float = 0.1", "slope: float = 0.3")) for tag, s in CELLS])
    assert "slope is 0.1 there, 0.3 here" in trial(root).state()[1]


def test_what_an_old_record_lacks_is_not_compared(done, tmp_path):
    import json

    root = tmp_path / "copy"
    shutil.copytree(done, root)
    path = root / "results" / "s" / "trial-00.jsonl"
    header, *rounds = path.read_text().splitlines(True)
    header = json.loads(header)
    assert header.pop("parameters")["width"] == 8 and header.pop("notebook")["name"] == "own.ipynb"
    path.write_text(json.dumps(header) + "\n" + "".join(rounds))
    assert trial(root, name="b").state()[:2] == ("finished", "finished, 3 rounds")


FILES = ["results/s/trial-00.jsonl", "runs/s/trial-00.ipynb", "runs/s/trial-00.unfinished.ipynb", "runs/s/trial-00.lock"]


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("file", [*FILES, "runs/s", "runs", "results/s", "results"])
def test_nothing_is_written_through_a_link(tmp_path, file, inside):
    "Every file that a sweep opens to write, and the folders above"
    root, path = make(tmp_path / "project"), tmp_path / "project" / file
    there = (root / "nbs" if inside else tmp_path) / "precious"
    there.mkdir() if not path.suffix else there.write_text("precious")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(there)
    told = run(trial(root))
    assert told["outcome"] == "failed" and "remove that link" in told["words"]
    assert (there.read_text() == "precious") if there.is_file() else not list(there.iterdir())
    assert trial(root).state()[0] == "refused"


def test_every_file_that_is_opened_is_among_them(done):
    "What a trial writes, seen by an audit hook"
    written = {p.relative_to(done).as_posix() for p in done.rglob("*") if p.is_file() and "nbs" not in p.parts}
    assert SEEN and {f for f in SEEN | written if "__pycache__" not in f} <= set(FILES)


@pytest.mark.parametrize("kernel", ["myenv", "ir", "conda-env-x-py"])
def test_a_kernel_that_is_not_here(tmp_path, kernel, monkeypatch, capsys):
    monkeypatch.chdir(make(tmp_path, kernelspec=kernel))
    assert main(["s", "--dry-run"]) == 2
    assert f"asks for the kernel {kernel!r}" in (err := capsys.readouterr().err) and "choose the kernel python3" in err


def test_a_kernelspec_that_is_stale(tmp_path, monkeypatch, capsys):
    "One of another name is said; python3 is the Python that runs"
    import json

    for name in ("myenv", "python3"):
        (folder := tmp_path / "jupyter" / "kernels" / name).mkdir(parents=True)
        (folder / "kernel.json").write_text(json.dumps(dict(argv=["/removed/bin/python", "-m", "ipykernel_launcher", "-f", "{connection_file}"], display_name="x", language="python")))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.chdir(make(tmp_path / "a", kernelspec="myenv"))
    assert main(["s", "--dry-run"]) == 2 and "/removed/bin/python, which is not there" in capsys.readouterr().err
    assert run(trial(make(tmp_path / "b")))["outcome"] == "done"


X, Y = torch.randn(40, 8, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 2
THERE = dict(a=[0, 1, 2], b=[3, 4])


def other(change):
    "The same layers and names, other initial weights"

    def net(seed):
        made = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 2))
        with torch.no_grad():
            change(made)
        return made

    net.__qualname__ = "net"
    return net


def begin(path, net=other(lambda m: 0), parts=THERE, **how):
    one = Learner(X, K=3, T=2, schedule="steps 2", start=(range(8), Y[:8]), record=path, net=net, test=(X, Y), test_parts=parts, **how)
    one.record.close()
    return one


CHANGES = {
    "drawn otherwise": lambda m: nn.init.kaiming_normal_(m[0].weight),
    "a bias of zero": lambda m: m[0].bias.zero_(),
    "scaled": lambda m: m[3].weight.mul_(1.01),
    "turned": lambda m: m[0].weight.copy_(m[0].weight.flip(0)),
    "one number": lambda m: m[0].weight[0, 0].add_(0.1),
}


@pytest.mark.parametrize("posterior", ["dropout", "ensemble 2"])
@pytest.mark.parametrize("change", CHANGES)
def test_other_initial_weights_are_another_trial(tmp_path, change, posterior):
    path = tmp_path / "a.jsonl"
    begin(path, posterior=posterior)
    begin(path, posterior=posterior)
    begin(path, other(lambda m: m[0].weight.mul_(1 + 1e-7)), posterior=posterior)   # as another machine rounds
    with pytest.raises(ValueError, match="the record of another trial: the sum of the initial weights"):
        begin(path, other(CHANGES[change]), posterior=posterior)


class Own(nn.Module):
    "One and the same in layers, names and weights, whatever it computes with them"

    def __init__(self, then):
        super().__init__()
        self.a, self.b, self.drop, self.then = nn.Linear(8, 16), nn.Linear(16, 2), nn.Dropout(0.5), [then]

    def forward(self, x):
        return self.b(self.drop(self.then[0](self.a(x))))


def own(then):
    def net(seed):
        return Own(then)

    return net


@pytest.mark.parametrize("then", [torch.tanh, lambda h: h * 0 + 1, torch.sigmoid, nn.ELU(), lambda h: h.relu() * 1.1])
def test_a_network_that_computes_otherwise_is_another_trial(tmp_path, then):
    "Though its layers, names and weights are the same"
    path = tmp_path / "a.jsonl"
    begin(path, own(torch.relu))
    begin(path, own(lambda h: h.clamp(min=0) * (1 + 1e-6)))
    with pytest.raises(ValueError, match="the record of another trial: what new networks (compute|learn) .net"):
        begin(path, own(then))


class Path(nn.Module):
    "What it is made with is seen in training only"

    def __init__(self, drop_prob):
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x):
        return x * (torch.rand(len(x), 1) > self.drop_prob) if self.training else x


def hidden(kind, on):
    "A network in which something is changed that its outputs at the start do not show"

    def net(seed):
        layers = [nn.Linear(8, 16), nn.ReLU(), Path(0.8 if (kind, on) == ("a choice", True) else 0.1), nn.Dropout(0.5), nn.Linear(16, 2)]
        if on and kind == "frozen":
            layers[0].requires_grad_(False)
        if kind == "a head of zeros":
            nn.init.zeros_(layers[-1].weight), nn.init.zeros_(layers[-1].bias)
            layers[1] = Own2(torch.tanh if on else torch.relu)
        if kind == "the last class":
            layers.append(Own2(lambda out: torch.cat([out[:, :1], out[:, 1:] * (1 - 2 * on)], 1)))
        return nn.Sequential(*layers)

    return net


class Own2(nn.Module):
    def __init__(self, f):
        super().__init__()
        self.f = [f]

    def forward(self, x):
        return self.f[0](x)


@pytest.mark.parametrize("kind", ["frozen", "a choice", "a head of zeros", "the last class"])
def test_a_change_that_the_first_outputs_do_not_show(tmp_path, kind):
    path = tmp_path / "a.jsonl"
    begin(path, hidden(kind, False))
    begin(path, hidden(kind, False))
    with pytest.raises(ValueError, match="the record of another trial: (net is|what new networks (compute|learn))"):
        begin(path, hidden(kind, True))


@pytest.mark.parametrize("change", [dict(lr=0.003), dict(weight_decay=9.0)])
def test_networks_of_a_record_that_somebody_changed(tmp_path, change):
    "They are measured, and the record's own numbers say that they are others"
    import json
    import warnings

    from bdal.calibration import measures_at
    from bdal.data import Data
    from bdal.record import Record
    from bdal.steps import run_trial

    data, path, net = Data("tiny", X, Y, X, Y, ("a", "b")), tmp_path / "a.jsonl", own(torch.relu)
    run_trial(data, "bald", 3, 14, record=path, net=net, T=2, schedule="steps 20", per_class=4, progress=False).close()
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "at .* labels the record")
        measures_at(Record(path), data, [8, 14], net)
    header, *rounds = path.read_text().splitlines(True)
    header = json.loads(header)
    header["config"] |= change
    path.write_text("".join([json.dumps(header) + "\n", *rounds]))
    with pytest.warns(UserWarning, match="at 14 labels the record says NLL"):
        measures_at(Record(path), data, [14], net)


@pytest.mark.parametrize("test_nll", [None, "as it was"])
def test_a_record_whose_accuracy_somebody_changed(tmp_path, test_nll):
    "Also where NLL is as it was, or was not measured"
    import json

    from bdal.calibration import measures_at
    from bdal.data import Data
    from bdal.record import Record
    from bdal.steps import run_trial

    data, path = Data("tiny", X, Y, X, Y, ("a", "b")), tmp_path / "a.jsonl"
    run_trial(data, "bald", 3, 14, record=path, net=own(torch.relu), T=2, schedule="steps 20", per_class=4, progress=False).close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[-1]["test_accuracy"] = 0.01
    if test_nll is None: lines[-1]["test_nll"] = None
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.warns(UserWarning, match="at 14 labels the record says accuracy 0.0100"):
        measures_at(Record(path), data, [14], own(torch.relu))


@pytest.mark.parametrize("parts", [None, dict(a=[0, 1, 2]), dict(a=[0, 1, 2], b=[3, 5]), dict(a=[0, 1, 2], c=[3, 4]), dict(a=[3, 4], b=[0, 1, 2]), {**THERE, "c": [7]}])
@pytest.mark.parametrize("data", [None, dict(data="mine", fingerprint="x")])
def test_other_parts_of_the_test_set_are_another_trial(tmp_path, parts, data):
    path = tmp_path / "a.jsonl"
    begin(path, data=data)
    begin(path, parts=dict(reversed(THERE.items())), data=data) if data else begin(path)
    with pytest.raises(ValueError, match="test_parts|test is"):
        begin(path, parts=parts, data=data)


def test_a_record_that_does_not_know_its_weights_goes_on(tmp_path):
    import json

    path = tmp_path / "a.jsonl"
    begin(path)
    header = json.loads(path.read_text())
    assert {*header.pop("began")} == {"weights", "computes", "learns", "test_parts"}
    path.write_text(json.dumps(header) + "\n")
    begin(path, other(CHANGES["scaled"]))
