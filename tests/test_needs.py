"Score, selector and posterior in the loop: each is given what it names; what makes no sense is refused before training."
import json
import warnings

import pytest
import torch
from conftest import ROOT
from torch import nn

from bdal.acquisition import SCORES, SELECTORS, acquire, score, selector
from bdal.data import derive_seed, mnist
from bdal.posteriors import Ensemble, Laplace, features
from bdal.predict import mc_log_probs
from bdal.record import Record
from bdal.steps import Learner, Protocol, run_trial

HOW = dict(K=4, T=6, schedule="steps 8", dtype="float32")


@pytest.fixture(scope="module")
def small():
    return mnist().first(300, test=60)


def learner(small, **changed):
    start = (torch.arange(20), small.y[:20])
    return Learner(small.x, start=start, **{**HOW, **changed})


def by_hand(learner):
    "Everything that can be named, computed apart"
    net, pool, seed = learner.net, learner.pool, derive_seed(0, "masks", 0)
    with torch.no_grad():
        net.eval()
        trunk = nn.Sequential(*list(net)[:-1])
        h_N_D = trunk(pool.x)
    log_probs = mc_log_probs(net, pool.x[pool.unlabelled], learner.protocol.T, seed)
    return dict(log_probs_N_T_C=log_probs, features_N_D=h_N_D[pool.unlabelled], known_M_D=h_N_D[pool.labelled])


@pytest.mark.filterwarnings("ignore:'batch_bald'")
@pytest.mark.parametrize("name", ["top_k", "power", "batch_bald", "badge", "k_center"])
def test_a_selector_is_given_what_it_names(small, name):
    asking = learner(small, selector=name, coldness=4)
    idx, given = asking.ask(progress=False), by_hand(asking)
    scores = SCORES["bald"](given["log_probs_N_T_C"])
    expected = acquire(scores, 4, name, derive_seed(0, "ties", 0), 4, asking.pool.unlabelled, **given)
    assert idx.tolist() == expected.indices.tolist()


@pytest.mark.parametrize("targets", [None, slice(100, 130)])
def test_epig_is_given_targets(small, targets):
    given = {} if targets is None else dict(targets=small.x[targets])
    asking = learner(small, score="epig", **given)
    idx, pool = asking.ask(progress=False), asking.pool
    if targets is None:
        g = torch.Generator().manual_seed(derive_seed(derive_seed(0, "targets", 0), "targets"))
        x = pool.x[torch.randperm(300, generator=g)[:100]]
    else:
        x = small.x[targets]
    said, there = (mc_log_probs(asking.net, some, 6, derive_seed(0, "masks", 0)) for some in (pool.x[pool.unlabelled], x))
    torch.testing.assert_close(asking.scores_N[pool.unlabelled], SCORES["epig"](said, there), atol=1e-5, rtol=0)
    assert len(idx) == 4 and ("targets" in asking.record.header["config"]) == (targets is not None)
    with pytest.raises(ValueError, match="targets are .*give some like them"):
        learner(small, score="epig", targets=torch.zeros(5, 1, 20, 20))


def test_whatever_a_selector_of_yours_names(small):
    seen = {}
    try:
        @selector
        def curious(scores_N, log_probs_N_T_C, features_N_D, known_M_D, target_log_probs_M_T_C, index_N, K, coldness, generator):
            seen.update(locals())
            return torch.arange(K)

        asking = learner(small, score="margin", selector="curious", coldness=3)
        assert asking.ask(progress=False).tolist() == asking.pool.unlabelled[:4].tolist()
        assert {k: tuple(v.shape) for k, v in seen.items() if torch.is_tensor(v)} == dict(
            scores_N=(280,), log_probs_N_T_C=(280, 6, 10), features_N_D=(280, 128), known_M_D=(20, 128), target_log_probs_M_T_C=(100, 6, 10), index_N=(280,))
        assert (seen["K"], seen["coldness"]) == (4, 3) and seen["index_N"].equal(asking.pool.unlabelled)
        torch.testing.assert_close(seen["scores_N"], SCORES["margin"](seen["log_probs_N_T_C"]))
    finally:
        SELECTORS.pop("curious", None)


def test_whatever_a_score_of_yours_names(small):
    try:
        @score
        def strange(features_N_D, known_M_D):
            return torch.cdist(features_N_D, known_M_D).amin(1)

        asking = learner(small, score="strange")
        idx, given = asking.ask(progress=False), by_hand(asking)
        far = torch.cdist(given["features_N_D"], given["known_M_D"]).amin(1)
        assert sorted(idx.tolist()) == sorted(asking.pool.unlabelled[far.topk(4).indices].tolist())

        @score
        def greedy(log_probs_N_T_C, K): return log_probs_N_T_C.new_ones(len(log_probs_N_T_C))

        with pytest.raises(ValueError, match="needs K, which a selector is given"):
            Protocol(score="greedy")
    finally:
        SCORES.pop("strange", None), SCORES.pop("greedy", None)


def no_linear(seed):
    return nn.Sequential(nn.Conv2d(1, 10, 28), nn.Dropout(.5), nn.Flatten())


def no_dropout(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 16), nn.ReLU(), nn.Linear(16, 10))


