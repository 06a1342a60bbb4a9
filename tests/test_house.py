"The house: arrows that go one way, one order, cells and sentences of a readable length. What is counted may only fall: lower a limit when you can."
import ast
import collections
import json
import os
import re

import pytest
from conftest import ROOT

NBS = ROOT / "nbs"
ROOMS = ("deeper", "guides")
PATHS = sorted(p for p in NBS.rglob("[!_.]*.ipynb") if ".ipynb_checkpoints" not in p.parts)
CELLS = {p.relative_to(NBS).as_posix(): [(c["cell_type"], "".join(c["source"])) for c in json.loads(p.read_text(encoding="utf-8"))["cells"]] for p in PATHS}
CODE = {n: [s for kind, s in cells if kind == "code"] for n, cells in CELLS.items()}
TEXT = {n: [s for kind, s in cells if kind == "markdown"] for n, cells in CELLS.items()}
ARROWS = "pictures data model features probe train thinning predict posteriors acquisition batches scoring answers record progress steps calibration label bridges results evidence figures claims report study sweep".split()
SIDE = {"dirty_mnist": "acquisition"}  # a data set made with networks and scores
OLD = "curves"  # old names: no module of its own

LIMITS = {
    "imports of a later chapter": 0,
    "private names across modules": 0,
    "cells of export over 40 lines": 0,
    "lines of code over 110 characters": 96,
    "runs of three equal lines in two notebooks": 4,
    "sentences over 35 words": 9,
}


def imports(source):
    "(module of bdal, names) of every import, in functions too"
    for node in ast.walk(ast.parse(re.sub(r"^\s*[!%].*$", "", source, flags=re.M))):
        if isinstance(node, ast.ImportFrom) and ((node.module or "").startswith("bdal.") or node.level):
            yield (node.module or "").removeprefix("bdal."), [a.name for a in node.names]
        if isinstance(node, ast.Import):
            yield from ((a.name.removeprefix("bdal."), []) for a in node.names if a.name.startswith("bdal."))


def rank(module):
    return ARROWS.index(SIDE.get(module, module))


def modules():
    return {p.stem: p.read_text(encoding="utf-8") for p in sorted((ROOT / "bdal").glob("[!_]*.py")) if p.stem != OLD}


def exported():
    "Chapter of the course -> its module"
    found = {n: re.search(r"^#\|\s*default_exp (\w+)", "\n".join(CODE[n]), re.M) for n in CODE}
    return {n: m[1] for n, m in found.items() if m and "/" not in n}


def later_chapters():
    "A chapter of the course that uses the module of a later one"
    chapters = sorted(n for n in CODE if "/" not in n and n != "index.ipynb")
    made = {module: chapters.index(n) for n, module in exported().items()}
    return [(n, m) for at, n in enumerate(chapters) for cell in CODE[n] for m, _ in imports(cell) if made.get(m, -1) > at]


def private_names():
    sources = [*modules().items(), *((n, cell) for n in CODE for cell in CODE[n])]
    found = [(n, m, name) for n, source in sources for m, names in imports(source) for name in names if name.startswith("_") and m in ARROWS]
    inside = re.compile(r"\bbdal\.\w+\._[a-z]\w*")
    return found + [(n, hit) for n, source in sources for hit in inside.findall(source)]


def long_cells():
    def lines(cell):
        return sum(bool(line.strip()) for line in cell.splitlines()[1:])

    return [(n, lines(cell)) for n in CODE for cell in CODE[n] if re.match(r"#\|\s*exporti?\b", cell) and lines(cell) > 40]


def long_lines():
    return [(n, line) for n in CODE for cell in CODE[n] for line in cell.splitlines() if len(line) > 110 and not line.startswith("#| fig-alt:")]


def repeated_lines():
    """Imports and the cell that exports are alike for a reason. So are the parameters of experiments: papermill shows a
    notebook's own, each with its meaning, and DESIGN asks for the same ones in all."""
    where = collections.defaultdict(set)
    for n in CODE:
        for cell in CODE[n]:
            if re.match(r"data: str =|seed: int =", cell): continue
            lines = [line.strip() for line in cell.splitlines() if line.strip() and not re.match(r"\s*(#|import |from )", line)]
            for run in zip(lines, lines[1:], lines[2:]):
                where[run].add(n)
    return [(sorted(notebooks), run) for run, notebooks in where.items() if len(notebooks) > 1]


