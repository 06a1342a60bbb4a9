"""The built site in a browser: `make docs-test`. Screenshots of five pages are left in runs/site."""
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin
import pytest
from playwright.sync_api import sync_playwright
from account import published
from bdal._modidx import d as index

ROOT = Path(__file__).resolve().parent.parent
SITE, SHOTS = ROOT/"_docs", ROOT/"runs"/"site"
FILES = sorted(p.relative_to(SITE).as_posix() for p in SITE.rglob("*.html"))
MOVED = [name for name in FILES if 'http-equiv="refresh"' in (SITE/name).read_text(encoding="utf-8")]   # old addresses
PAGES = [name for name in FILES if name not in MOVED]
NOTEBOOKS = sorted(p for p in (ROOT/"nbs").rglob("*.ipynb") if not p.name.startswith((".", "_")))
WIDE, PHONE = 1366, 390
SHOWN = ("index.html", "acquisition.html", "steps.html", "05_bald.html", "results.html")

LOOK = """() => {
  const all = (s) => [...document.querySelectorAll(s)];
  const box = (e) => { const r = e.getBoundingClientRect(); return [r.width, r.height] };
  const scrolls = (e) => { for (let p = e; p && p.id != 'quarto-content'; p = p.parentElement)
    if (['auto', 'scroll'].includes(getComputedStyle(p).overflowX)) return true; return false };
  return {
    text: document.body.innerText, h1: all('h1').length, lang: document.documentElement.lang,
    links: all('a[href]').map(e => e.href), ids: all('[id]').map(e => e.id),
    images: all('main img').map(e => ({alt: e.alt, natural: e.naturalWidth, shown: e.clientWidth, size: +e.getAttribute('width'), inside: e.src.startsWith('data:')})),
    code: all('main div.sourceCode pre').map(e => e.scrollWidth <= e.clientWidth + 1),
    maths: all('math').map(box), prose: all('main p, main li, main h2, main h3').map(e => e.innerText).join('\\n'),
    wide: document.documentElement.scrollWidth - innerWidth,
    out: all('main *').filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !scrolls(e)).map(e => e.outerHTML.slice(0, 120)),
    small: all('main p, main li, main td').filter(e => e.innerText && parseFloat(getComputedStyle(e).fontSize) < 12).length,
  } }"""

# Contrast of what is written against the nearest ground that is not transparent.
CONTRAST = """() => {
  const parse = (c) => { const n = c.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n };
  const light = (c) => { const [r, g, b] = c.map(v => (v /= 255) <= .03928 ? v/12.92 : ((v + .055)/1.055)**2.4); return .2126*r + .7152*g + .0722*b };
  const ground = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c[3] > .9) return c } return [255, 255, 255] };
  const worst = {};
  for (const s of ['main p', 'main h2', 'main td', 'main pre code', 'main p a', '.sidebar-link', '#TOC a', '.navbar-title', '.built']) for (const e of document.querySelectorAll(s)) {
    if (!e.offsetParent || !e.innerText.trim()) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
    worst[s] = Math.min(worst[s] || 99, (a + .05)/(b + .05));
  }
  return worst }"""

@pytest.fixture(scope="module")
def address():
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args): pass
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=SITE))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()

@pytest.fixture(scope="module")
def browser():
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield browser
        browser.close()

def visit(browser, width, scheme="light"):
    "A fresh window, and what it complains of"
    page = browser.new_context(viewport={"width": width, "height": 850}, color_scheme=scheme).new_page()
    complaints = []
    page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: complaints.append(str(e)))
    page.on("requestfailed", lambda r: complaints.append(f"{r.failure}: {r.url}") if r.failure != "net::ERR_ABORTED" else None)
    page.on("request", lambda r: complaints.append(f"leaves the site: {r.url}") if not r.url.startswith(("http://127.0.0.1", "data:")) else None)
    return page, complaints

@pytest.fixture(scope="module")
def seen(address, browser):
    "Every page at both widths: what stands on it"
    SHOTS.mkdir(parents=True, exist_ok=True)
    out = {}
    for width in (WIDE, PHONE):
        page, complaints = visit(browser, width)
        for name in PAGES:
            complaints.clear()
            status = page.goto(address + name, wait_until="load").status
            page.wait_for_timeout(200)
            out[name, width] = dict(page.evaluate(LOOK), status=status, complaints=list(complaints))
            if name in SHOWN: page.screenshot(path=SHOTS/f"{Path(name).stem}-{width}.png", full_page=True)
        page.context.close()
    return out

