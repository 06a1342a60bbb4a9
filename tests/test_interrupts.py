"""Ctrl-C at any moment of ask and tell, and the same cell again: each round once, and the record of a trial that was left alone.

Real signals after random times; a hundred here, and 5,000 with --long.
"""
import gc
import json
import random
import signal
import sys
import threading
import time
import warnings

import pytest
import torch
from conftest import ROOT
from torch import nn

from bdal.data import Pool
from bdal.record import Record
from bdal.steps import Learner

X, Y = torch.randn(60, 8, generator=torch.Generator().manual_seed(0)), torch.arange(60) % 2


@pytest.fixture(autouse=True)
def modes():
    "For the next test as in a new process: once in thousands, an interrupted block ends only when it is collected"
    yield
    gc.collect()
    torch.set_grad_enabled(True)


def net(seed):
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 2))


class Odd(nn.Module):
    "One that cannot be thinned: the plain loop, or what is shared"

    def __init__(self, seed):
        super().__init__()
        self.a, self.drop, self.b = nn.Linear(8, 16), nn.Dropout(0.5), nn.Linear(16, 2)

    def forward(self, x):
        return self.b(self.drop(self.a(x).relu()))


def begin(path, make=net):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Learner(X, start=(range(8), Y[:8]), net=make, K=3, T=2, n_final=44, schedule="steps 2", score="margin", record=path)


def lines(path):
    "The rounds of a record, without their seconds"
    found = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    return [{k: v for k, v in row.items() if not k.endswith("_seconds")} for row in found]


@pytest.fixture(scope="module", params=[net, Odd], ids=["sequential", "module"])
def alone(request, tmp_path_factory):
    "A trial that nobody interrupted: how to make it, its rounds, and the seconds of a cell"
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("alone") / "trial.jsonl"
    learner, began = begin(path, request.param), time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        while len(idx := learner.ask(progress=False)):
            learner.tell(idx, Y[idx])
    learner.record.close()
    return request.param, lines(path), (time.perf_counter() - began) / len(lines(path))


def interrupted(f, after):
    "f(), with a signal after so many seconds; was it interrupted?"
    running = True

    def stop(*_):
        if running:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, after)
        f()
        running = False
        return False
    except KeyboardInterrupt:
        return True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_signals_at_random_moments(alone, tmp_path, request):
    make, want, seconds = alone
    signals, chance, trials, hits = 2500 if request.config.getoption("--long") else 50, random.Random(0), 0, 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        while hits < signals:
            path = tmp_path / f"{trials}.jsonl"
            learner, trials = begin(path, make), trials + 1
            told = []

            def cell():
                idx = learner.ask(progress=False)
                if len(idx):
                    told[:] = [idx, Y[idx]]
                    learner.tell(idx, Y[idx])

            while not learner.record.complete:
                if interrupted(cell, max(1e-6, chance.uniform(0, 1.1 * seconds))):
                    hits += 1
                    if told and chance.random() < 0.3:  # only the line with tell, once more
                        try:
                            learner.tell(*told)
                        except (RuntimeError, ValueError) as e:  # it was told, and the next question is not asked, or is another
                            assert "call ask() first" in str(e) or "labelled already" in str(e) or "complete" in str(e), e
            learner.record.close()
            assert lines(path) == want, path
            assert Record(path).complete
    print(f"{hits} interrupts in {trials} trials")


def test_an_interrupt_while_operations_are_counted(monkeypatch):
    "torch's modes are as they were, whenever it comes"
    from torch.utils._python_dispatch import _get_current_dispatch_mode_stack as stack

    import bdal.train as train

    there = stack()  # another test's interrupt may have left one that notes nothing more, see probe.worn

    monkeypatch.setattr(train, "_THREADS_ARE_SET", False)
    monkeypatch.setattr(train, "_THREADS_AT_IMPORT", 2)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    model, chance, hits = Odd(0), random.Random(1), 0
    took = []
    for _ in range(8):  # the first ones import
        began = time.perf_counter()
        train.fit_threads(model, X)
        took.append(time.perf_counter() - began)
    seconds = min(took)
    while hits < 20:
        hits += interrupted(lambda: train.fit_threads(model, X), max(1e-6, chance.uniform(0, seconds)))
        deadline = time.monotonic() + 60
        while not model.training:  # a count ends by itself
            assert time.monotonic() < deadline
            time.sleep(seconds)
        assert stack() == there and torch.is_grad_enabled()


