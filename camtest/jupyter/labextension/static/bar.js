// What camtest adds to JupyterLab. First, the bar at its top: site, Setup, running observation, and whether commands reach hardware, in the colour of
// the mode. A kernel of camtest tells how it is itself (a comm); of the site the Jupyter server tells (camtest/session.json).
// Second, cards in the launcher for panels, notebooks and procedures, which the Jupyter server lists (camtest/launcher.json).
// Written as the browser executes it: there is no build step. The few lines at the end make it a container as JupyterLab
// loads them; the classes that it needs come from JupyterLab.
(() => {
  const TARGET = "camtest.session";
  const PERIOD = 5000;   // how often the server is asked [ms]
  const STALE = 30000;   // what it has said is old after this time [ms]
  const GREY = "#5f6368";
  const OURS = /^camtest/;  // kernels that answer; others are not asked

  function config() {
    const node = document.getElementById("jupyter-config-data");
    return node ? JSON.parse(node.textContent) : {};
  }
  function kernelOf(widget) {
    const context = widget && (widget.sessionContext || (widget.content && widget.content.sessionContext));
    const session = context && context.session;
    return (session && session.kernel) || null;
  }
  function part(title, text, name) {
    const span = document.createElement("span");
    const bold = document.createElement("b");
    bold.textContent = title + " ";
    span.append(bold, text);
    span.dataset.part = name;
    span.style.whiteSpace = "nowrap";
    return span;
  }

  class Bar {
    constructor(app, node) {
      this.app = app; this.node = node;
      this.site = null; this.heard = 0; this.told = null; this.kernel = null; this.comm = null;
      node.setAttribute("role", "status");
      node.setAttribute("aria-live", "polite");
      node.setAttribute("aria-label", "State of the session");
      this.ask();
      setInterval(() => { this.follow(); this.ask(); }, PERIOD);
      const shell = app.shell;
      if (shell.currentChanged) shell.currentChanged.connect(() => this.follow());
      this.follow();
    }
    async ask() {
      if (this.asking) return;   // a server that is slow is not asked twice
      this.asking = true;
      const { baseUrl, token } = config();
      try {
        const headers = token ? { Authorization: "token " + token } : {};
        const answer = await fetch((baseUrl || "/") + "camtest/session.json", { headers, credentials: "same-origin", cache: "no-store" });
        if (answer.ok) { this.site = await answer.json(); this.heard = Date.now(); }
      } catch { /* the server is away: what it has said gets old */ }
      this.asking = false;
      this.paint();
    }
    follow() {
      const kernel = kernelOf(this.app.shell.currentWidget);
      if (kernel !== this.kernel) {
        if (this.kernel) this.kernel.statusChanged.disconnect(this.changed, this);
        this.kernel = kernel; this.comm = null; this.told = null;
        if (kernel) kernel.statusChanged.connect(this.changed, this);
      }
      this.connect();
      this.paint();
    }
    changed(_kernel, status) {
      if (/restarting|dead|terminating/.test(status)) { this.comm = null; this.told = null; this.paint(); }
      else if (status === "idle") this.connect();
    }
    connect() {
      const kernel = this.kernel;
      if (!kernel || this.comm || !OURS.test(kernel.name) || kernel.connectionStatus !== "connected") return;
      const comm = kernel.createComm(TARGET);
      this.comm = comm;
      comm.onMsg = (message) => { if (this.comm === comm) { this.told = message.content.data; this.paint(); } };
      comm.onClose = () => { if (this.comm === comm) { this.comm = null; this.told = null; this.paint(); } };
      comm.open({});
    }
    paint() {
      const site = Date.now() - this.heard < STALE ? this.site : null;
      const state = this.told || site || { site: "unknown", setup: "unknown", obsid: "unknown", mode: "no answer from the server", name: "unknown" };
      const parts = [part("Site", state.site, "site"), part("Setup", state.setup, "setup"), part("Observation", state.obsid, "observation")];
      if (this.told && site && this.told.site === site.site && site.observing && site.obsid !== this.told.obsid)
        parts.push(part("Running at the site", site.obsid, "elsewhere"));
      const mode = document.createElement("b");
      mode.textContent = this.told ? state.mode : (this.kernel ? `kernel ${this.kernel.name}; ${state.mode}` : state.mode);
      mode.dataset.part = "mode";
      mode.style.marginLeft = "auto";
      const colour = (this.told || site) && state.colour ? state.colour : GREY;
      const shown = JSON.stringify([state, parts.map((p) => p.textContent), mode.textContent, colour]);
      if (shown === this.shown) return;   // a reader of the screen is told what changes only
      this.shown = shown;
      const stripes = `repeating-linear-gradient(135deg, ${colour} 0 14px, rgba(255,255,255,.35) 14px 18px), ${colour}`;
      Object.assign(this.node.style, {
        display: "flex", gap: "1.8em", alignItems: "center", padding: "0 12px", height: "24px", minHeight: "24px", overflow: "hidden",
        color: "#fff", fontSize: "13px", background: state.name === "dry-run" ? stripes : colour,
      });
      if (state.name === "dry-run") this.node.style.textShadow = "0 0 3px #000, 0 0 3px #000";
      else this.node.style.textShadow = "none";
      this.node.dataset.mode = state.name;
      this.node.title = [...parts.map((p) => p.textContent), mode.textContent].join("\n");
      this.node.replaceChildren(...parts, mode);
    }
  }

  const OPEN = "camtest:open";

  async function open(app, { path, code }) {
    if (path) return app.commands.execute("docmanager:open", path.endsWith(".md") ? { path, factory: "Markdown Preview" } : { path });
    const notebook = await app.commands.execute("notebook:create-new", { kernelName: "camtest", activate: true });
    await notebook.context.ready;
    notebook.content.widgets[0].model.sharedModel.setSource(code);
    await notebook.sessionContext.ready;
    return app.commands.execute("notebook:run-all-cells");
  }
  function cards(ILauncher, icons) {
    return {
      id: "camtest-session:launcher",
      description: "Panels, notebooks and procedures in the launcher",
      autoStart: true,
      optional: [ILauncher],
      activate: async (app, launcher) => {
        app.commands.addCommand(OPEN, {
          label: (args) => args.label || "camtest", caption: (args) => args.caption || "",
          icon: (args) => (args.path ? icons.notebookIcon : icons.launcherIcon), execute: (args) => open(app, args),
        });
        if (!launcher) return;
        const { baseUrl, token } = config();
        const headers = token ? { Authorization: "token " + token } : {};
        const answer = await fetch((baseUrl || "/") + "camtest/launcher.json", { headers, credentials: "same-origin", cache: "no-store" });
        if (!answer.ok) return;
        (await answer.json()).entries.forEach(({ category, ...args }, rank) => launcher.add({ command: OPEN, args, category, rank }));
      },
    };
  }
  function bar(Widget) {
    return {
      id: "camtest-session:bar",
      description: "Site, Setup, running observation and mode at the top of the page",
      autoStart: true,
      activate: (app) => {
        const widget = new Widget();
        widget.id = "camtest-session-bar";
        new Bar(app, widget.node);
        try { app.shell.add(widget, "header", { rank: 0 }); } catch { app.shell.add(widget, "top", { rank: 0 }); }
      },
    };
  }

  let shared = {};
  async function module(name) {
    const versions = Object.values(shared[name] || {});
    const chosen = versions.find((version) => version.loaded) || versions[versions.length - 1];
    return chosen ? (await chosen.get())() : {};
  }
  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB["camtest-session"] = {
    init: (scope) => { shared = scope; },
    get: async (name) => {
      if (name !== "./extension") throw new Error(`camtest-session has no module ${name}`);
      const plugins = [bar((await module("@lumino/widgets")).Widget)];
      const [launcher, icons] = [await module("@jupyterlab/launcher"), await module("@jupyterlab/ui-components")];
      if (launcher.ILauncher) plugins.push(cards(launcher.ILauncher, icons));
      return () => ({ __esModule: true, default: plugins });
    },
  };
})();