def page_of(notebook):
    "The page of a notebook, by the line that names its source"
    name = f"nbs/{notebook.relative_to(ROOT/'nbs').as_posix()}{'</a>' * published()},"
    pages = [p for p in PAGES if name in (SITE/p).read_text(encoding="utf-8").rpartition('class="built"')[2]]
    assert len(pages) == 1, f"{notebook} has the pages {pages}"
    return pages[0]

def outputs(): return {p: page_of(p) for p in NOTEBOOKS}

def test_every_notebook_has_its_page():
    assert len(set(outputs().values())) == len(NOTEBOOKS) and {"index.html", "results.html"} <= set(PAGES)

def test_every_page_and_internal_link_answers(address, seen):
    broken = []
    for (name, width), page in seen.items():
        assert page["status"] == 200 and page["h1"] == 1 and page["lang"] == "en", name
        for link in set(page["links"]):
            url, anchor = urldefrag(link)
            if not url.startswith(address): continue
            target = unquote(url[len(address):]) or "index.html"
            if not (SITE/target).is_file(): broken.append((name, link))
            elif anchor and target in PAGES and unquote(anchor) not in seen[target, width]["ids"]: broken.append((name, link))
    assert not broken

OLD_ADDRESSES = """00a_dirty_mnist 01a_thinning 01b_setup 01c_recipe 02a_scoring 03a_curves 03b_random 03c_scaling 03d_sweep 03e_when_runs_die
    05a_mistakes 05b_first_labels 10_first_trial 11_your_own_images 12_read_a_curve 13_many_trials
    dirty_mnist thinning scoring curves sweep""".split()

def test_old_addresses_lead_to_the_pages(address, browser):
    assert sorted(MOVED) == sorted(f"{name}.html" for name in OLD_ADDRESSES)
    page, complaints = visit(browser, WIDE)
    for name in MOVED:
        page.goto(address + name)
        page.wait_for_url(lambda url: url != address + name)
        new = page.url[len(address):]
        assert new in PAGES and page.locator("h1").inner_text() != "This page has moved", (name, new)
        written = (SITE/name).read_text(encoding="utf-8")
        assert written.count(f'"{new}"') >= 3, name   # for search engines, without scripts, and for a person
    page.goto(address + "curves.html#holm")
    page.wait_for_url(address + "deeper/evidence.html#holm")
    assert not complaints
    page.context.close()

def test_no_link_to_the_published_site(seen):
    "Links between pages stay where the pages are"
    host = index["settings"]["doc_host"]
    assert not [(key, link) for key, page in seen.items() for link in page["links"] if link.startswith(host)]

def test_console_is_quiet_and_nothing_is_fetched_from_elsewhere(seen):
    assert not {key: page["complaints"] for key, page in seen.items() if page["complaints"]}
    fetched = re.compile(r"""(<(?:script|img|iframe|source)[^>]+src=|<link[^>]+rel="(?:stylesheet|icon)"[^>]+href=)["']?(https?:)?//|@import[^;]*//|url\(["']?(https?:)?//""")
    files = [p for p in SITE.rglob("*") if p.suffix in (".html", ".css")]
    assert not [(p.name, m[0]) for p in files for m in [fetched.search(p.read_text(encoding="utf-8"))] if m]

def test_readable_at_phone_width(seen):
    for name in PAGES:
        page = seen[name, PHONE]
        assert page["wide"] <= 0 and not page["out"] and not page["small"], (name, page["wide"], page["out"], page["small"])

def test_code_is_seen_whole(seen):
    "On a laptop; but for the longest lines of signatures and comments"
    whole = [fits for name in PAGES for fits in seen[name, WIDE]["code"]]
    assert sum(whole) > .95 * len(whole) > 300

