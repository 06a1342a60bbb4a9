"What a person may give by mistake, one by one: each is taken, or answered in words of ours, before anything is trained."
import io
import pickle
import sys
import threading
import traceback
import warnings

import numpy as np
import pytest
import torch
from conftest import ROOT
from PIL import Image
from test_zoo import By
from torch import nn

from bdal.acquisition import SCORES, acquire
from bdal.data import Data, Pool, as_inputs, as_labels, balanced_start
from bdal.predict import evaluate, mc_log_probs, measure
from bdal.record import Record
from bdal.steps import Learner, Protocol, run_trial
from bdal.train import elastic, fit

X, Y = torch.randn(40, 8, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 2
START = (list(range(8)), Y[:8])
QUICK = dict(K=3, T=4, schedule="steps 3")


def mlp(seed):
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 2))


class Net(nn.Module):
    "A function of features, hidden layer and itself, behind a dropout"

    def __init__(self, give, D=8):
        super().__init__()
        self.a, self.drop, self.b, self.give = nn.Linear(D, 16), nn.Dropout(0.5), nn.Linear(16, 2), give

    def forward(self, x):
        return self.give(self, self.b(self.drop(self.a(x).relu())))


def net(give):
    return lambda seed: Net(give)


TRUNK = nn.Sequential(nn.Linear(8, 16), nn.ReLU())


class Shuffled(nn.Module):
    "With numbers that torch.manual_seed does not reach, and that state_dict does not hold"

    def __init__(self, seed):
        super().__init__()
        self.a, self.drop, self.b = nn.Linear(8, 16), nn.Dropout(0.5), nn.Linear(16, 2)
        self.order = torch.from_numpy(np.random.default_rng().permutation(8))

    def forward(self, x):
        return self.b(self.drop(self.a(x[:, self.order]).relu()))


class Bag(nn.Module):
    def __init__(self, sparse):
        super().__init__()
        self.e, self.drop, self.o = nn.EmbeddingBag(50, 8, sparse=sparse), nn.Dropout(0.5), nn.Linear(8, 2)

    def forward(self, x):
        return self.o(self.drop(self.e(x.long())))


def learner(x=X, start=START, **how):
    return Learner(x, start=start, **{"net": mlp, **QUICK, **how})


def conv(seed):   # without nn.Flatten
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Dropout(0.5), nn.Conv2d(4, 2, 3))


def named(seed):
    return By(lambda m, x: m.b(input=m.drop(input=m.a(input=x).relu())), a=nn.Linear(8, 16), drop=nn.Dropout(0.5), b=nn.Linear(16, 2))


def normed(seed):
    return nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Dropout(0.5), nn.Linear(16, 2))


def bilinear(seed):
    return By(lambda m, x: m.b(m.drop(m.a(x)), x), a=nn.Linear(8, 6), drop=nn.Dropout(0.5), b=nn.Bilinear(6, 8, 2))