def long_sentences():
    found = []
    for n in TEXT:
        for text in TEXT[n]:
            text = re.sub(r"(?s)```.*?```|\$\$.*?\$\$", "", text)
            text = re.sub(r"(?m)^\s*(\||#|<|:::).*$", "", text)
            text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
            for part in re.split(r"\n\s*\n|\n(?=\s*(?:[-*>]|\d+\.) )", text):
                for sentence in re.split(r"(?<=[.?!])[)*\"]*\s+(?=[A-Z*`(\"])", " ".join(part.split())):
                    if len(sentence.split()) > 35:
                        found.append((n, sentence))
    return found


COUNTED = dict(zip(LIMITS, (later_chapters, private_names, long_cells, long_lines, repeated_lines, long_sentences)))


@pytest.mark.parametrize("what", LIMITS)
def test_what_is_counted_only_falls(what):
    found = COUNTED[what]()
    assert len(found) <= LIMITS[what], f"{what}: {len(found)}, and {LIMITS[what]} are allowed:\n" + "\n".join(map(str, found))


def test_arrows_go_one_way():
    back = [(module, m) for module, source in modules().items() for m, _ in imports(source) if m in (*ARROWS, *SIDE) and rank(m) > rank(module)]
    assert not back and {*ARROWS, *SIDE} == set(modules())
    assert not [m for m, _ in imports(modules()["acquisition"]) if m != "data"], "acquisition knows tensors only"
    assert not {m for m, _ in imports(modules()["record"])} & {"model", "train", "predict", "thinning", "scoring"}, "record knows no network"


def sidebar():
    "Notebooks in the order of the site, a list a section"
    yaml = pytest.importorskip("yaml")
    home, *sections = yaml.safe_load((NBS / "sidebar.yml").read_text(encoding="utf-8"))["website"]["sidebar"]["contents"]
    assert home["href"] == "index.ipynb"
    return [[page for page in s["contents"] if page.endswith(".ipynb")] for s in sections]


def test_one_order():
    "Files, sidebar, README"
    started, course, guides, deeper, _ = sidebar()
    assert course == sorted(n for n in CELLS if "/" not in n and n != "index.ipynb")
    for room, pages in zip(ROOMS, (deeper, started + guides)):
        assert sorted(pages) == sorted(n for n in CELLS if n.startswith(f"{room}/"))
    listed = re.findall(r"^\| \[\w+\]\(nbs/([\w/]+\.ipynb)\)", (ROOT / "README.md").read_text(encoding="utf-8"), re.M)
    assert listed == started + course + guides + deeper


def test_a_notebook_makes_one_module_of_its_name():
    made = {n: re.findall(r"^#\|\s*default_exp (\w+)", "\n".join(CODE[n]), re.M) for n in CODE}
    assert not [n for n, found in made.items() if len(found) > 1]
    named = {n.removeprefix("deeper/").removesuffix(".ipynb"): found[0] for n, found in made.items() if n.startswith("deeper/") and found}
    others = {stem: module for stem, module in named.items() if stem != module}
    assert others == {"race": "scoring", "ambiguous_mnist": "dirty_mnist", "old_names": OLD}


def test_links_between_files_lead_somewhere():
    lost = []
    for n in TEXT:
        for text in TEXT[n]:
            for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"(?s)```.*?```", "", text)):
                path = target.partition("#")[0]
                if path and ":" not in path and not os.path.exists((NBS / n).parent / path):
                    lost.append((n, target))
    assert not lost


def test_every_notebook_says_what_it_is_for():
    "A title and a subtitle in a cell of their own, then an opening"
    for n in TEXT:
        title, opening = TEXT[n][:2]
        assert re.fullmatch(r"# [^\n]+\n+> [^\n]+\n*(?:- [^\n]*\n*)*", title), f"{n}: {title}"
        assert opening.strip(), n


INHERITED = {"handle_error", "log_message", "forward", "run_round"}  # said by those that they are of; an old name


def public_functions(source):
    "Functions and methods that a reader may call, if they are longer than a line"
    for node in ast.parse(source).body:
        for f in node.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_") else [node]:
            public = isinstance(f, ast.FunctionDef) and (not f.name.startswith("_") or f.name == "__init__")
            if public and f.lineno < f.end_lineno and f.name not in INHERITED:
                yield f


def test_each_parameter_is_told():
    "What it is, of what shape or unit, stands beside it"
    untold = []
    for path in sorted((ROOT / "bdal").glob("*.py")):
        lines = (source := path.read_text(encoding="utf-8")).splitlines()
        for f in public_functions(source):
            args = [*f.args.posonlyargs, *f.args.args, *f.args.kwonlyargs, *filter(None, [f.args.vararg, f.args.kwarg])]
            untold += [f"{path.name}: {f.name}({a.arg})" for a in args if a.arg not in ("self", "cls") and "#" not in lines[a.lineno - 1]]
    assert not untold, "\n".join(untold)