def test_a_count_that_an_interrupt_left_behind(monkeypatch):
    "It goes on in its thread, and touches neither the random stream of who begins again nor the network's mode"
    import bdal.train as train

    begun, go = threading.Event(), threading.Event()

    class Slow(Odd):
        def forward(self, x):
            begun.set()
            assert go.wait(60)
            return super().forward(x)

    def ctrl_c():
        assert begun.wait(60)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)  # there, it ends a wait

    monkeypatch.setattr(train, "_THREADS_ARE_SET", False)
    monkeypatch.setattr(train, "_THREADS_AT_IMPORT", 2)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    model = Slow(0)
    threading.Thread(target=ctrl_c).start()
    with pytest.raises(KeyboardInterrupt):
        train.fit_threads(model, X)
    torch.manual_seed(7)
    want = torch.get_rng_state()
    go.set()
    with train._counting:  # the count holds it until it is over
        assert torch.equal(torch.get_rng_state(), want) and model.training


def test_two_threads_at_one_learner(alone, tmp_path, monkeypatch):
    "Each round once, as one thread would have it; who comes second is told, or answers the next question"
    make, want, _ = alone
    hold, begin_to_ask, chance = Pool.hold, Learner._ask, random.Random(0)
    monkeypatch.setattr(Pool, "hold", lambda *args: (time.sleep(0.01), hold(*args)))  # the record has it, the pool not yet
    monkeypatch.setattr(Learner, "_ask", lambda *args: (time.sleep(chance.uniform(0, 0.1)), begin_to_ask(*args)))  # nobody has answered yet, or just now
    learner, errors = begin(tmp_path / "trial.jsonl", make), []

    def work():
        while not learner.record.complete:
            try:
                idx = learner.ask(progress=False)
                if len(idx):
                    learner.tell(idx, Y[idx])
            except (RuntimeError, ValueError) as e:
                errors.append(str(e))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        threads = [threading.Thread(target=work) for _ in range(2)]
        [t.start() for t in threads]
        [t.join(120) for t in threads]
    learner.record.close()
    assert lines(tmp_path / "trial.jsonl") == want and Record(tmp_path / "trial.jsonl").complete
    assert all("labelled already" in e or "call ask() first" in e or "complete" in e or "cannot be written" in e for e in errors), set(errors)


def stopped_at(f, n):
    "f(), stopped as the n-th line of bdal begins; was it?"
    seen = 0

    def trace(frame, event, _):
        nonlocal seen
        if not frame.f_code.co_filename.startswith(str(ROOT / "bdal")):
            return None
        if event == "line":
            seen += 1
            if seen == n:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        f()
        return False
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)


def test_an_interrupt_at_any_line_of_tell(tmp_path, request):
    "The same cell again: each answer once, in memory as on the disk. Each line with --long, every 17th else"
    step = 1 if request.config.getoption("--long") else 17

    def told(n):
        "The record and the pool, where tell was stopped at line n; and whether it was"
        learner = begin(tmp_path / f"{n}.jsonl")
        idx = learner.ask(progress=False)
        stopped = stopped_at(lambda: learner.tell(idx, Y[idx]), n)
        try:
            learner.tell(idx, Y[idx])
        except RuntimeError as e:
            assert "call ask() first" in str(e), e
        learner.record.close()
        return (lines(learner.record.path), *(v.tolist() for v in learner.pool.known)), stopped

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (want, _), n, stopped = told(0), 1, True
        while stopped:
            got, stopped = told(n)
            assert got == want, n
            n += step
    assert n > 50, "tell has more lines"


def test_a_lock_that_an_interrupt_left_taken():
    "tqdm's lock is the process's, and Ctrl-C may leave it with the main thread: another one trains all the same"
    from tqdm import tqdm

    from bdal.train import fit

    done = []
    with tqdm.get_lock():
        for progress in (False, lambda n, total: None):
            thread = threading.Thread(target=lambda: done.append(fit(net(0), X, Y, steps=2, progress=progress)), daemon=True)
            thread.start()
            thread.join(60)
    assert len(done) == 2
