"What experiments say of the committed records in prose is so: a notebook makes its tables from the records, and cannot make its paragraphs."
import pytest
from conftest import ROOT

from bdal.results import acquired, load, share_along
from bdal.study import Comparison, check_pairs, load_data

DIRTY = ("dirty_random", "dirty_bald", "dirty_margin", "dirty_entropy")
CLEAN, AMBIGUOUS = "test_accuracy_clean", "test_accuracy_ambiguous"


@pytest.fixture
def here(mnist_home, monkeypatch):
    monkeypatch.setenv("BDAL_HOME", str(mnist_home))
    monkeypatch.chdir(ROOT / "nbs")


def test_random_goes_to_1020_labels(here):
    study = Comparison("random", differ=())
    assert (study.frame.n_labelled.min(), study.last) == (20, 1020)


def test_rounds_of_one_at_a_time_and_of_ten(here):
    "as 06_top_k counts what they cost"
    studies = Comparison("bald", "bald_k1", differ=("score", "race", "K"))
    rounds = load("bald", "bald_k1", used=True).query("n_labelled <= @studies.last").groupby(["study", "seed"]).size()
    assert (rounds["bald"] == (studies.last - 20) / 10 + 1).all() and (rounds["bald_k1"] == studies.last - 20 + 1)[studies.seeds].all()


def test_what_dirty_mnist_is(here):
    "Half of the pool is ambiguous, and six sevenths of the test set"
    full = load_data("dirty-mnist")
    assert full.ambiguous.double().mean() == 0.5
    assert len(full.test_parts["ambiguous"]) / len(full.y_test) == pytest.approx(6 / 7)


def test_what_we_see_on_dirty_mnist(here):
    studies = Comparison(*DIRTY, value=CLEAN, differ=("score", "race"))
    assert check_pairs(studies, "score", "race").loc["score"].tolist() == [s.removeprefix("dirty_") for s in DIRTY]
    means = studies.frame.pivot_table([CLEAN, AMBIGUOUS], "n_labelled", "study")
    late, ends = means.loc[150:], means.loc[studies.last]
    clean, unclear = late[CLEAN].mean(), late[AMBIGUOUS].mean()
    for part in (CLEAN, AMBIGUOUS):
        assert (late[part].dirty_entropy < late[part].dirty_random).all()
    assert min(clean.dirty_margin, clean.dirty_bald) > clean.dirty_random and abs(clean.dirty_margin - clean.dirty_bald) < 0.01
    assert unclear.idxmax() == "dirty_margin"
    assert ends[AMBIGUOUS, "dirty_bald"] < ends[AMBIGUOUS, "dirty_random"]
    full = load_data("dirty-mnist")
    asked = acquired(*DIRTY, ambiguous=full.ambiguous.numpy(), used=True).query("n_labelled <= @studies.last")
    first = share_along(asked).groupby(["study", "n_labelled"]).share.mean()[:, 120]
    share = asked.groupby("study").ambiguous.mean()
    assert min(share.dirty_entropy, share.dirty_margin) > 0.65 and first.dirty_bald < 0.2 and share.dirty_bald < 0.5
    doubtful = asked[asked.ambiguous]
    doubtful = doubtful.assign(picture=full.group[doubtful["index"].tolist()].numpy()).groupby(["study", "seed"]).picture
    new = (doubtful.nunique() / doubtful.size()).groupby("study").mean()
    assert new.dirty_margin > 0.95 and max(new.dirty_entropy, new.dirty_bald) < 0.5
