"""What a page needs beyond nbdev's processing. Quarto and smalldocs both run this before they render, in the folder of the processed
notebooks: links stay inside the site, pictures get alternative texts, the results get a page, and each page says what it was made from.
Run twice, it changes nothing the second time."""
import ast
import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
import yaml
from account import published

root = Path(__file__).resolve().parent.parent
proc = Path.cwd()
site = yaml.safe_load((proc/"nbdev.yml").read_text(encoding="utf-8"))["website"]
repo = f"{site['repo-url']}/blob/{site['repo-branch']}"
BUILT, COLAB = "::: {.built}", "::: {.colab}"

# Addresses that pages had before, and the notebook that is there now. Quarto makes the old pages of `aliases`, and docs/build.py does.
MOVED = {
    "00a_dirty_mnist dirty_mnist": "deeper/ambiguous_mnist",
    "01a_thinning thinning": "deeper/thinning",
    "01b_setup": "01c_setup",
    "01c_recipe": "deeper/recipe",
    "02a_scoring scoring": "deeper/race",
    "03a_curves curves": "deeper/evidence",
    "03b_random": "03a_random",
    "03c_scaling": "03b_scaling",
    "03d_sweep sweep": "deeper/sweep",
    "03e_when_runs_die": "deeper/when_runs_die",
    "05a_mistakes": "deeper/mistakes",
    "05b_first_labels": "deeper/first_labels",
    "10_first_trial": "guides/first_trial",
    "11_your_own_images": "guides/own_images",
    "12_read_a_curve": "guides/read_a_curve",
    "13_many_trials": "guides/many_trials",
}

def git(*args):
    "What git says, or nothing where there is no repository"
    done = subprocess.run(["git", *args], cwd=root, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""

def built(source):
    "The last lines of a page: its source, and the commit"
    commit, date = git("log", "-1", "--format=%h"), git("log", "-1", "--format=%cs")
    changed = " with uncommitted changes" if git("status", "--porcelain", "-uno") else ""
    file, at = source, commit
    if published(): file, at = f"[{source}]({repo}/{source})", f"[{commit}]({site['repo-url']}/commit/{commit})"
    which = f"last built from commit {at} of {date}{changed}" if commit else "built outside a repository"
    return f"{BUILT}\nSource: {file}, {which}.\n:::\n"

def colab(source):
    "The line below the title: the same notebook, to be run in a browser"
    place = f"{site['repo-url'].removeprefix('https://')}/blob/{site['repo-branch']}/{source}"
    where = f"https://colab.research.google.com/{place.replace('github.com', 'github', 1)}"
    return f"{COLAB}\n[Open in Colab]({where}); there, first run `%pip install git+{site['repo-url']}`\n:::\n"

def front_matter(nb):
    "The options that nbdev has written into the first cell"
    return yaml.safe_load("".join(nb["cells"][0]["source"]).strip().strip("-"))

def link(target, page, pages):
    "A link as a page of this site needs it: to notebooks and figures by file, to the rest of the repository on its host"
    up = "../" * (len(page.parts) - 1)
    base = f"{site['site-url']}/"
    if target.startswith(base):
        name, _, anchor = target[len(base):].partition("#")
        if name not in pages: return target
        notebook, entries = pages[name]
        # A method without an entry of its own is described with its class.
        return f"{up}{notebook}#{anchor if anchor in entries else anchor.partition('.')[0]}"
    path = (root/"nbs"/page.parent/target.partition("#")[0]).resolve()
    if ":" in target or target.startswith("#") or (root/"nbs") in path.parents or root not in path.parents: return target
    inside = path.relative_to(root).as_posix()
    if inside == "results/REPORT.md": return up + "results.qmd"
    picture = inside.startswith("results/") and path.suffix in (".png", ".gif")
    return up + copied(path) if picture else f"{repo}/{inside}" if published() else up + copied(path) if path.is_file() else ""

def copied(path):
    "A file of the repository, put into the site"
    inside = path.relative_to(root).as_posix()
    (proc/inside).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, proc/inside)
    return inside

