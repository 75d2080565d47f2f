// A board of lamps and values. Everything is in one trait, so that one message repaints all of it; cells are kept and
// changed in place: no flicker, and a selection survives.
function render({ model, el }) {
  el.classList.add("camtest-board");
  const head = element(el, "div", "head");
  const title = element(head, "span", "title"), note = element(head, "span", "note");
  const lamps = element(el, "div", "lamps"), scroll = element(el, "div", "scroll");
  // On a page of its own, the panel is what the page is about.
  const page = document.getElementById("rendered_cells");
  page?.setAttribute("role", "main");
  title.setAttribute("role", "heading"); title.ariaLevel = page ? 1 : 2;
  scroll.tabIndex = 0; scroll.setAttribute("role", "region"); scroll.ariaLabel = "readings";  // the arrow keys scroll it
  const table = element(scroll, "table"), body = element(table, "tbody");
  const foot = element(el, "div", "foot");
  note.setAttribute("role", "status");
  const known = {};

  function lamp(name, state, text) {
    let node = known["lamp:" + name];
    if (!node) {
      node = known["lamp:" + name] = element(lamps, "span", "lamp");
      node.setAttribute("role", "status");
      node.dataset.led = name;
    }
    set(node, "className", "lamp " + state);
    if (node.dataset.state !== state) node.dataset.state = state;
    set(node, "textContent", name + " " + (text || state).toUpperCase());
    set(node, "ariaLabel", name + ": " + (text || state));
  }
  function row([name, value, unit, state, hint], charted) {
    let line = known["row:" + name];
    if (!line) {
      line = known["row:" + name] = body.insertRow();
      line.dataset.name = name;
      const label = line.insertCell();
      if (model.get("chartable")) {
        const button = element(label, "button", "pick");
        button.onclick = () => model.send({ picked: name });
        button.textContent = name;
        button.title = (hint ? hint + "\n" : "") + "Show as a chart";
      } else { label.textContent = name; if (hint) label.title = hint; }
      line.insertCell().className = "value";
      line.insertCell().className = "unit";
      line.insertCell().className = "verdict";
    }
    set(line, "className", state || "plain");
    if (line.dataset.state !== (state || "plain")) line.dataset.state = state || "plain";
    set(line.cells[1], "textContent", value);
    set(line.cells[2], "textContent", unit || "");
    // never by colour alone
    set(line.cells[3], "textContent", { warn: "WARNING", bad: "OUT OF LIMITS" }[state] || "");
    if (line.cells[0].firstChild && line.cells[0].firstChild.ariaPressed !== undefined)
      line.cells[0].firstChild.setAttribute?.("aria-pressed", charted.includes(name));
  }
  function paint() {
    const state = model.get("state"), charted = state.charted || [];
    set(title, "textContent", state.title || "");
    set(note, "textContent", state.note || "");
    note.className = "note " + (state.alive === false ? "bad" : "");
    el.dataset.alive = state.alive !== false;
    const seen = new Set();
    for (const [name, kind, text] of state.lamps || []) { lamp(name, kind, text); seen.add("lamp:" + name); }
    for (const entry of state.rows || []) { row(entry, charted); seen.add("row:" + entry[0]); }
    for (const key of Object.keys(known)) if (!seen.has(key)) { known[key].remove(); delete known[key]; }
  }
  // A board that is not told anything any more must look stale by itself, without help from the kernel.
  let last = Date.now();
  const changed = () => { last = Date.now(); paint(); };
  model.on("change:state change:beat", changed);
  paint();
  const timer = setInterval(() => {
    const age = (Date.now() - last) / 1000, closed = model.get("closed");
    const stale = closed || age > model.get("stale_after");
    el.classList.toggle("stale", stale);
    el.dataset.stale = stale;
    set(foot, "textContent", closed ? "CLOSED: this panel shows its last state"
      : stale ? `STALE: nothing from the kernel for ${age.toFixed(0)} s` : "");
  }, 500);
  model.send({ rendered: true });  // somebody looks on: the static form below can be folded
  return () => { clearInterval(timer); model.off("change:state change:beat", changed); };
}
export default { render };
