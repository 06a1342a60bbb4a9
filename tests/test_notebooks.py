"What the site, Colab and a fresh JupyterLab need of every notebook, seen from its file."
import ast
import configparser
import json
import re

import pytest
import yaml
from conftest import ROOT

NOTEBOOKS = {p.relative_to(ROOT / "nbs").as_posix(): json.loads(p.read_text(encoding="utf-8")) for p in sorted((ROOT / "nbs").rglob("[!_.]*.ipynb")) if ".ipynb_checkpoints" not in p.parts}
CONFIG = configparser.ConfigParser(delimiters="=")
CONFIG.read(ROOT / "settings.ini", encoding="utf-8")


def code(notebook):
    return ["".join(c["source"]) for c in NOTEBOOKS[notebook]["cells"] if c["cell_type"] == "code"]


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_no_notebook_opens_with_a_shell_cell(notebook):
    "The first thing to be seen is the title, or what is exported; the way to Colab is on the site"
    assert not any(re.match(r"\s*[!%]", line) for line in "\n".join(code(notebook)[:1]).splitlines()), notebook


@pytest.mark.parametrize("notebook", [n for n in NOTEBOOKS if any(cell.startswith("#| default_exp") for cell in code(n))])
def test_cells_that_import_do_nothing_else(notebook):
    "Where names are exported, the site runs such cells without the others: a name that another cell makes is not there"
    for cell in code(notebook):
        if re.match(r"#\|\s*(export|eval:\s*false)", cell) or "nbdev_export()" in cell:
            continue
        body = ast.parse(re.sub(r"^[!%].*$", "", cell, flags=re.M)).body
        imports = [n for statement in body for n in ast.walk(statement) if isinstance(n, (ast.Import, ast.ImportFrom))]
        assert not imports or all(isinstance(statement, (ast.Import, ast.ImportFrom)) for statement in body), f"move the imports to a cell of their own:\n{cell}"


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_what_a_figure_shows_is_yaml(notebook):
    "The site reads it so: a text with a colon stands in quotes, else it is lost without a word"
    for line in re.findall(r"^#\|\s*(fig-alt:.*)$", "\n".join(code(notebook)), re.M):
        assert isinstance(yaml.safe_load(line)["fig-alt"], str), line


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_nothing_is_left_of_the_machine_that_ran_it(notebook):
    nb = NOTEBOOKS[notebook]
    assert nb["metadata"] == {"kernelspec": {"display_name": "python3", "language": "python", "name": "python3"}}
    for cell in nb["cells"]:
        outputs = cell.get("outputs", [])
        assert not [o for o in outputs if o["output_type"] == "error"]
        text = json.dumps([{k: v for k, v in o.get("data", o).items() if not k.startswith("image/")} for o in outputs])
        assert not (found := re.search(r"(/home|/root|/tmp|/Users|/work|[A-Z]:\\\\)[/\\]\S*", text)), found
