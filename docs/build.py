"""Build the site into `_docs`, without a network: nbdev processes the notebooks, docs/prepare.py completes them, smalldocs renders them.
`nbdev_docs` does the same by Quarto, from the same _quarto.yml."""
import base64
import io
import json
import re
import struct
import sys
import unicodedata
from html import unescape
from pathlib import Path
from latex2mathml.converter import convert
from nbdev.config import get_config
from nbdev.quarto import refresh_quarto_yml
from nbdev.serve import proc_nbs
from PIL import Image
from smalldocs.config import load
from smalldocs.layout import SiteNav
from smalldocs.site import Site
from account import published

MATH = re.compile(r'<span class="math (inline|display)">\\[(\[](.*?)\\[)\]]</span>', re.S)
KNOWN = ("format.html.html-math-method is ignored", "output-file is not read by smalldocs", "aliases is not read by smalldocs")   # done here
THIN = '<mspace width="0.17em"/>'
PNG = re.compile(r'<img ([^>]*)src="data:image/png;base64,([^"]+)"')
FILE = re.compile(r'<img ([^>]*)src="([^":]+\.png)"')

def mathml(found):
    "MathML of one formula, which browsers draw without a script; with operators and function names spaced as TeX has them"
    kind, tex = found[1], unescape(found[2]).strip()
    math = convert(tex, display="block" if kind == "display" else "inline").replace("&#x0007E;", "&#x0223C;")
    def operator(m): return m[0] if unicodedata.category(unescape(m[1])).startswith("L") else f"<mo>{m[1]}</mo>"
    math = re.sub(r"<mi>(&#x[0-9A-F]+;)</mi>", operator, math).replace("<mo>&#x0221E;</mo>", "<mi>&#x0221E;</mi>")
    math = re.sub(r"(?<=</m[in]>)(<mi>[a-z]{2,}</mi>)", rf"{THIN}\1", math)
    math = re.sub(r"(<mi>[a-z]{2,}</mi>)(?!<mo)", rf"\1{THIN}", math)
    return f'<span class="math {kind}">{math}</span>'

def smaller(png):
    "The same picture with 256 colours, where that is smaller: a figure weighs a third, and looks the same"
    image, out = Image.open(io.BytesIO(png)), io.BytesIO()
    if image.mode not in ("RGB", "RGBA"): return png
    image.convert("RGBA").quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return min(out.getvalue(), png, key=len)

def drawn_for(png):
    "The width that a picture was drawn for, in pixels of the page, however many pixels an inch it has"
    width, at = struct.unpack(">I", png[16:20])[0], png.find(b"pHYs")
    dots = struct.unpack(">I", png[at+4:at+8])[0] * 0.0254 if at > 0 else 100
    return width * 100 / dots

def on_a_phone(width):
    "A picture with letters that shrinking would make too small: what stands in its `--phone` is the width that a phone gives it (styles.css)"
    return f'style="--phone: {.75*width:.0f}px" ' if width > 680 else ""

def sized(found):
    "A picture at the size it was drawn for"
    png = base64.b64decode(found[2])
    size = "" if "width=" in found[1] else f'width="{drawn_for(png):.0f}" '
    return f'<img {size}{on_a_phone(drawn_for(png))}{found[1]}src="data:image/png;base64,{base64.b64encode(smaller(png)).decode()}"'

# On a phone, the two buttons say what is behind them; a theme and a search are behind the upper one.
LABELS = {
    ' aria-label="Toggle sidebar navigation"><i class="bi bi-layout-text-sidebar-reverse"></i>': '><i class="bi bi-list" aria-hidden="true"></i> Pages',
    ' aria-label="Toggle navigation"><span class="navbar-toggler-icon"></span>': '><i class="bi bi-search" aria-hidden="true"></i> Search',
}

def labelled(text):
    for icon, words in LABELS.items(): text = text.replace(icon, words)
    return text

class NotebookSite(Site):
    "smalldocs, with nbdev's file names, mathematics as MathML, and no font from elsewhere"
    def read(self, src):
        page = super().read(src)
        if "output-file" in page.front: page.out = page.out.with_name(page.front["output-file"])
        return page

    def render_page(self, page):
        super().render_page(page)
        def wide(found): return f'<img {on_a_phone(drawn_for((self.root/page.src.parent/found[2]).read_bytes()))}{found[0].removeprefix("<img ")}'
        page.html, page.env["math"] = PNG.sub(sized, FILE.sub(wide, MATH.sub(mathml, page.html))), False

    def copy_resources(self):
        super().copy_resources()
        for png in self.out.rglob("*.png"): png.write_bytes(smaller(png.read_bytes()))

    def copy_assets(self, nav):
        super().copy_assets(nav)
        (self.out/"site_libs"/"fuse"/"fuse.min.js").write_text((Path(__file__).parent/"search.js").read_text(encoding="utf-8"), encoding="utf-8")
        for page in self.out.rglob("*.html"): page.write_text(labelled(page.read_text(encoding="utf-8")), encoding="utf-8")
        for css in self.out.rglob("*.css"):
            css.write_text(re.sub(r"@import url\(https?:[^)]*\);?", "", css.read_text(encoding="utf-8")), encoding="utf-8")

def lost_text(path):
    "nbdev makes the page's title and description of the first cell, and drops whatever else stands there"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    first = next(("".join(c["source"]) for c in cells if c["cell_type"] == "markdown" and "".join(c["source"]).startswith("# ")), "# ")
    lost = [line for line in first.splitlines()[1:] if line.strip() and not line.startswith((">", "- "))]
    return [f"{path.name}: the cell of the title has more text, which the site would lose; give it a cell of its own: {lost[0]}"] if lost else []

REDIRECT = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>This page has moved</title>
<link rel="canonical" href="{0}"><meta http-equiv="refresh" content="1; url={0}">
<script>location.replace("{0}" + location.hash)</script></head>
<body><h1>This page has moved</h1><p>It is <a href="{0}">here</a> now.</p></body></html>
"""

def redirects(site):
    "A page at each old address, which leads to the new one; as Quarto makes them"
    for page in site.pages.values():
        for old in page.front.get("aliases", []):
            new = page.out.as_posix()
            (site.out/old.lstrip("/")).write_text(REDIRECT.format(new), encoding="utf-8")

def main():
    root, notebooks = get_config().config_path, get_config().nbs_path
    faults = [fault for path in sorted(notebooks.rglob("[!_.]*.ipynb")) for fault in lost_text(path)]
    refresh_quarto_yml()
    project = load(proc_nbs(force=True, n_workers=2))
    project.config["project"]["output-dir"] = str(root/"_docs")
    if not published(): project.config["website"].pop("repo-actions", None)
    site = NotebookSite(project)
    pages = site.build()
    redirects(site)
    listed = {page.src for item in SiteNav(site).sidebars[0]["items"] for page in item.pages()}
    faults += [f"{page} is not in the sidebar; give it a line in nbs/sidebar.yml" for page in sorted(set(site.pages) - listed) if page.name != "404.qmd"]
    faults += [warning for warning in site.warnings if not warning.endswith(KNOWN)]
    for fault in faults: print(fault, file=sys.stderr)
    print(f"{pages} pages in {site.out}")
    return 1 if faults else 0

if __name__ == "__main__": sys.exit(main())