@pytest.mark.parametrize("wrong, why", [
    (dict(net=no_linear, selector="k_center"), "selector 'k_center': Sequential needs a last linear layer.*choose what needs no features"),
    (dict(net=no_linear, posterior="laplace"), "posterior 'laplace'.*a last linear layer"),
    (dict(selector="badge", posterior="ensemble 3"), "features, which are those of one network"),
    (dict(selector="badge", race=.1), "with one of top_k, softmax, power, softrank, batch_bald"),
    (dict(race=.1, posterior="laplace"), "leave race out"),
    (dict(T=1, selector="batch_bald", score="margin"), "T is 1; give T from 2"),
    (dict(posterior="ensemble 1"), "any number from 2"),
    (dict(posterior="laplace", T=1), "asks where samples disagree"),
    (dict(net=no_dropout), "no dropout layer"),
])
def test_what_makes_no_sense_is_refused_before_training(small, wrong, why, monkeypatch):
    monkeypatch.setattr("bdal.steps.fit", lambda *a, **k: pytest.fail("it was trained"))
    with pytest.raises(ValueError, match=why):
        learner(small, **wrong)


@pytest.mark.parametrize("posterior", ["ensemble 3", "laplace"])
@pytest.mark.parametrize("net", [None, no_dropout])
def test_posteriors_in_the_loop(small, posterior, net, tmp_path):
    "Score, measurements and predictions are by its samples; a record goes on to the same bits, and is no other posterior's"
    how = dict(score="bald", K=4, n_final=28, seed=2, T=6, schedule="steps 8", posterior=posterior, net=net, progress=False)
    whole = run_trial(small, record=tmp_path / "trial.jsonl", **how)
    whole.close()
    assert whole.header["config"]["posterior"] == posterior
    lines = (tmp_path / "trial.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "trial.jsonl").write_text("".join(lines[:2]))
    again = run_trial(small, record=tmp_path / "trial.jsonl", **how)
    again.close()
    assert [{k: v for k, v in r.items() if "seconds" not in k} for r in again.rounds] == [{k: v for k, v in r.items() if "seconds" not in k} for r in whole.rounds]
    with pytest.raises(ValueError, match=f"posterior is '{posterior}' there, 'laplace' here" if posterior != "laplace" else "posterior is 'laplace' there"):
        run_trial(small, record=tmp_path / "trial.jsonl", **{**how, "posterior": "laplace" if posterior != "laplace" else "ensemble 2"})
    asking = learner(small, posterior=posterior, net=net)
    asking.ask(progress=False)
    assert isinstance(asking.net, Ensemble if posterior != "laplace" else Laplace)
    said = mc_log_probs(asking.net, asking.pool.x[asking.pool.unlabelled], 6, derive_seed(0, "masks", 0))
    assert said.shape == (280, 3 if posterior != "laplace" else 6, 10)
    torch.testing.assert_close(asking.scores_N[asking.pool.unlabelled], SCORES["bald"](said), atol=1e-5, rtol=0)
    torch.testing.assert_close(asking.predict(small.x_test).sum(1), torch.ones(60))


def test_the_first_network_of_an_ensemble_is_the_one_that_dropout_samples(small):
    one, three = learner(small), learner(small, posterior="ensemble 3")
    for a, b in zip(one.net.parameters(), three.net.nets[0].parameters()):
        assert a.equal(b)
    assert not next(three.net.nets[1].parameters()).equal(next(three.net.nets[2].parameters()))


def test_features_do_not_depend_on_dropout_and_leave_the_network_as_it_was(small):
    net = learner(small).net.train()
    found = features(net, small.x, torch.arange(40))
    assert net.training and found.equal(features(net, small.x, torch.arange(40))) and not any(m._forward_pre_hooks for m in net.modules())


@pytest.mark.slow
@pytest.mark.parametrize("study", ["bald", "margin"])
def test_records_go_on_to_the_same_bits(study, tmp_path, monkeypatch):
    "of trials that were run before scores and selectors named what they need"
    from bdal.train import auto_dtype

    path = ROOT / "results" / study / "trial-00.jsonl"
    header, *rows = map(json.loads, path.read_text().splitlines())
    config, copy = header["config"], tmp_path / "trial.jsonl"
    assert "posterior" not in config and Record(path).header["config"]["posterior"] == "dropout"
    if str(auto_dtype()).removeprefix("torch.") != header["arithmetic"] or header["versions"]["torch"].split("+")[0] != torch.__version__.split("+")[0]:
        pytest.skip("made by another torch, or in another arithmetic")
    copy.write_text("".join(json.dumps(line) + "\n" for line in (header, rows[0])))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        how = {k: config[k] for k in ("score", "K", "T", "seed", "selector", "coldness", "recipe", "race")}
        record = run_trial_to(mnist(), copy, config["n_final"], 2, **how)
    assert record.header["config"] == {**config, "posterior": "dropout"}
    for found, there in zip(record.rounds[1:], rows[1:3]):
        assert {k: v for k, v in found.items() if "seconds" not in k and k != "goes_on"} == {k: v for k, v in there.items() if "seconds" not in k}


def run_trial_to(data, path, n_final, rounds, **how):
    "So many rounds of a trial that is on record"
    from bdal.data import balanced_start

    idx = balanced_start(data.y, 2, how["seed"])
    asking = Learner(data.x, start=(idx, data.y[idx]), record=path, test=(data.x_test, data.y_test), classes=10, n_final=n_final,
                     data=dict(data=data.name, fingerprint=data.fingerprint), **how)
    for _ in range(rounds):
        idx = asking.ask(progress=False)
        asking.tell(idx, data.y[idx])
    asking.record.close()
    return asking.record