def test_figures_are_drawn_sharp_and_described(seen):
    figures = [(name, figure) for (name, width), page in seen.items() if width == WIDE for figure in page["images"]]
    saved = sum("image/png" in o.get("data", {}) for p in NOTEBOOKS for c in json.loads(p.read_text(encoding="utf-8"))["cells"]
                if not "".join(c["source"]).startswith("#| hide") for o in c.get("outputs", []))
    assert len(figures) >= saved > 0
    for name, figure in figures:
        assert figure["natural"] >= figure["shown"] > 0, f"{name}: {figure} is drawn larger than it is"
        assert not figure["inside"] or figure["size"] >= figure["shown"], f"{name}: {figure} is not drawn at its own size"
        assert not figure["inside"] or figure["natural"] >= 1.9*figure["size"], f"{name} has a figure of one pixel a pixel; run it by make execute NB=..."
        assert len(figure["alt"].split()) >= 3, f"{name}: a figure without an alternative text; write #| fig-alt: ... in its cell"

def test_results_are_all_there(seen):
    "Every figure and every table in the folder: shown, or where it lies"
    page, results = (SITE/"results.html").read_text(encoding="utf-8"), ROOT/"results"
    for figure in results.glob("*.png"): assert f'src="results/{figure.name}"' in page, figure
    for table in results.rglob("*.csv"): assert f'results/{table.relative_to(results).as_posix()}"' in page, table
    assert page.index("<img") < page.index("<table"), "figures first"
    verdicts = (results/"tables"/"verdicts.csv").read_text(encoding="utf-8").splitlines()
    assert page.count("<tr") > len(verdicts) and "supported" in seen["results.html", WIDE]["text"]

def test_no_link_leads_to_an_account_that_is_not_ours(seen):
    if published(): pytest.skip("there is an account")
    assert not [(key, link) for key, page in seen.items() for link in page["links"] if link.startswith(index["settings"]["git_url"]) or "colab" in link]

def test_with_an_account_all_links_appear(tmp_path):
    "The same site, built from a clone as if `user` were somebody's account"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(tmp_path/"clone")], check=True)
    env = {**os.environ, "PUBLISHED": "1", "PYTHONPATH": str(tmp_path/"clone"), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "docs/build.py"], cwd=tmp_path/"clone", env=env, capture_output=True)
    page, host = (tmp_path/"clone"/"_docs"/"05_bald.html").read_text(encoding="utf-8"), index["settings"]["git_url"]
    assert f"{host.replace('https://github.com', 'https://colab.research.google.com/github')}/blob/" in page
    assert f"{host}/blob/{index['settings']['branch']}/nbs/05_bald.ipynb" in page and f"{host}/commit/" in page

def test_every_notebook_opens_in_colab(seen):
    if not published(): pytest.skip("there is no account to open them from; see PUBLISHED in docs/account.py")
    repo = index["settings"]["git_url"].replace("https://github.com", "https://colab.research.google.com/github")
    for notebook, name in outputs().items():
        assert f"{repo}/blob/{index['settings']['branch']}/{notebook.relative_to(ROOT).as_posix()}" in seen[name, WIDE]["links"]

def test_mathematics_is_drawn(seen):
    for notebook, name in outputs().items():
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        text = "\n\n".join(re.sub(r"(?s)```.*?```|`[^`]*`", "", "".join(c["source"])) for c in cells if c["cell_type"] == "markdown")
        formulas = re.findall(r"(?s)\$\$.+?\$\$|\$[^$\n]+\$", text)
        maths = seen[name, WIDE]["maths"]
        assert len(maths) == len(formulas), f"{name}: {len(formulas)} formulas, {len(maths)} drawn"
        assert all(w > 3 and h > 3 for w, h in maths)
        assert not re.search(r"\\\(|\\\[|\$\$|\\[a-z]{3,}", seen[name, WIDE]["prose"]), name

@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_search_finds_bald(address, browser, width):
    page, complaints = visit(browser, width)
    page.goto(address)
    if width == PHONE: page.get_by_role("button", name="Search", exact=True).click()
    page.locator(".smalldocs-search input:visible").fill("bald")
    page.locator(".search-result").first.wait_for()
    found = [urldefrag(urljoin(page.url, a.get_attribute("href"))) for a in page.locator(".search-result").all()]
    assert {"acquisition.html", "05_bald.html"} <= {url[len(address):] for url, _ in found}
    page.keyboard.press("ArrowDown"); page.keyboard.press("Enter")
    page.wait_for_url(lambda url: url.rstrip("/") != address.rstrip("/"))
    assert "bald" in page.locator("main").inner_text().lower() and not complaints
    page.context.close()