REFUSED = {
    "a trunk that all networks share": (lambda: learner(net=lambda s: nn.Sequential(TRUNK, nn.Dropout(0.5), nn.Linear(16, 2))), "share weights"),
    "a state of its own": (lambda: learner(net=Shuffled), "another answer"),
    "device cuda without one": (lambda: learner(device="cuda"), "device 'cuda'"),
    "device mps without one": (lambda: learner(device="mps"), "device 'mps'"),
    "device that is none": (lambda: learner(device="gpu"), "device 'gpu'"),
    "tuple outputs": (lambda: learner(net=net(lambda n, z: (z, z))), "give logits"),
    "dict outputs": (lambda: learner(net=net(lambda n, z: dict(logits=z))), "give logits"),
    "tuple outputs when it trains": (lambda: learner(net=net(lambda n, z: (z, z) if n.training else z)), "when it trains"),
    "tuple outputs, in mc_log_probs": (lambda: mc_log_probs(Net(lambda n, z: (z, z)), X, 2), "logits"),
    "dict outputs, in evaluate": (lambda: evaluate(Net(lambda n, z: dict(logits=z)), X, Y, 2), "logits"),
    "tuple outputs, in fit": (lambda: fit(Net(lambda n, z: (z, z)), X, Y, steps=1), "logits"),
    "signals for an LSTM": (lambda: learner(torch.randn(40, 20, 5), net=lambda s: nn.LSTM(5, 3)), "x.squeeze(1)"),
    "signals for a convolution": (lambda: learner(torch.randn(40, 3, 50), net=lambda s: nn.Sequential(nn.Conv1d(3, 4, 3), nn.Dropout(), nn.Flatten(), nn.Linear(192, 2))), "x.squeeze(1)"),
    "no flatten, thinned": (lambda: mc_log_probs(conv(0), torch.randn(4, 1, 8, 8), 2), "logits"),
    "no flatten": (lambda: learner(torch.randn(40, 1, 8, 8), net=conv), "give logits"),
    "logits of minus infinity": (lambda: learner(net=net(lambda n, z: z.masked_fill(torch.tensor([False, True]), -float("inf")))), "a finite"),
    "Dropout(1.) as a layer": (lambda: learner(net=lambda s: nn.Sequential(nn.Linear(8, 4), nn.Dropout(1.0), nn.Linear(4, 2))), "p below 1"),
    "Dropout2d(1.)": (lambda: mc_log_probs(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Dropout2d(1.0), nn.Flatten(), nn.Linear(72, 2)), torch.randn(4, 1, 8, 8), 2), "p below 1"),
    "sparse embeddings": (lambda: learner(torch.randint(0, 50, (40, 6)), net=lambda s: Bag(True)), "sparse=False"),
    "sparse inputs": (lambda: learner(X.to_sparse()), "to_dense"),
    "complex inputs": (lambda: as_inputs(X.to(torch.complex64)), "real"),
    "labels beyond int64": (lambda: learner(start=([0, 1], [0, 2**70])), "class numbers"),
    "labels near 2**63": (lambda: as_labels(np.array([2**63], dtype="uint64")), "class numbers"),
    "labels that are names": (lambda: learner(start=([0, 1], ["a", "b"])), "class numbers"),
    "unknown keyword": (lambda: learner(scroe="bald"), "did you mean 'score'"),
    "unknown keyword of Learner's own": (lambda: learner(tset=(X, Y)), "did you mean 'test'"),
    "unknown keyword of Protocol": (lambda: Protocol(shedule="steps 3"), "did you mean 'schedule'"),
    "unknown keyword of run_trial": (lambda: run_trial(None, sed=3), "did you mean 'seed'"),
    "nothing left": (lambda: learner(start=(range(40), Y)), "nothing is left"),
    "more than is left": (lambda: learner(K=33), "choose K from 1 to 32"),
    "acquire from nothing": (lambda: acquire(torch.tensor([]), 1), "nothing to choose from"),
    "acquire K = 1.2": (lambda: acquire(torch.rand(9), 1.2), "whole number"),
    "acquire K = True": (lambda: acquire(torch.rand(9), True), "whole number"),
    "acquire K a text": (lambda: acquire(torch.rand(9), "3"), "whole number"),
    "pool_idx too short": (lambda: acquire(torch.rand(9), 3, pool_idx=[1, 2]), "as many indices"),
    "pool_idx of fractions": (lambda: acquire(torch.rand(9), 3, pool_idx=np.linspace(0, 1, 9)), "whole numbers"),
    "coldness a text": (lambda: acquire(torch.rand(9), 3, "power", coldness="hot"), "positive number"),
    "seed a text": (lambda: acquire(torch.rand(9), 3, seed="a"), "seed"),
    "one class": (lambda: SCORES["margin"](torch.zeros(3, 2, 1)), "two or more"),
    "start with a mask": (lambda: balanced_start(Y, among=torch.rand(39) > 0.5), "mask.nonzero()"),
    "start among too large": (lambda: balanced_start(Y, among=[0, 99]), "0 to 39"),
    "start among negative": (lambda: balanced_start(Y, among=[-1, 3]), "0 to 39"),
    "start of texts": (lambda: balanced_start(["a", "b"]), "class numbers"),
    "start per class a fraction": (lambda: balanced_start(Y, 1.5), "whole number"),
    "test_parts negative": (lambda: learner(test=(X, Y), test_parts=dict(a=[-1])), "indices into the test set"),
    "test_parts without a name": (lambda: learner(test=(X, Y), test_parts={"": [1]}), "name"),
    "test_parts of fractions": (lambda: learner(test=(X, Y), test_parts=dict(a=[0.5])), "whole numbers"),
    "data with a choice in it": (lambda: learner(data=dict(K=99, seed=7)), "data"),
    "data a text": (lambda: learner(data="mnist"), "data"),
    "complex parameters": (lambda: learner(net=lambda s: By(lambda m, x: m.b(m.drop(((x + 0j) @ m.w).abs())), w=nn.Parameter(torch.randn(8, 16, dtype=torch.complex64)), drop=nn.Dropout(), b=nn.Linear(16, 2))), "complex parameters"),
    "all frozen": (lambda: learner(net=lambda s: mlp(s).requires_grad_(False)), "frozen"),
    "batch norm, batch of 1": (lambda: learner(net=normed, batch=1), "give batch from 3"),
    "batch norm, batch of 2": (lambda: learner(net=normed, batch=2), "give batch from 3"),
    "batch norm, batch of 1, an ensemble": (lambda: learner(net=normed, batch=1, posterior="ensemble 2"), "give batch from 3"),
    "elastic tables": (lambda: learner(augment="elastic"), "augment='none'"),
    "more than inputs in training": (lambda: learner(net=net(lambda n, z: z[n.target] if n.training else z)), "when it trains"),
    "no gradient": (lambda: learner(net=net(lambda n, z: z.detach())), "cuts their gradients off"),
    "an operation without bfloat16": (lambda: learner(net=bilinear, dtype="bfloat16"), "give dtype='float32'"),
    "fit: labels too large": (lambda: fit(mlp(0), X, Y + 1, steps=1), "give labels from 0"),
    "fit: labels negative": (lambda: fit(mlp(0), X, Y - 1, steps=1), "give labels from 0"),
    "fit: names": (lambda: fit(mlp(0), X, ["a"] * 40, steps=1), "class numbers"),
    "fit: an array": (lambda: fit(mlp(0), X.numpy(), Y, steps=1), "as_inputs"),
    "fit: NaN": (lambda: fit(mlp(0), X * float("nan"), Y, steps=1), "as_inputs"),
    "fit: another shape": (lambda: fit(mlp(0), X[:, :7], Y, steps=1), "made for"),
    "fit: bytes": (lambda: fit(mlp(0), X.byte(), Y, steps=1), "made for"),
    "fit: steps a fraction": (lambda: fit(mlp(0), X, Y, steps=1.5), "whole number"),
    "fit: steps a text": (lambda: fit(mlp(0), X, Y, steps="3"), "whole number"),
    "fit: batch none": (lambda: fit(mlp(0), X, Y, steps=1, batch=None), "whole number"),
    "fit: lr negative": (lambda: fit(mlp(0), X, Y, steps=1, lr=-1), "above 0"),
    "fit: weight decay a text": (lambda: fit(mlp(0), X, Y, steps=1, weight_decay="a"), "from 0"),
    "fit: dtype a text": (lambda: fit(mlp(0), X, Y, steps=1, dtype="bfloat16"), "torch.bfloat16"),
    "fit: augment a text": (lambda: fit(mlp(0), X, Y, steps=1, augment="elastic"), "function"),
    "fit: augment of tables": (lambda: fit(mlp(0), X, Y, steps=1, augment=elastic), "leave it out"),
    "fit: a function": (lambda: fit(mlp, X, Y, steps=1), "net(0)"),
    "fit: no parameters": (lambda: fit(nn.Flatten(), X, Y, steps=1), "no parameter"),
    "fit: batch norm, batch of 1": (lambda: fit(normed(0), X, Y, steps=1, batch=1), "batch from 3"),
    "evaluate: names": (lambda: evaluate(mlp(0), X, ["a"] * 40, 2), "class numbers"),
    "evaluate: nothing": (lambda: evaluate(mlp(0), None, None, 2), "class numbers"),
    "evaluate: another shape": (lambda: evaluate(mlp(0), X[:, :7], Y, 2), "made for"),
    "evaluate: bytes": (lambda: evaluate(mlp(0), X.byte(), Y, 2), "made for"),
    "evaluate: NaN": (lambda: evaluate(mlp(0), X * float("nan"), Y, 2), "NaN"),
    "evaluate: T none": (lambda: evaluate(mlp(0), X, Y, None), "whole number"),
    "evaluate: chunk a text": (lambda: evaluate(mlp(0), X, Y, 2, chunk="a"), "whole number"),
    "evaluate: dtype a text": (lambda: evaluate(mlp(0), X, Y, 2, dtype="bfloat16"), "torch.bfloat16"),
    "evaluate: a function": (lambda: evaluate(mlp, X, Y, 2), "net(0)"),
    "evaluate: no parameters": (lambda: evaluate(nn.Dropout(), X, Y, 2), "no parameters"),
    "mc_log_probs: each a number": (lambda: mc_log_probs(mlp(0), X, 2, each=3), "function"),
    "measure: bins": (lambda: measure(torch.tensor([[0.4, 0.6]]).log(), [1], bins=0), "whole number"),
    "measure: nothing": (lambda: measure(torch.zeros(0, 2), []), "at least one"),
    "pool_idx twice": (lambda: acquire(torch.rand(9), 3, pool_idx=[1] * 9), "stands twice"),
    "pool_idx below 0": (lambda: acquire(torch.rand(9), 3, pool_idx=range(-1, 8)), "below 0"),
    "log-probabilities of others": (lambda: acquire(torch.rand(9), 3, "batch_bald", log_probs_N_T_C=torch.zeros(3, 2, 2)), "as many"),
    "correct twice": (lambda: learner().correct([0, 0], [0, 1]), "stands twice"),
    "correct twice, the same": (lambda: learner().correct([0, 0], [1, 1]), "stands twice"),
    "label by a number": (lambda: learner().label([20], [1], by=3), "as a text"),
    "guesses too few": (lambda: learner().label([20, 21], [1, 0], guesses=[1]), "as many guesses"),
    "export: files twice": (lambda: learner().export("/nowhere", files=["x"] * 40), "twice"),
    "export: classes twice": (lambda: learner().export("/nowhere", classes=["x", "x"]), "twice"),
    "export: classes a dict": (lambda: learner().export("/nowhere", classes={0: "a", 1: "b"}), "a list"),
    "export: a number": (lambda: learner().export(3), "a text or a Path"),
    "test_parts a list": (lambda: learner(test=(X, Y), test_parts=[1]), "give a dict"),
    "run_trial of inputs": (lambda: run_trial(X), "give Data"),
    **{f"record {r!r:.20}": (lambda r=r: learner(record=r), "a text or a Path") for r in (3, 0, True, b"x.jsonl", ["a"], "a\0b")},
    "record with a long name": (lambda: learner(record="a" * 300), "whole path"),
    "record on s3": (lambda: learner(record="s3://bucket/x.jsonl"), "path on this machine"),
    "classes a fraction": (lambda: learner(classes=2.5), "number"),
    "K a fraction": (lambda: learner(K=2.5), "whole number"),
    "T none": (lambda: learner(T=None), "whole number"),
    "seed negative": (lambda: learner(seed=-1), "whole number"),
    "p a text": (lambda: learner(p="half"), "probability"),
    "measure: labels too large": (lambda: measure(torch.tensor([[0.4, 0.6]]).log(), torch.tensor([2])), "labels"),
    "measure: as many": (lambda: measure(torch.tensor([[0.4, 0.6]]).log(), torch.tensor([0, 1])), "as many"),
    "measure: probabilities": (lambda: measure(torch.tensor([[0.4, 0.6]]), torch.tensor([0])), "log"),
    "T = 0": (lambda: mc_log_probs(mlp(0), X, 0), "T is 0"),
    "T a fraction": (lambda: mc_log_probs(mlp(0), X, 2.5), "T is 2.5"),
    "chunk a fraction": (lambda: mc_log_probs(mlp(0), X, 2, chunk=2.5), "chunk is 2.5"),
    "inputs a list, in mc_log_probs": (lambda: mc_log_probs(mlp(0), X[0], 2), "inputs"),
    "start no pair": (lambda: learner(start=3), "give (indices, labels)"),
    "start indices out of range": (lambda: learner(start=([0, 99], [0, 1])), "outside the full set"),
    "x a text": (lambda: learner("mnist"), "array"),
    "x nothing": (lambda: learner(None), "array"),
    "net nothing callable": (lambda: learner(net=3), "function seed -> module"),
    "net of no module": (lambda: learner(net=lambda s: 3), "module"),
    "test no pair": (lambda: learner(test=3), "(x_test, y_test)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_our_words(case):
    call, words = REFUSED[case]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises((ValueError, TypeError, OSError, IndexError)) as caught:
            call()
    assert words in str(caught.value), caught.value
    last = traceback.extract_tb(caught.value.__traceback__)[-1].filename
    assert last.startswith(str(ROOT / "bdal")), f"raised in {last}"


TAKEN = {
    "layers called by names": lambda: learner(net=named).ask(),
    "layers called by names, laplace": lambda: learner(net=named, posterior="laplace").ask(),
    "layers called by names, features": lambda: learner(net=named, selector="k_center").ask(),
    "batch norm, batch of 3": lambda: learner(net=normed, batch=3).ask(),
    "an operation without bfloat16": lambda: learner(net=bilinear).ask(),
    "lazy layers": lambda: learner(net=lambda s: nn.Sequential(nn.LazyLinear(16), nn.LazyBatchNorm1d(), nn.Dropout(0.5), nn.LazyLinear(2))).ask(),
    "skipped twice": lambda: learner().skip([20, 20]),
    "labels a list, in fit and evaluate": lambda: (fit(mlp(0), X, Y.tolist(), steps=1), evaluate(mlp(0), X, Y.tolist(), 2)),
    "shares of classes in fit": lambda: fit(mlp(0), X, torch.full((40, 2), 0.5), steps=1),
    "float32 parameters": lambda: learner(lr=np.float32(0.01), p=np.float32(0.5), coldness=np.float32(2), race=np.float32(0.5), K=np.int32(2), weight_decay=np.float64(0)),
    "three dropouts, an array": lambda: Protocol(p=np.array([0.1, 0.1, 0.5], dtype="float32")),
    "inputs that require gradients": lambda: learner(X.clone().requires_grad_()).ask(),
    "inputs that are not contiguous": lambda: learner(X.T.contiguous().T).ask(),
    "pool_idx a list": lambda: acquire(torch.rand(9), 3, pool_idx=list(range(10, 19))),
    "pool_idx an array": lambda: acquire(torch.rand(9), 3, pool_idx=np.arange(9)),
    "float64 in measure": lambda: measure(torch.tensor([[0.4, 0.6]], dtype=torch.float64).log(), torch.tensor([1])),
    "half precision in measure": lambda: measure(torch.tensor([[0.4, 0.6]]).log().bfloat16(), torch.tensor([1])),
    "labels a list in measure": lambda: measure(torch.tensor([[0.4, 0.6]]).log(), [1]),
    "start of a list": lambda: balanced_start([0, 1, 1, 0], 1),
    "start among a mask": lambda: balanced_start(Y, 1, among=Y >= 0),
    "start among a list": lambda: balanced_start(Y, 1, among=[0, 1, 2, 3]),
    "labels yes or no": lambda: learner(start=([0, 1, 2], [True, False, True])).ask(),
    "labels yes or no, a tensor": lambda: as_labels(Y > 0),
    "a trunk that all share, and that does not learn": lambda: learner(net=lambda s: nn.Sequential(freeze(nn.Sequential(*TRUNK)), nn.Dropout(0.5), nn.Linear(16, 2))).ask(),
    "a range as start": lambda: Pool(X, (range(4), [0, 1, 0, 1])),
    "embeddings": lambda: learner(torch.randint(0, 50, (40, 6)), net=lambda s: Bag(False)).ask(),
    "all parameters but the last layer frozen": lambda: learner(net=lambda s: freeze(mlp(s))).ask(),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    "Folders of pictures: three, two classes of three, one class, none; and a file"
    at = tmp_path_factory.mktemp("folders")
    for sub in ("flat", "two/cat", "two/dog", "one/cat"):
        (at / sub).mkdir(parents=True)
        for i in range(3): Image.fromarray(np.full((9, 12, 3), 90 * i, dtype=np.uint8)).save(at / sub / f"{i}.png")
    (at / "empty").mkdir()
    return at


FOLDER = {  # name -> (folder, arguments, words of the error)
    "side 0": ("flat", dict(side=0), "side is 0; give pixels"),
    "side a text": ("flat", dict(side="a"), "side is 'a'; give pixels"),
    "side a fraction": ("flat", dict(side=2.5), "give pixels"),
    "side yes": ("flat", dict(side=True), "give pixels"),
    "side negative": ("flat", dict(side=-1), "give pixels"),
    "side none": ("flat", dict(side=None), "give pixels"),
    "side a pair": ("flat", dict(side=(32, 32)), "give pixels"),
    "side too large": ("flat", dict(side=10**6), "give pixels"),
    "memory negative": ("flat", dict(memory=-1), "memory is -1; give bytes"),
    "memory a text": ("flat", dict(memory="1 GB"), "give bytes"),
    "memory no number": ("flat", dict(memory=float("nan")), "give bytes"),
    "memory none": ("flat", dict(memory=None), "give bytes"),
    "test_size nearly all": ("flat", dict(test_size=2), "test_size is 2 of 3 pictures; give"),
    "test_size all": ("two", dict(test_size=6), "leave two pictures or more for the pool"),
    "test_size a large share": ("two", dict(test_size=0.9), "leave two pictures"),
    "test_size negative": ("two", dict(test_size=-1), "a share below 1"),
    "test_size a text": ("flat", dict(test_size="a"), "a share below 1"),
    "test_size no number": ("flat", dict(test_size=float("nan")), "a share below 1"),
    "test_size infinite": ("flat", dict(test_size=float("inf")), "a share below 1"),
    "test_size yes": ("flat", dict(test_size=True), "a share below 1"),
    "test_size and test": ("two", dict(test_size=2, test="two"), "not both"),
    "a file": ("flat/0.png", {}, "is a file and no folder; give the path"),
    "nowhere": ("nowhere", {}, "is no folder; give the path"),
    "empty": ("empty", {}, "has no pictures; give a folder"),
    "one class": ("one", dict(labelled=True), "give labelled=False"),
    "one name": ("two", dict(classes=["cat"]), "give labels of at least two"),
    "names in a text": ("flat", dict(classes="cat dog"), "such as ['cat', 'dog']"),
    "a name twice": ("flat", dict(classes=["cat", "cat"]), "stands twice"),
    "test a file": ("two", dict(test="flat/0.png"), "is a file and no folder"),
    "test empty": ("two", dict(test="empty"), "has no pictures"),
    "test without classes": ("two", dict(test="flat"), "into the subfolder of its class"),
    "seed a text": ("two", dict(seed="a"), "seed is 'a'; give a whole number"),
    "seed negative": ("two", dict(seed=-1), "give a whole number"),
    "ground unknown": ("flat", dict(ground="nocolour"), "ground is 'nocolour'; give a colour"),
    "ground none": ("flat", dict(ground=None), "give a colour"),
    "white negative": ("flat", dict(white=-1), "white is -1; give the value"),
    "white a text": ("flat", dict(white="a"), "give the value"),
    "fit unknown": ("flat", dict(fit="squeeze"), "fit is 'squeeze'; give 'pad'"),
    "fit a list": ("flat", dict(fit=[]), "give 'pad'"),
    "mode none": ("flat", dict(mode=None), "give 'RGB'"),
    "labelled a text": ("two", dict(labelled="yes"), "give True, False"),
}


@pytest.mark.parametrize("case", FOLDER)
def test_a_folder_is_refused_in_our_words(case, folders, monkeypatch):
    "And before a picture is opened"
    at, how, words = FOLDER[case]
    monkeypatch.setattr(Image, "open", None)
    if "test" in how: how = how | dict(test=folders / how["test"])
    with pytest.raises((ValueError, TypeError)) as caught: Data.from_folder(folders / at, **how)
    assert words in str(caught.value), caught.value
    assert traceback.extract_tb(caught.value.__traceback__)[-1].filename.startswith(str(ROOT / "bdal"))


@pytest.mark.parametrize("folder", [None, 3, "", ["scans"], b"scans"])
def test_what_is_no_path(folder):
    with pytest.raises((ValueError, TypeError), match="give the path of the folder"): Data.from_folder(folder)


def test_folders_that_are_taken(folders):
    "None means the default; one subfolder is a place, and no class; numpy's numbers are numbers"
    assert len(Data.from_folder(folders / "flat", side=np.int64(8), test_size=None)) == 3
    assert len(Data.from_folder(folders / "flat", side=8, test_size=1).x_test) == 1
    one = Data.from_folder(str(folders / "one"), side=8, memory=np.inf)
    assert one.classes == () and one.y.tolist() == [-1] * 3


def freeze(net):
    net[0].requires_grad_(False)
    return net


@pytest.mark.parametrize("case", TAKEN)
def test_taken(case):
    TAKEN[case]()


def test_a_home_and_what_an_editor_does(tmp_path, monkeypatch):
    "~, a byte order mark, blank lines, other spaces: the same record"
    monkeypatch.setenv("HOME", str(tmp_path))
    first = learner(record="~/mine.jsonl")
    idx = first.ask()
    first.tell(idx, Y[idx])
    first.record.close()
    path = tmp_path / "mine.jsonl"
    text = path.read_text()
    for changed in ("\ufeff" + text, text.replace("\n", "\n\n"), "\n" + text, text.replace("\n", "\r\n"), text.replace('{"format": 1', '{"format":1'), text.replace('{"format": 1', '{ "format" : 1')):
        path.write_text(changed, encoding="utf-8", newline="")
        again = learner(record="~/mine.jsonl")
        assert len(again.record.rounds) == 1 and again.pool.known[0].tolist() == first.pool.known[0].tolist()
        idx = again.ask()
        again.tell(idx, Y[idx])
        again.record.close()
        assert [r["round"] for r in Record(path).rounds] == [0, 1]
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("BDAL_HOME", raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda p: p)
    from bdal.data import bdal_home

    with pytest.raises(OSError, match="set BDAL_HOME"):
        bdal_home()
    with pytest.raises(OSError, match="give"):
        Record("~/x.jsonl")


def test_a_learner_in_a_pickle(tmp_path):
    "It reads on; to write, it is made again"
    one = Learner(torch.rand(40, 1, 16, 16), start=START, record=tmp_path / "a.jsonl", **QUICK)
    idx = one.ask()
    other = pickle.loads(pickle.dumps(one))
    assert other.ask().tolist() == idx.tolist() and other.record.path == one.record.path
    with pytest.raises(RuntimeError, match="make the Learner again"):
        other.tell(idx, Y[idx])
    one.tell(idx, Y[idx])
    assert len(Record(one.record.path).rounds) == 1


def test_a_clock_that_is_set_back(monkeypatch):
    import itertools
    import time

    clock = itertools.count(10**6, -3600)
    one = learner()
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    one.ask(progress=False)
    assert all(one.row[k] >= 0 for k in one.row if k.endswith("seconds"))


def test_lines_of_a_sweep(tmp_path, monkeypatch, capsys):
    "--list NAME, a scheduler without Dask, lists of other things"
    from bdal.sweep import main

    monkeypatch.chdir(ROOT)
    assert main(["--list", "margin"]) == 0 and [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["margin"]
    assert main(["--list", "margn"]) == 2 and "did you mean 'margin'" in capsys.readouterr().err
    assert main(["margin", "--scheduler", "tcp://here:1"]) == 2 and "--backend dask" in capsys.readouterr().err
    from bdal.study import check_parameters, of_type

    assert of_type([1, 2], "list[int]") and of_type([], "list[int]") and of_type([1, 0.5], "list[float]")
    assert not of_type(["a", None], "list[int]") and not of_type([True], "list[int]") and not of_type([0.5], "list[int]")
    with pytest.raises(TypeError, match=r"give list\[int\]"):
        check_parameters(dict(__annotations__=dict(sizes="list[int]"), sizes=["a", None]))


@pytest.mark.parametrize("posterior", ["dropout", "ensemble 3", "laplace"])
def test_an_exported_network_loads_by_the_lines_of_its_readme(posterior, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one = learner(posterior=posterior, score="margin")
        idx = one.ask(progress=False)
        one.tell(idx, Y[idx])
        one.ask(progress=False)
        out = one.export(tmp_path / "export")
    lines = [line[4:] for line in (out / "README.md").read_text().splitlines() if line.startswith("    ")]
    assert "where `make` is `mlp`, the function that made" in (out / "README.md").read_text()
    there = dict(make=mlp)
    exec("\n".join(lines).replace("weights.pt", str(out / "weights.pt")), there)
    trained = one.net.net if posterior == "laplace" else one.net
    assert all(w.equal(other) for w, other in zip(there["net"].state_dict().values(), trained.state_dict().values(), strict=True))


@pytest.mark.parametrize("terminal", [True, False])
def test_labelling_says_that_it_reads(terminal, tmp_path, monkeypatch):
    "On a terminal, before the first picture is read; into a pipe go results only"
    from bdal.label import main

    monkeypatch.setattr(sys, "stderr", said := io.StringIO())
    said.isatty = lambda: terminal
    with pytest.raises(SystemExit):
        main([str(tmp_path / "nowhere")])
    assert ("Reading the pictures of" in said.getvalue()) == terminal and "give the path of the folder" in said.getvalue()


@pytest.mark.parametrize("results, times", [({}, 1), ({"chance 00": None}, 0)])
def test_a_silent_sweep_says_that_it_is_starting(results, times, monkeypatch, capsys):
    "Once; and not where a trial has its result"
    from bdal import sweep

    monkeypatch.setattr(sweep, "SILENT", 0)
    over = threading.Event()
    threading.Timer(2.5, over.set).start()
    sweep._follow([], results, over)
    assert capsys.readouterr().out.count("starting: the first line of a trial") == times
