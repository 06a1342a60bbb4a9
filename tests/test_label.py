"A person labels: the session, the page and who may reach it, a browser, a process that is killed."
import csv
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import types
from urllib.parse import urlsplit

import numpy as np
import pytest
import torch
from PIL import Image

from bdal.label import KEYS, LIMIT, Session, main, serve, session_of
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
    for method in ("PUT", "DELETE", "OPTIONS", "HEAD"): assert talk(server, method, token)[0] == 501
    assert server.session.state()["n"] == 0
    assert server.server_address[0] == "127.0.0.1"


def start(scans, record):
    code = "from bdal.label import main; main()"
    p = subprocess.Popen([sys.executable, "-c", code, str(scans), "--classes", "red", "blue", "--record", str(record), "--side", "32", "--no-browser",
                          "--by", "Ada"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    address = p.stdout.readline().strip()
    assert address.startswith("http://127.0.0.1:"), address + p.stdout.read()
    return p, types.SimpleNamespace(address=address)


def test_today_and_tomorrow(scans, tmp_path):
    "As the page says: six labels, Ctrl-C in the middle of a training, the same command without classes, the tables"
    folder = tmp_path / "scans"
    shutil.copytree(scans, folder)
    (folder / "broken.jpg").touch()
    command = [sys.executable, "-c", "from bdal.label import main; main()", "scans", "--side", "32"]
    for n, classes in ((6, ["--classes", "red", "blue"]), (8, [])):
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
    cases = {"name two or more": [], "stands twice": ["--classes", "red", "red"], "give the path of the folder": None, "side is 0; give pixels": [*two, "--side", "0"],
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
    session_of(few, ["red", "blue"], side=32, T=2).learner.record.close()  # two are enough
    shutil.copy(folder / "p00_0.png", folder / "more.png")
    with pytest.raises(SystemExit): main([str(folder), *two])
    assert "Put the folder back as it was" in capsys.readouterr().err
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


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium")
def test_in_a_browser(scans, tmp_path):
    "60 pictures by keys: an undo, a skip, a new class, a reload, a kill; at most 1.2 keystrokes a label"
    sync_playwright = pytest.importorskip("playwright.sync_api").sync_playwright
    record, told, keys, n = tmp_path / "labels.jsonl", {}, 0, 0
    p, server = start(scans, record)
    shots = os.environ.get("BDAL_SHOTS")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        page, complaints = browser.new_page(viewport=dict(width=1000, height=850)), []
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: complaints.append(str(e)))
        page.goto(server.address)
        def shown(was=None):
            page.wait_for_function("was => { const i = document.querySelector('.bdal img'); return !i.hidden && i.alt && i.alt != was }", arg=was, timeout=30000)
            return page.locator(".bdal img").get_attribute("alt")
        alt = shown()
        while len(told) < 60:
            n += 1
            file = alt.partition(", ")[2]
            c = int(file[-5])
            if n == 5: page.keyboard.press("s"); keys += 1
            elif n == 25:
                page.get_by_label("Name of a new class").fill("fox"); page.keyboard.press("Enter"); keys += 4; told[file] = "fox"
            elif n in (12, 40):
                page.keyboard.press(str(2 - c)); keys += 2; shown(alt); page.keyboard.press("Backspace")
                page.wait_for_function("alt => document.querySelector('.bdal img').alt == alt", arg=alt); continue
            else: page.keyboard.press(str(c + 1)); keys += 1; told[file] = ["red", "blue"][c]
            if shots and n == 30:
                page.keyboard.press("?")
                page.screenshot(path=f"{shots}/light.png"); page.emulate_media(color_scheme="dark"); page.screenshot(path=f"{shots}/dark.png")
                page.set_viewport_size(dict(width=390, height=800)); page.screenshot(path=f"{shots}/phone.png")
                page.set_viewport_size(dict(width=1000, height=850)); page.emulate_media(color_scheme="light"); page.keyboard.press("?")
            if len(told) == 60: page.wait_for_function("() => document.querySelector('.bdal .row span').textContent.startsWith('60 of')"); break
            alt = shown(alt)
            if n == 20: page.reload(); alt = shown()
            if n == 35:
                os.kill(p.pid, signal.SIGKILL); p.wait()
                p, server = start(scans, record)
                page.goto(server.address); alt = shown()
        browser.close()
    os.kill(p.pid, signal.SIGKILL); p.wait()
    assert not complaints and keys <= 1.2 * 60, (complaints, keys)
    session = session_of(scans, None, record, side=32)
    known = {session.files[i].name: session.names[c] for i, c in zip(*(t.tolist() for t in session.learner.known))}
    assert known == told
    rows = csv.DictReader(open(session.export(tmp_path / "out") / "labels.csv"))
    assert {re.split(r"[/\\]", r["file"])[-1]: r["label"] for r in rows} == told