WORDS = {"dask": "guides/many_trials.html", "slurm": "guides/many_trials.html", "undo": "deeper/answers.html", "pretrained": "deeper/features.html", "transfer": "deeper/features.html",
         "gpu": "steps.html", "cuda": "steps.html", "resume": "deeper/when_runs_die.html", "crash": "deeper/when_runs_die.html", "widget": "deeper/label.html", "ensemble": "deeper/posteriors.html",
         "laplace": "deeper/posteriors.html", "batchbald": "deeper/batches.html", "label studio": "deeper/bridges.html", "own images": "guides/own_images.html", "windows": "index.html",
         "confidence interval": "guides/read_a_curve.html", "margin": "04_margin.html", "papermill": "guides/many_trials.html", "when_to_stop": "deeper/answers.html"}

def test_search_finds_pages_by_words(address, browser):
    "Exact words: who types dask is not shown a mask; the page that is about it is among the first eight"
    page, complaints = visit(browser, WIDE)
    page.goto(address)
    missing = {}
    for word, wanted in WORDS.items():
        page.locator(".smalldocs-search input:visible").fill(word)
        page.wait_for_timeout(250)
        found = [urldefrag(urljoin(page.url, a.get_attribute("href")))[0][len(address):] for a in page.locator(".search-result").all()]
        if wanted not in found[:8]: missing[word] = found
    assert not missing and not complaints
    page.locator(".smalldocs-search input:visible").fill("xylophone"); page.wait_for_timeout(250)
    assert page.locator(".search-none").is_visible()
    page.context.close()

def recorded(study, labels):
    "Of the records of a study: the mean accuracy at so many labels, in per cent, and the number of trials"
    rounds = [json.loads(line) for file in sorted((ROOT/"results"/study).glob("*.jsonl")) for line in file.read_text(encoding="utf-8").splitlines()[1:]]
    accuracies = [r["test_accuracy"] for r in rounds if r.get("n_labelled") == labels]
    return f"{100 * sum(accuracies) / len(accuracies):.1f} %", str(len(accuracies))

@pytest.mark.parametrize("width, scheme", [(WIDE, "light"), (PHONE, "dark")])
def test_curves_are_chosen_and_read(address, browser, width, scheme):
    page, complaints = visit(browser, width, scheme)
    page.goto(address + "results.html")
    page.get_by_role("button", name="Clear").click()
    for says in ("entropy", "BALD"): page.get_by_label(says, exact=True).check()
    picture = page.locator(".curves svg[role=img]")
    box, row = picture.bounding_box(), lambda study: page.locator(f"tr[data-study={study}] td").all_inner_texts()[2:]
    picture.hover(position=dict(x=box["width"] - 13, y=box["height"]/2))
    for study in ("entropy", "bald"):
        labels, mean, interval, n = row(study)
        assert labels == "300" and (mean, n) == recorded(study, 300) and interval.count("%") == 2
        low, high = (float(v) for v in re.findall(r"[\d.]+", interval))
        assert low < float(mean.split()[0]) < high
    picture.focus(); page.keyboard.press("ArrowLeft")
    labels, mean, _, n = row("bald")
    assert labels == "290" and (mean, n) == recorded("bald", 290)
    page.get_by_label("entropy", exact=True).focus(); page.keyboard.press("Space")
    assert page.locator("tr[data-study]").count() == 1 and not complaints
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.screenshot(path=SHOTS/f"curves-{width}.png")
    page.context.close()

def test_without_a_script_there_is_a_picture(address, browser):
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(address + "results.html")
    assert page.locator(".curves img").is_visible() and len(page.locator(".curves img").get_attribute("alt").split()) > 5
    page.context.close()
    assert len((SITE/"results.html").read_text(encoding="utf-8")) < 400_000

