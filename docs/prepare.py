"""What a page needs beyond nbdev's processing. Quarto and smalldocs both run this before they render, in the folder of the processed
notebooks: links stay inside the site, pictures get alternative texts, the results get a page, and each page says what it was made from.
Run twice, it changes nothing the second time."""
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
import pandas as pd
import yaml
from bdal.curves import at_labels, labels_to, load

root = Path(__file__).resolve().parent.parent
proc = Path.cwd()
site = yaml.safe_load((proc/"nbdev.yml").read_text(encoding="utf-8"))["website"]
repo = f"{site['repo-url']}/blob/{site['repo-branch']}"
BUILT = "::: {.built}"

def git(*args):
    "What git says, or nothing where there is no repository"
    done = subprocess.run(["git", *args], cwd=root, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""

def built(source):
    "The last lines of a page: its source, and the commit"
    commit, date = git("log", "-1", "--format=%h"), git("log", "-1", "--format=%cs")
    changed = " with uncommitted changes" if git("status", "--porcelain", "-uno") else ""
    which = f"last built from commit [{commit}]({site['repo-url']}/commit/{commit}) of {date}{changed}" if commit else "built outside a repository"
    return f"{BUILT}\nSource: [{source}]({repo}/{source}), {which}.\n:::\n"

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
    if not inside.startswith("results/") or path.suffix != ".png": return f"{repo}/{inside}"
    (proc/inside).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, proc/inside)
    return up + inside

def plain(markdown):
    "A few sentences of the paragraph before a picture, without markup: the last ones where it ends in a colon, else the first"
    text = markdown.strip().split("\n\n")[-1]
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
    "Links, alternative texts and the last lines of one processed notebook; what it says of the figures that it saves"
    page, nb = path.relative_to(proc), json.loads(path.read_text(encoding="utf-8"))
    front, figures = front_matter(nb), {}
    front["output-file"] = output_file(page, front)
    nb["cells"][0]["source"] = f"---\n{yaml.dump(front)}---\n"
    heading = text = front.get("title", page.stem)
    def relink(source): return re.sub(r"(\]\()([^)\s]+)(\))", lambda m: m[1] + link(m[2], page, pages) + m[3], "".join(source))
    if BUILT in "".join(nb["cells"][-1]["source"]): nb["cells"].pop()
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
            if "text/markdown" in data: data["text/markdown"] = code_as_it_was(relink(data["text/markdown"]))
            if "image/png" in data and "fig-alt" not in source:
                cell["source"] = source = f"#| fig-alt: {json.dumps(alt, ensure_ascii=False)}\n{source}"
        figures |= {file: (alt, page.as_posix(), front.get("title", page.stem)) for file in re.findall(r'"([\w-]+\.png)"', source)}
    nb["cells"].append({"cell_type": "markdown", "metadata": {}, "source": built(f"nbs/{page.as_posix()}")})
    path.write_text(json.dumps(nb, ensure_ascii=False, indent=1), encoding="utf-8")
    return figures

def code_as_it_was(markdown):
    "nbdev makes links of names in a signature too, where they cannot be links"
    return re.sub(r"(?s)```.*?```", lambda m: re.sub(r"\[(`[^`]+`)\]\([^)]*\)", r"\1", m[0]), markdown)

def entries(nb):
    "Anchors of the names that a page documents"
    shown = ("".join(o.get("data", {}).get("text/markdown", "")) for c in nb["cells"] for o in c.get("outputs", []))
    return {name.lower() for text in shown for name in re.findall(r"^###? (\S+)$", text, flags=re.M)}

def output_file(page, front):
    "Pages of modules have the module's name, as nbdev links to them; all others keep their own, so that no two are alike"
    return front["output-file"] if page.stem in modules() else page.stem + ".html"

def modules():
    "Stems of the notebooks that export"
    exports = re.compile(r"^#\|\s*default_exp\s", flags=re.M)
    return {p.stem for p in (root/"nbs").glob("*.ipynb")
            if any(exports.search("".join(c["source"])) for c in json.loads(p.read_text(encoding="utf-8"))["cells"])}

def studies(results):
    "One row a study: what 90 and 95 % cost, and accuracy at some label counts; and what is no such study"
    costs, accuracy, left_out = [], [], []
    for folder in sorted({p.parent for p in results.glob("*/trial-*.jsonl")}):
        config = json.loads(min(folder.glob("trial-*.jsonl")).read_text(encoding="utf-8").splitlines()[0])["config"]
        try: frame, K = load(folder.name, results=results), config["K"]
        except (KeyError, ValueError) as error: left_out.append(f"{folder.name}: {error}"); continue
        cost = {"study": folder.name, "data": config.get("data", ""), "K": K, "trials": frame.seed.nunique()}
        for level in (.9, .95):
            labels = ("never" if n == float("inf") else f"{n:,.0f}" for n in sorted(labels_to(frame, level)))
            cost[f"labels to {level:.0%}"] = ", ".join(labels)
        costs.append(cost)
        accuracy.append({"study": folder.name} | {f"at {n:,}": at_labels(frame, (n,))[folder.name].iloc[0].replace(", ", ",\u00a0")
                                                   for n in (50, 100, 200, 300, 1020)})
    return pd.DataFrame(costs), pd.DataFrame(accuracy), left_out

def table(frame):
    return f'```{{=html}}\n<div class="table-responsive" tabindex="0">\n{frame.to_html(index=False, border=0)}\n</div>\n```\n'

def results_page(figures):
    "The page of results: two tables of the studies, then every table and every figure in `results`"
    results, page = root/"results", "results.qmd"
    costs, accuracy, left_out = studies(results)
    parts = [(root/"nbs"/page).read_text(encoding="utf-8"),
             "## What an accuracy costs\n", "One row a study: the numbers of labels at which its trials first reach 90 and 95 %.\n", table(costs),
             "## What labels bring\n", "Test accuracy at some numbers of labels: the mean over trials, and its 95 % t-interval.\n",
             table(accuracy)]
    parts += [f"Left out, because it is no learning curve: {line}\n" for line in left_out]
    for csv in sorted(results.glob("*.csv")): parts += [f"## {csv.stem.replace('_', ' ')}\n", table(pd.read_csv(csv))]
    for png in sorted(results.glob("*.png")):
        (proc/"results").mkdir(exist_ok=True)
        shutil.copy2(png, proc/"results"/png.name)
        alt, drawn_in, title = figures.get(png.name, (png.stem.replace("_", " "), "", ""))
        parts += [f"## {png.stem.replace('_', ' ')}\n", f"![{alt.replace('[', '(').replace(']', ')')}](results/{png.name})\n"]
        if drawn_in: parts.append(f"Drawn in [{title}]({drawn_in}).\n")
    (proc/page).write_text("\n".join([*parts, built(f"nbs/{page}")]), encoding="utf-8")

def main():
    paths = sorted(p for p in proc.rglob("*.ipynb") if not any(part.startswith(("_", ".")) for part in p.relative_to(proc).parts))
    pages, figures = {}, {}
    for path in paths:
        page, nb = path.relative_to(proc), json.loads(path.read_text(encoding="utf-8"))
        pages[(page.parent/output_file(page, front_matter(nb))).as_posix()] = page.as_posix(), entries(nb)
    for path in paths: figures |= notebook(path, pages)
    results_page(figures)

if __name__ == "__main__": sys.exit(main())
