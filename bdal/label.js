// The front of bdal.label: the same file in a notebook (anywidget) and on the local page.
// It knows nothing but the last state that Python sent; see `Session.state`.
const LIGHT = "{ --ink: #1b1b1b; --paper: #ffffff; --line: #767676; --soft: #f1f1f1; --mark: #0b57d0; --error: #b3261e }";
const DARK = "{ --ink: #ececec; --paper: #161616; --line: #8c8c8c; --soft: #2a2a2a; --mark: #8ab4f8; --error: #f2b8b5 }";
// The colours of the page around: of the system, or those that JupyterLab, Notebook or VS Code says.
const STYLE = `
.bdal ${LIGHT} @media (prefers-color-scheme: dark) { .bdal ${DARK} }
body[data-jp-theme-light=true] .bdal, body.vscode-light .bdal ${LIGHT}
body[data-jp-theme-light=false] .bdal, body.vscode-dark .bdal ${DARK}
.bdal { --rest: 18rem } body[data-jp-theme-light] .bdal { --rest: 24rem }
@media (max-width: 40rem) { .bdal { --rest: 23rem } }
.bdal { color: var(--ink); background: var(--paper); font: 16px/1.5 system-ui, sans-serif; max-width: 60rem;
  margin: 0 auto; padding: 1rem; box-sizing: border-box; outline: none }
.bdal figure { margin: .5rem 0; text-align: center; height: clamp(12rem, 100vh - var(--rest), 40rem) }
.bdal .file { min-height: 1.5em }
.bdal img { max-width: 100%; max-height: 100%; height: 100%; object-fit: contain }
.bdal .row { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; margin: .5rem 0 }
.bdal button, .bdal input { font: inherit; color: inherit; background: var(--soft); border: 1px solid var(--line);
  border-radius: .4rem; padding: .35rem .8rem; cursor: pointer }
.bdal button:focus-visible, .bdal input:focus-visible, .bdal:focus-visible { outline: 3px solid var(--mark); outline-offset: 2px }
.bdal:focus-visible { outline-offset: -3px }
.bdal input::placeholder { color: inherit; opacity: .7 }
.bdal button:disabled { opacity: .5; cursor: default }
.bdal button.guess { border-color: var(--mark); box-shadow: 0 0 0 2px var(--mark) }
.bdal kbd { font: 600 .85em ui-monospace, monospace; margin-right: .5em; border: 1px solid var(--line); border-radius: .25rem; padding: 0 .35em }
.bdal progress { flex: 1; min-width: 8rem; accent-color: var(--mark) }
.bdal pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85em }
.bdal .error { color: var(--error) }
`;

function make(tag, more = {}, ...children) {
  const e = Object.assign(document.createElement(tag), more);
  e.append(...children);
  return e;
}

function render({ model, el }) {
  let state = null, busy = false, guesses = false, timer = null;
  const image = make("img", { alt: "" });
  const caption = make("div", { className: "file" });
  const bar = make("progress", { max: 1, value: 0 });
  const count = make("span");
  const status = make("div", { role: "status" });
  const error = make("div", { className: "error", role: "alert" });
  const classes = make("div", { className: "row" });
  const name = make("input", { placeholder: "new class", maxLength: 40 });
  const add = make("button", { type: "button" }, "Add");
  const skip = make("button", { type: "button" }, make("kbd", {}, "S"), "Skip");
  const undo = make("button", { type: "button" }, make("kbd", {}, "⌫"), "Undo");
  const guess = make("button", { type: "button" }, make("kbd", {}, "?"), "Guess");
  const summary = make("summary"), left = make("pre");
  const notes = make("details", { hidden: true }, summary, left);
  const root = make("section", { className: "bdal", tabIndex: 0 }, make("style", {}, STYLE),
    make("div", { className: "row" }, bar, count), make("figure", {}, image), caption, classes,
    make("div", { className: "row" }, skip, undo, guess, name, add), status, error, notes);
  root.setAttribute("aria-label", "Label pictures: one key each");
  bar.setAttribute("aria-label", "Labels so far");
  name.setAttribute("aria-label", "Name of a new class for this picture");
  classes.setAttribute("role", "group");
  classes.setAttribute("aria-label", "Classes");
  el.append(root);

  function send(message) {
    if (busy) return;            // a key held down says nothing twice
    busy = true;
    clearTimeout(timer);
    model.send({ index: state && state.index, ...message });
  }

  function show(s) {
    const first = !state, moved = first || s.index !== state.index;
    state = s;
    busy = false;
    const waits = s.index === null && !s.done;
    if (moved) {
      image.src = s.picture || "data:,";
      image.hidden = !s.picture;
      image.alt = s.picture ? `Picture ${s.index}${s.file ? ", " + s.file : ""}` : "";
      caption.textContent = s.file;
    }
    if (s.next) new Image().src = s.next;
    bar.max = Math.max(1, s.of);
    bar.value = s.n;
    count.textContent = `${s.n} of ${s.of}${s.skipped ? `, ${s.skipped} skipped` : ""}`;
    const focused = [...classes.children].indexOf(document.activeElement);
    classes.replaceChildren(...s.classes.map((c, k) => {
      const b = make("button", { type: "button", disabled: s.index === null, onclick: () => send({ do: "label", label: k }) },
        ...(c.key.trim() ? [make("kbd", {}, c.key.toUpperCase())] : []), c.name);
      b.setAttribute("aria-keyshortcuts", c.key);
      if (guesses && s.guess === k) { b.className = "guess"; b.title = "the network's guess"; b.append(" ◂"); }
      return b;
    }));
    if (focused >= 0) classes.children[focused]?.focus();
    skip.disabled = add.disabled = s.index === null;
    guess.setAttribute("aria-pressed", guesses);
    status.textContent = s.done ? "All is labelled. Thank you; every label is saved."
      : waits ? "The network is learning; the next picture comes by itself." : s.accuracy;
    error.textContent = s.error || "";
    const [head, ...lines] = (s.notes || "").split("\n");
    summary.textContent = head;
    left.textContent = lines.join("\n");
    notes.hidden = !head;
    if (waits) timer = setTimeout(() => send({ do: "look" }), 250);
    if (first) root.focus({ preventScroll: true });
  }

  function addClass() {
    if (!name.value.trim() || state.index === null) return;
    send({ do: "class", name: name.value });
    name.value = "";
    root.focus({ preventScroll: true });
  }

  function onKey(e) {
    if (!state || e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.target === name) { if (e.key === "Enter") addClass(); e.stopPropagation(); return; }
    const key = e.key.toLowerCase(), k = state.classes.findIndex((c) => c.key === key);
    if (k >= 0 && state.index !== null) { if (!e.repeat) send({ do: "label", label: k }); }
    else if (key === "s" && state.index !== null) { if (!e.repeat) send({ do: "skip" }); }
    else if (key === "backspace") { if (!e.repeat) send({ do: "undo" }); }
    else if (key === "?") { guesses = !guesses; show(state); }
    else return;
    e.preventDefault();
    e.stopPropagation();         // a notebook has keys of its own
  }

  root.addEventListener("keydown", onKey);
  skip.onclick = () => send({ do: "skip" });
  undo.onclick = () => send({ do: "undo" });
  guess.onclick = () => { guesses = !guesses; show(state); };
  add.onclick = addClass;
  model.on("msg:custom", show);
  send({ do: "look" });
  return () => clearTimeout(timer);
}

export default { render };