def test_pages_are_light():
    "With their own pictures: the report is under 1 MB, and no page over 2 MB"
    def weight(name):
        text = (SITE/name).read_text(encoding="utf-8")
        files = [(SITE/name).parent/unquote(src) for src in re.findall(r'<img [^>]*src="([^":]+)"', text)]
        return len(text.encode()) + sum(f.stat().st_size for f in files)
    weights = sorted(((weight(name), name) for name in PAGES), reverse=True)
    print(*(f"{w / 1e6:.2f} MB {name}" for w, name in weights[:10]), sep="\n")
    assert weights[0][0] < 2e6 and weight("09_report.html") < 1e6

def test_what_people_use_is_in_the_a_to_z(seen):
    text = seen["functions.html", WIDE]["text"]
    for name in ("Learner.net", "Learner.row", "Learner.scores_N", "Learner.pool", "Learner.protocol", "Learner.record", "Record.table", "Protocol.coldness", "Data.start", "Labeller"): assert f"\n{name}, " in text, name
    assert "What **protocol takes are the fields of Protocol" in text
    lines = [line for line in text.splitlines() if re.match(r"[\w.]+, \w+:", line)]
    assert len(lines) > 300 and not [line for line in lines if line.endswith(": ")]

CARD = """id => { const card = document.getElementById(id)?.closest('section') || {querySelectorAll: () => []}, all = (s) => [...card.querySelectorAll(s)];
  return {maths: all('math').length, pictures: all('img').map(e => e.clientWidth), links: all('p a').map(e => e.getAttribute('href')),
          lines: all('p').map(e => e.innerText).filter(t => t.startsWith('Labels to 90 %'))} }"""

@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_the_gallery_has_a_card_for_each_score_and_selector(address, browser, width):
    "A formula, ten digits that fit, a link to its entry, and numbers, or that there are none"
    from bdal.acquisition import SCORES, SELECTORS
    import bdal.batches   # some are told there
    page, complaints = visit(browser, width)
    page.goto(address + "guides/gallery.html")
    for name in (*SCORES, *SELECTORS):
        card = page.evaluate(CARD, name)
        assert card["maths"] and len(card["pictures"]) == len(card["lines"]) == 1, f"{name}: {card}; give it a card in nbs/guides/gallery.ipynb"
        assert 300 < card["pictures"][0] <= width and any(str(link).endswith(f"#{name}") for link in card["links"]), f"{name}: {card}"
        assert re.search(r"published .+ours (\d|not by \d|not run as a study)", card["lines"][0]), card["lines"]
    assert not complaints
    page.context.close()

def test_wide_figures_keep_their_size_on_a_phone(address, browser):
    "Letters of two panels side by side would be five pixels high: the figure scrolls in its box, and the page does not"
    page, _ = visit(browser, PHONE)
    for name in ("deeper/recipe.html", "results.html"):
        page.goto(address + name)
        wide = page.locator("figure img[style*='--phone']").first
        assert wide.bounding_box()["width"] > PHONE, name
        assert wide.evaluate("e => { const p = e.parentElement; p.scrollLeft = 9999; return p.scrollLeft + p.clientWidth >= e.clientWidth - 1 && p.scrollLeft > 0 }"), name
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
    page.context.close()

FOCUS = """() => { const e = document.activeElement, r = e.getBoundingClientRect(), s = getComputedStyle(e);
  if (e == document.body) return null;
  if (!e.dataset.key) e.dataset.key = ++window.keys;
  return {key: e.dataset.key, tag: e.tagName, cls: e.className, href: e.getAttribute('href'), size: r.width * r.height,
          ring: s.outlineStyle != 'none' || s.boxShadow != 'none'} }"""

def tabbed(page):
    "What the Tab key reaches, in order, once around"
    page.evaluate("window.keys = 0")
    out, keys = [], set()
    for _ in range(400):
        page.keyboard.press("Tab")
        now = page.evaluate(FOCUS)
        if now is None or now["key"] in keys: break
        keys.add(now["key"]); out.append(now)
    return out

