// All servers in two columns. Everything is in one trait, so that one message repaints all of it; rows are kept and changed
// in place: what is unfolded stays so, and the keyboard stays where it is.
function render({ model, el }) {
  el.classList.add("camtest-servers");
  const columns = [element(el, "div", "column"), element(el, "div", "column")], groups = {}, rows = {};

  function group(heading, column) {
    if (!groups[heading]) {
      groups[heading] = element(columns[column], "section");
      element(groups[heading], "h2").textContent = heading;
    }
    return groups[heading];
  }
  function button(line, what, name, label, hint) {
    const made = element(line, "button", what);
    made.type = "button"; made.textContent = label; made.title = hint;
    made.onclick = () => model.send({ [what]: name });
    return made;
  }
  function make(state) {
    const name = state.name, row = element(group(state.group, state.column), "div", "row"), line = element(row, "div", "line");
    const text = element(line, "span", "text");
    text.setAttribute("role", "status"); text.dataset.server = name;
    element(text, "span", "led").ariaHidden = "true";
    element(text, "b").textContent = name;
    const words = element(text, "span", "words"), made = { row, text, words };
    if (state.start !== null) {
      made.start = button(line, "start", name, "▶ start", `Start ${name}`);
      made.stop = button(line, "stop", name, "■ stop", `Stop ${name}`);
    }
    if (state.simulator !== null)
      made.mode = button(line, "switch", name, "", "What the next start uses: the instrument or its simulator");
    if (state.address) {
      const link = element(line, "a");
      link.textContent = "UI"; link.href = state.address; link.target = "_blank"; link.title = `Panel of ${name}`;
    } else if (state.panel) button(line, "open", name, "UI", `Panel of ${name}`);
    return made;
  }
  function paint(state) {
    const { name } = state, known = (rows[name] ||= make(state));
    set(known.text, "title", state.title);
    set(known.text, "ariaLabel", `${name}: ${state.words}`);
    if (known.text.dataset.state !== state.state) known.text.dataset.state = state.state;
    set(known.text, "className", "text " + state.colour);
    set(known.words, "textContent", state.words);
    if (known.start) { set(known.start, "disabled", !state.start); set(known.stop, "disabled", !state.stop); }
    if (known.mode) {
      set(known.mode, "textContent", state.simulator ? "simulator" : "hardware");
      set(known.mode, "ariaPressed", String(state.simulator));
    }
    if (!state.why) { known.trouble?.remove(); delete known.trouble; return; }
    if (!known.trouble) {
      known.trouble = element(known.row, "details");
      known.trouble.dataset.trouble = name;
      element(known.trouble, "summary").textContent = "why";
      element(known.trouble, "pre");
    }
    set(known.trouble.lastChild, "textContent", state.why);
  }
  function all() {
    const servers = model.get("servers"), seen = new Set(servers.map((state) => state.name));
    for (const name of Object.keys(rows)) if (!seen.has(name)) { rows[name].row.remove(); delete rows[name]; }
    for (const state of servers) paint(state);
  }
  model.on("change:servers", all);
  all();
  return () => model.off("change:servers", all);
}
export default { render };