def relinked(markdown, page, pages):
    "Markdown with the links of this site; where there is nothing to link to, the words alone"
    linked = re.sub(r"(\]\()([^)\s]+)(\))", lambda m: m[1] + link(m[2], page, pages) + m[3], markdown)
    return re.sub(r"\[([^\[\]]*)\]\(\)", r"\1", linked)

def plain(markdown):
    "A few sentences of the paragraph before a picture, without markup: the last ones where it ends in a colon, else the first"
    text = re.sub(r"(?s)\$\$.*?\$\$", "", markdown).strip().split("\n\n")[-1]
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)(\{[^}]*\})?", r"\1", text)
    text = " ".join(re.sub(r"[*`$#|]|^-+$", "", text, flags=re.M).split())
    sentences = re.split(r"(?<=[.?!]) (?=[A-Z])", text.rstrip(":"))
    while len(sentences) > 1 and len(" ".join(sentences)) > 180: sentences.pop(0 if text.endswith(":") else -1)
    return " ".join(sentences)

def joined(outputs):
    "Outputs, where lines that were printed one after the other are one text again"
    together = []
    for output in outputs:
        before = together[-1] if together else {}
        if "text" in output and before.get("name") == output.get("name"):
            before["text"] = "".join(before["text"]) + "".join(output["text"])
        else: together.append(output)
    return together

def notebook(path, pages):
    "Links, alternative texts, the way to Colab and the last lines of one processed notebook"
    page, nb = path.relative_to(proc), json.loads(path.read_text(encoding="utf-8"))
    front = front_matter(nb)
    front["output-file"] = output_file(page, front)
    if old := [f"/{name}.html" for names, new in MOVED.items() if new == page.with_suffix("").as_posix() for name in names.split()]:
        front["aliases"] = old
    nb["cells"][0]["source"] = f"---\n{yaml.dump(front)}---\n"
    heading = text = front.get("title", page.stem)
    def relink(source): return relinked("".join(source), page, pages)
    nb["cells"] = [c for c in nb["cells"] if not "".join(c["source"]).startswith((BUILT, COLAB))]
    for cell in nb["cells"][1:]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            cell["source"] = source = relink(source)
            for found in re.findall(r"^#+ (.+)$", source, flags=re.M): heading = text = found
            if (prose := re.sub(r"^(#.*|<!--.*|:::.*)$", "", source, flags=re.M)).strip(): text = plain(prose)
            continue
        cell["outputs"] = joined(cell.get("outputs", []))
        given = re.search(r"^#\|\s*fig-alt:\s*(.+)$", source, flags=re.M)
        alt = str(yaml.safe_load(given[1])) if given else text if text.startswith(heading) else f"{heading}: {text}"
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "text/markdown" in data: data["text/markdown"] = code_as_it_was(without_source(relink(data["text/markdown"])))
            if "image/png" in data and "fig-alt" not in source:
                cell["source"] = source = f"#| fig-alt: {json.dumps(alt, ensure_ascii=False)}\n{source}"
    source = f"nbs/{page.as_posix()}"
    if published(): nb["cells"].insert(1, {"cell_type": "markdown", "metadata": {}, "source": colab(source)})
    nb["cells"].append({"cell_type": "markdown", "metadata": {}, "source": built(source)})
    path.write_text(json.dumps(nb, ensure_ascii=False, indent=1), encoding="utf-8")

def code_as_it_was(markdown):
    "nbdev makes links of names in a signature too, where they cannot be links, and takes the type of a default for that of its argument"
    def plain_code(m): return re.sub(r":(NoneType|function)(?==)", "", re.sub(r"\[(`[^`]+`)\]\([^)]*\)", r"\1", m[0]))
    return re.sub(r"(?s)```.*?```", plain_code, markdown)

