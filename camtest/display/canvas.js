(function (place, picture) {
  "use strict";
  const layers = picture.layers.map((layer) => {
    const bytes = Uint8Array.from(atob(layer.data), (letter) => letter.charCodeAt(0));
    return { ...layer, values: new Uint16Array(bytes.buffer) };
  });
  const state = { kind: picture.kind, low: picture.low, high: picture.high, zoom: 1, x: 0, y: 0 };
  const make = (kind, style, parent) => {
    const element = document.createElement(kind);
    element.style.cssText = style;
    parent.appendChild(element);
    return element;
  };
  place.textContent = "";
  place.dataset.lmSuppressShortcuts = "true";  // keys typed here are no shortcuts of JupyterLab
  const bar = make("div", "display:flex;gap:0.8em;align-items:center;flex-wrap:wrap;font:12px sans-serif", place);
  const labelled = (text, element) => {
    const label = make("label", "", bar);
    label.append(text + " ");
    label.appendChild(element);
    return element;
  };
  const choice = document.createElement("select");
  for (const kind of ["asinh", "linear", "log"]) choice.add(new Option(kind, kind, false, kind === state.kind));
  labelled("Stretch", choice);
  const number = (text, name) => {
    const input = document.createElement("input");
    input.type = "number";
    input.step = "any";
    input.style.width = "7em";
    input.value = state[name].toFixed(1);
    input.addEventListener("input", () => { if (input.value !== "") { state[name] = Number(input.value); paint(); } });
    return labelled(text, input);
  };
  number("Black [ADU]", "low");
  number("White [ADU]", "high");
  const reset = make("button", "", bar);
  reset.textContent = "Whole picture";
  const readout = make("output", "font-family:monospace;min-width:26em", bar);
  readout.textContent = "wheel: zoom, drag: move, pointer: value";
  const canvas = make("canvas", "max-width:100%;background:#111;cursor:crosshair;touch-action:none", place);
  canvas.width = Math.min(Math.max(picture.width, 360), 1640);
  canvas.height = Math.round(picture.height * canvas.width / picture.width);
  if (canvas.height > 700) { canvas.width = Math.round(canvas.width * 700 / canvas.height); canvas.height = 700; }
  canvas.height = Math.max(canvas.height, 160);  // a few rows are a thin strip: room to zoom into it
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", layers.map((layer) => layer.name).join(", "));

  const sheet = document.createElement("canvas");
  sheet.width = picture.width;
  sheet.height = picture.height;
  const bright = (value) => {
    const part = Math.min(Math.max((value - state.low) / Math.max(state.high - state.low, 1e-6), 0), 1);
    if (state.kind === "asinh") return Math.asinh(50 * part) / Math.asinh(50);
    return state.kind === "log" ? Math.log1p(1000 * part) / Math.log1p(1000) : part;
  };
  function paint() {
    const pen = sheet.getContext("2d");
    const image = pen.createImageData(sheet.width, sheet.height);
    for (let i = 3; i < image.data.length; i += 4) image.data[i] = 255;
    for (const layer of layers) {
      for (let row = 0; row < layer.rows; row++) {
        let at = 4 * ((sheet.height - 1 - layer.bottom - row) * sheet.width + layer.left);
        for (let column = 0; column < layer.columns; column++, at += 4) {
          const raw = layer.values[row * layer.columns + column];
          if (raw === picture.missing) { image.data[at] = 90; continue; }
          const grey = 255 * bright(layer.base + layer.unit * raw);
          image.data[at] = image.data[at + 1] = image.data[at + 2] = grey;
        }
      }
    }
    pen.putImageData(image, 0, 0);
    draw();
  }
  const scale = () => state.zoom * canvas.width / sheet.width;
  function draw() {
    const pen = canvas.getContext("2d");
    pen.imageSmoothingEnabled = false;
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.setTransform(scale(), 0, 0, scale(), -state.x * scale(), -state.y * scale());
    pen.drawImage(sheet, 0, 0);
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.fillStyle = "#ffd24a";
    pen.font = "12px sans-serif";
    for (const layer of layers) {
      const left = (layer.left - state.x) * scale();
      const top = (sheet.height - layer.bottom - layer.rows - state.y) * scale();
      pen.fillText(layer.name, left + 4, top + 14);
    }
  }
  const position = (event) => {
    const box = canvas.getBoundingClientRect();
    return [
      state.x + (event.clientX - box.left) * canvas.width / box.width / scale(),
      state.y + (event.clientY - box.top) * canvas.height / box.height / scale(),
    ];
  };
  function tell(event) {
    const [x, y] = position(event);
    const row = sheet.height - 1 - Math.floor(y), column = Math.floor(x);
    for (const layer of layers) {
      const r = row - layer.bottom, c = column - layer.left;
      if (r < 0 || c < 0 || r >= layer.rows || c >= layer.columns) continue;
      const raw = layer.values[r * layer.columns + c];
      const value = raw === picture.missing ? "lost" : (layer.base + layer.unit * raw).toFixed(1) + " ADU";
      const span = (first, index) => layer.step === 1
        ? String(first + index) : `${first + index * layer.step}..${first + (index + 1) * layer.step - 1}`;
      readout.textContent =
        `${layer.name} row ${span(layer.row, r)} column ${span(layer.column, c)}: ${value}`;
      return;
    }
    readout.textContent = "";
  }
  function zoomAt(x, y, factor) {
    const zoom = Math.min(Math.max(state.zoom * factor, 1), 64);
    state.x = x - (x - state.x) * state.zoom / zoom;
    state.y = y - (y - state.y) * state.zoom / zoom;
    state.zoom = zoom;
    if (zoom === 1) { state.x = 0; state.y = 0; }
    place.dataset.zoom = zoom.toFixed(2);
    draw();
  }
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomAt(...position(event), event.deltaY < 0 ? 1.25 : 0.8);
  }, { passive: false });
  let held = null;
  canvas.addEventListener("pointerdown", (event) => { held = position(event); canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointerup", () => { held = null; });
  canvas.addEventListener("pointermove", (event) => {
    if (held !== null) {
      const [x, y] = position(event);
      state.x -= x - held[0];
      state.y -= y - held[1];
      draw();
    }
    tell(event);
  });
  place.addEventListener("keydown", (event) => {
    const middle = [state.x + canvas.width / 2 / scale(), state.y + canvas.height / 2 / scale()];
    if (event.key === "+") zoomAt(...middle, 1.25);
    else if (event.key === "-") zoomAt(...middle, 0.8);
  });
  reset.addEventListener("click", () => zoomAt(0, 0, 1 / 64));
  choice.addEventListener("change", () => { state.kind = choice.value; paint(); });
  paint();
  place.dataset.ready = "yes";
})