def test_everything_is_reached_by_keyboard(address, browser):
    page, _ = visit(browser, WIDE)
    page.goto(address + "acquisition.html")
    reached = tabbed(page)
    wanted = page.evaluate("""[...document.querySelectorAll('a[href], button, input')].filter(e => e.offsetParent && !e.closest('details:not([open])') && !e.classList.contains('anchorjs-link') && getComputedStyle(e).visibility != 'hidden').length""")
    assert len([r for r in reached if r["tag"] in ("A", "BUTTON", "INPUT") and "anchorjs" not in r["cls"]]) >= wanted > 20
    assert all(r["ring"] for r in reached), [r for r in reached if not r["ring"]]
    assert any("color-scheme-toggle" in r["cls"] for r in reached) and any(r["tag"] == "INPUT" for r in reached)
    page.locator(".quarto-color-scheme-toggle:visible").focus()
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.keyboard.press("Enter"); page.wait_for_timeout(200)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
    page.context.close()

def test_the_menu_opens_by_keyboard_on_a_phone(address, browser):
    page, _ = visit(browser, PHONE)
    page.goto(address)
    link = page.locator("#quarto-sidebar a[href$='data.html']")
    page.get_by_role("button", name="Pages", exact=True).focus()
    page.keyboard.press("Enter"); page.wait_for_timeout(500)
    assert link.is_visible() and link.bounding_box()["x"] >= 0
    link.focus(); page.keyboard.press("Enter"); page.wait_for_url("**/data.html")
    page.context.close()

@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_can_be_read(address, browser, scheme):
    page, complaints = visit(browser, WIDE, scheme)
    for name in ("acquisition.html", "results.html", "index.html"):
        page.goto(address + name, wait_until="load"); page.wait_for_timeout(100)
        ground = [int(v) for v in re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))[:3]]
        assert (sum(ground) < 380) == (scheme == "dark")
        assert not {s: round(c, 2) for s, c in page.evaluate(CONTRAST).items() if c < 4.5}, name
    assert not complaints
    page.context.close()

def test_methods_have_their_entries(seen):
    "Those for which a notebook asks; with their documented arguments"
    for notebook, page in outputs().items():
        for name in re.findall(r"show_doc\(([\w.]+)\)", notebook.read_text(encoding="utf-8")):
            assert name.lower() in {i.lower() for i in seen[page, WIDE]["ids"]}, f"{page}: no entry of {name}"
    assert "their labels, as many" in seen["steps.html", WIDE]["text"]

def test_every_public_name_has_its_entry(seen):
    "Signature, documented arguments, and a link to the source, under the name"
    for module, symbols in index["syms"].items():
        for name in importlib.import_module(module).__all__:
            place, file = symbols.get(f"{module}.{name}", (None, None))
            if place is None or name.isupper(): continue
            page, _, anchor = place.partition("#")
            text = (SITE/page).read_text(encoding="utf-8")
            assert anchor in seen[page, WIDE]["ids"], f"{place}: no entry"
            entry = text[text.index(f'id="{anchor}"') - 900:][:6000]
            source = re.search(rf"{index['settings']['git_url']}/blob/\w+/{file}#L\d+", entry)
            assert bool(source) == published(), f"{place}: no link to its source, or one that leads nowhere"
            assert re.search(rf">{name}<|{name}\(", entry), f"{place}: no signature"
            assert "](" not in "".join(re.findall(r"(?s)<pre.*?</pre>", entry)[:1]), f"{place}: a link inside code"

def test_sidebar_is_in_order(address, browser):
    page, _ = visit(browser, WIDE)
    page.goto(address)
    heads = page.locator("#quarto-sidebar .sidebar-item-section > .sidebar-item-container .menu-text").all_inner_texts()
    assert heads == ["Get started", "The course", "Guides", "Deeper", "Look up"]
    links = page.eval_on_selector_all("#quarto-sidebar a.sidebar-link[href]", "es => es.map(e => e.getAttribute('href'))")
    order = [urldefrag(urljoin("/", link))[0].lstrip("/") for link in links]
    listed = [link for link in order if link in PAGES]
    assert listed[0] == "index.html" and set(listed) == set(PAGES) - {"404.html"} and len(listed) == len(PAGES) - 1
    page.context.close()

def test_each_page_says_what_it_was_built_from(seen):
    for key, page in seen.items():
        if key[0] == "404.html": continue
        commit = re.search(r"last built from commit ([0-9a-f]{7,}) of \d{4}-\d\d-\d\d", page["text"])
        assert commit, key
        assert subprocess.run(["git", "cat-file", "-e", commit[1]], cwd=ROOT).returncode == 0