def without_source(markdown):
    "An entry without the link to its line on the host, as long as nothing is there"
    return markdown if published() else re.sub(rf"\[[^\]]*\]\({re.escape(site['repo-url'])}[^)]*\)(\{{[^}}]*\}})?", "", markdown)

def entries(nb):
    "Anchors of the names that a page documents"
    shown = ("".join(o.get("data", {}).get("text/markdown", "")) for c in nb["cells"] for o in c.get("outputs", []))
    return {name.lower() for text in shown for name in re.findall(r"^#{2,5} (\S+)$", text, flags=re.M)}

def output_file(page, front):
    "Pages of modules have the module's name, as nbdev links to them; all others keep their own, so that no two are alike"
    return front["output-file"] if page.stem in modules() else page.stem + ".html"

def modules():
    "Stems of the notebooks that export"
    exports = re.compile(r"^#\|\s*default_exp\s", flags=re.M)
    return {p.stem for p in (root/"nbs").rglob("[!_.]*.ipynb") if ".ipynb_checkpoints" not in p.parts
            if any(exports.search("".join(c["source"])) for c in json.loads(p.read_text(encoding="utf-8"))["cells"])}

CURVES = """## Curves to choose from

Choose the studies that you want to compare. Move over the picture, or use the arrow keys, to read the mean over the trials and its 95 % t-interval.

::: {{.curves}}
{picture}
:::

```{{=html}}
<script type="application/json" id="curves-data">{data}</script>
<script>
{script}</script>
```
"""

def curves(results):
    "Test accuracy of each study along labels: [labels, trials, mean, low, high], as the report's tables have them"
    def rows(name): return list(csv.DictReader((results/"tables"/f"{name}.csv").open(encoding="utf-8")))
    def point(row): return [int(row["n_labelled"]), int(row["n"]), *(float(row[f"test_accuracy {what}"]) for what in ("mean", "low", "high"))]
    return [dict(study=s["study"], says=s["says"], points=[point(row) for row in rows(s["study"])]) for s in rows("studies") if s["along"] == "labels"]

