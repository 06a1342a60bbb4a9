// Curves that one chooses and reads: the mean of each study at each number of labels, with its interval.
(() => {
  const box = document.querySelector(".curves"), studies = JSON.parse(document.querySelector("#curves-data").textContent);
  const make = (name, attrs, ...inner) => {
    const e = name.includes(":") ? document.createElementNS("http://www.w3.org/2000/svg", name.slice(4)) : document.createElement(name);
    for (const [k, v] of Object.entries(attrs)) e.setAttribute(k, v);
    e.append(...inner);
    return e;
  };
  const svg = (name, attrs, ...inner) => make("svg:" + name, attrs, ...inner);
  const per_cent = (v) => (100 * v).toFixed(1) + " %";

  // One look for a study as long as it is shown; at most as many as there are looks
  const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7a7a7a"], DASHES = ["", "7 3", "2 2", "9 3 2 3"];
  const chosen = new Map();   // name -> look
  const look = (i) => ({ stroke: COLOURS[i], "stroke-dasharray": DASHES[i % DASHES.length], "stroke-width": 2, fill: "none" });
  const own = { random: 0, bald: 1, margin: 2, entropy: 3 };   // as in the figures
  const choose = (name) => {
    const taken = [...chosen.values()], free = COLOURS.map((_, i) => i).filter((i) => !taken.includes(i));
    chosen.set(name, free.includes(own[name]) ? own[name] : free.find((i) => i > 3) ?? free[0]);
  };

  const picture = make("div", {}), said = make("div", { class: "curves-said", role: "status" });
  const boxes = studies.map((s) => {
    const input = make("input", { type: "checkbox", value: s.study });
    input.addEventListener("change", () => {
      if (input.checked) choose(s.study); else chosen.delete(s.study);
      draw();
    });
    return [input, make("label", {}, input, ` ${s.says}`)];
  });
  const clear = make("button", { type: "button", class: "btn btn-sm btn-outline-secondary" }, "Clear");
  clear.addEventListener("click", () => { chosen.clear(); draw(); });
  box.replaceChildren(picture, said, make("fieldset", {}, make("legend", {}, "Studies, up to seven"), ...boxes.map((b) => b[1]), clear));

  let at = 100;   // the number of labels that is read
  const nearest = (s) => s.points.reduce((a, b) => Math.abs(b[0] - at) < Math.abs(a[0] - at) ? b : a);
  const draw = () => {
    for (const [input] of boxes) {
      input.checked = chosen.has(input.value);
      input.disabled = !input.checked && chosen.size == COLOURS.length;
    }
    const picked = studies.filter((s) => chosen.has(s.study)), ends = picked.map((s) => s.points.at(-1)[0]).sort((a, b) => b - a);
    const most = ends[1] ?? ends[0];   // as far as two of them can be compared
    const shown = picked.map((s) => ({ ...s, points: s.points.filter((p) => p[0] <= most) })), all = shown.flatMap((s) => s.points);
    if (!shown.length) { picture.replaceChildren(); said.replaceChildren("Choose a study."); return; }
    const W = Math.max(300, box.clientWidth), H = Math.min(420, W * .7), left = 46, right = 12, top = 10, bottom = 42;
    const low = Math.floor(10 * Math.max(0, Math.min(...all.map((p) => p[3])))) / 10, high = 1;
    const x = (v) => left + (W - left - right) * v / most, y = (v) => top + (H - top - bottom) * (high - Math.min(high, Math.max(low, v))) / (high - low);
    const path = (points) => "M" + points.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join("L");
    const root = svg("svg", { width: W, height: H, viewBox: `0 0 ${W} ${H}`, tabindex: 0, role: "img",
      "aria-label": "Test accuracy along labels of " + shown.map((s) => s.says).join(", ") + "; the arrow keys move the line that is read" });
    const write = (text, a, b, anchor) => root.append(svg("text", { x: a, y: b, "text-anchor": anchor, class: "curves-text" }, text));
    for (let v = low; v < high + .001; v += .1) {
      root.append(svg("line", { x1: left, x2: W - right, y1: y(v), y2: y(v), class: "curves-grid" }));
      write(Math.round(100 * v) + " %", left - 6, y(v) + 4, "end");
    }
    const step = [10, 20, 50, 100, 200, 500, 1000].find((s) => most / s <= W / 80) || 2000;
    for (let v = 0; v <= most; v += step) write(v, x(v), H - bottom + 18, "middle");
    write("labels", (left + W - right) / 2, H - 6, "middle");
    for (const s of shown) {
      const i = chosen.get(s.study), back = [...s.points].reverse();
      root.append(svg("path", { d: path([...s.points.map((p) => [p[0], p[3]]), ...back.map((p) => [p[0], p[4]])]) + "Z", fill: COLOURS[i], opacity: .15 }));
      root.append(svg("path", { ...look(i), d: path(s.points.map((p) => [p[0], p[2]])) }));
    }
    const line = svg("line", { y1: top, y2: H - bottom, class: "curves-line" }), dots = shown.map((s) => svg("circle", { r: 4, fill: COLOURS[chosen.get(s.study)] }));
    root.append(line, ...dots);
    const read = () => {
      const on = all.map((p) => p[0]).reduce((a, b) => Math.abs(b - at) < Math.abs(a - at) ? b : a);
      line.setAttribute("x1", x(on)); line.setAttribute("x2", x(on));
      const rows = shown.map((s, k) => {
        const p = nearest(s);
        dots[k].setAttribute("cx", x(p[0])); dots[k].setAttribute("cy", y(p[2]));
        const mark = svg("svg", { width: 34, height: 12, "aria-hidden": "true" }, svg("path", { ...look(chosen.get(s.study)), d: "M0,6L34,6" }));
        return make("tr", { "data-study": s.study }, ...[mark, s.says, p[0], per_cent(p[2]), `${per_cent(p[3])} to ${per_cent(p[4])}`, p[1]].map((v) => make("td", {}, v)));
      });
      const head = ["", "study", "labels", "test accuracy", "95 % interval", "n"].map((v) => make("th", {}, v));
      said.replaceChildren(make("table", { class: "dataframe" }, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows)));
    };
    const labels = [...new Set(all.map((p) => p[0]))].sort((a, b) => a - b);
    root.addEventListener("pointermove", (e) => { at = (e.clientX - root.getBoundingClientRect().left - left) * most / (W - left - right); read(); });
    root.addEventListener("keydown", (e) => {
      const to = { ArrowLeft: -1, ArrowRight: 1, PageDown: -10, PageUp: 10, Home: -1e6, End: 1e6 }[e.key];
      if (!to) return;
      e.preventDefault();
      const now = labels.reduce((a, v, i) => Math.abs(v - at) < Math.abs(labels[a] - at) ? i : a, 0);
      at = labels[Math.min(labels.length - 1, Math.max(0, now + to))]; read();
    });
    picture.replaceChildren(root); read();
  };
  for (const { study } of studies) if (["random", "margin", "bald"].includes(study)) choose(study);
  let width = 0;
  new ResizeObserver(() => { if (box.clientWidth != width) { width = box.clientWidth; draw(); } }).observe(box);
  draw();
})();