def chosen_curves(results, page, pages):
    "The curves that a reader chooses; without a script, the picture that is in their place"
    picture = relinked("![](../results/heuristic_al.png){fig-alt=\"Test accuracy along labels of random acquisition, margin, BALD and entropy\"}", page, pages)
    data = json.dumps(curves(results), separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
    return CURVES.format(picture=picture, data=data, script=(root/"docs"/"curves.js").read_text(encoding="utf-8"))

def results_page(pages):
    "The report as a page, with curves to choose from and the figures on top, and its tables as files"
    page, results = Path("results.qmd"), root/"results"
    text = (results/"REPORT.md").read_text(encoding="utf-8").split("\n\n", 2)[2]   # without its title, and what it says of the file
    text = re.sub(r"(\]\()([^):\s]+)(\))", r"\1../results/\2\3", text)
    text = re.sub(r"!\[([^\]]*)(\]\([^)]*\))\n\n\*(.*)\*\n", r'![\3\2{fig-alt="\1"}\n', text)
    figures = re.search(r"(?ms)^## The figures\n.*?(?=^## )", text + "\n## ")
    text = relinked(figures[0] + text.replace(figures[0].rstrip(), ""), page, pages)
    parts = [(root/"nbs"/page).read_text(encoding="utf-8"), chosen_curves(results, page, pages), text, "## The tables as files\n"]
    for file in sorted(results.rglob("*.csv")):
        columns, *rows = file.read_text(encoding="utf-8").splitlines()
        name = file.relative_to(results).as_posix()
        parts.append(f"- [{name}]({link(f'../results/{name}', page, pages)}): {len(rows):,} rows of {columns.replace(',', ', ')}")
    write(page, *parts)

def write(page, *parts):
    "A page that no notebook makes, with its last lines"
    (proc/page).write_text("\n".join([*parts, "", built(f"nbs/{page}")]), encoding="utf-8")

def attributes(node, lines):
    "(name, what is said of it) of the fields of a class, and of what its `__init__` sets, where a comment says what it is"
    begins = next((n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)
    for n in [n for n in node.body if isinstance(n, ast.AnnAssign)] + [n for n in (begins.body if begins else []) if isinstance(n, ast.Assign)]:
        comment = lines[n.end_lineno - 1].partition("#")[2].strip()
        targets = [t for whole in (n.targets if isinstance(n, ast.Assign) else [n.target]) for t in (whole.elts if isinstance(whole, ast.Tuple) else [whole])]
        for t in targets:
            name = t.attr if isinstance(t, ast.Attribute) else t.id if isinstance(t, ast.Name) else "_"
            if comment and not name.startswith("_"): yield name, comment

def public_names():
    "(name, module, a line) of all public functions and classes, of the methods of the classes, and of what they hold"
    for path in sorted((root/"bdal").glob("[!_]*.py")):
        tree, lines = ast.parse(path.read_text(encoding="utf-8")), path.read_text(encoding="utf-8").splitlines()
        shown = next((ast.literal_eval(n.value) for n in tree.body if isinstance(n, ast.Assign) and n.targets[0].id == "__all__"), [])
        for node in tree.body:
            if not isinstance(node, (ast.FunctionDef, ast.ClassDef)): continue
            owner = node.args.args[0].annotation if isinstance(node, ast.FunctionDef) and node.args.args else None
            if any("patch" in ast.unparse(d) for d in node.decorator_list):
                if not node.name.startswith("_") and owner: yield f"{ast.unparse(owner)}.{node.name}", path.stem, said(node)
            elif node.name in shown:
                yield node.name, path.stem, said(node)
                for method in node.body if isinstance(node, ast.ClassDef) else []:
                    if isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
                        yield f"{node.name}.{method.name}", path.stem, said(method)
                if isinstance(node, ast.ClassDef): yield from ((f"{node.name}.{name}", path.stem, line) for name, line in attributes(node, lines))

def said(node): return (ast.get_docstring(node) or "").partition("\n")[0]

def index_page(pages):
    "All functions from A to Z: a link to its entry and a line each"
    page, lines, letter = Path("functions.qmd"), [], ""
    where = {Path(name).stem: (name, notebook, anchors) for name, (notebook, anchors) in pages.items()}
    for name, module, line in sorted(public_names(), key=lambda entry: entry[0].lower()):
        if module not in where: continue
        if name[0].upper() != letter: lines.append(f"\n## {(letter := name[0].upper())}\n")
        _, notebook, anchors = where[module]
        anchor = name.lower() if name.lower() in anchors else name.lower().partition(".")[0]
        lines.append(f"- [`{name}`]({notebook}{f'#{anchor}' if anchor in anchors else ''}), {module}: {line}")
    write(page, (root/"nbs"/page).read_text(encoding="utf-8"), *lines)

def changes_page(pages):
    page = Path("changes.qmd")
    text = (root/"CHANGELOG.md").read_text(encoding="utf-8").partition("\n")[2]
    write(page, (root/"nbs"/page).read_text(encoding="utf-8"), relinked(text, page, pages))

def main():
    paths = sorted(p for p in proc.rglob("*.ipynb") if not any(part.startswith(("_", ".")) for part in p.relative_to(proc).parts))
    pages = {}
    for path in paths:
        page, nb = path.relative_to(proc), json.loads(path.read_text(encoding="utf-8"))
        pages[(page.parent/output_file(page, front_matter(nb))).as_posix()] = page.as_posix(), entries(nb)
    for path in paths: notebook(path, pages)
    results_page(pages)
    index_page(pages)
    changes_page(pages)

if __name__ == "__main__": sys.exit(main())
