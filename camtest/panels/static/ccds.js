// Four CCDs: 1 upper left, 4 upper right, 2 lower left, 3 lower right; register at the bottom, left and right side beside each other.
const ORDER = [1, 4, 2, 3], WIDTH = 492, HEIGHT = 487;
const STOPS = [[68, 1, 84], [72, 40, 120], [62, 74, 137], [49, 104, 142], [38, 130, 142], [31, 158, 137], [53, 183, 121], [109, 205, 89], [180, 222, 44], [253, 231, 37]];
const LUT = new Uint32Array(256).map((_, i) => {      // viridis
  const t = i / 255 * (STOPS.length - 1), a = STOPS[Math.floor(t)], b = STOPS[Math.min(STOPS.length - 1, Math.floor(t) + 1)], f = t % 1;
  const [r, g, bl] = [0, 1, 2].map((k) => Math.round(a[k] + (b[k] - a[k]) * f));
  return (255 << 24) | (bl << 16) | (g << 8) | r;
});
function paintInto(canvas, values, rows, columns, low, high) {
  if (canvas.width !== columns || canvas.height !== rows) { canvas.width = columns; canvas.height = rows; }
  const context = canvas.getContext("2d"), image = context.createImageData(columns, rows), out = new Uint32Array(image.data.buffer);
  const scale = 255 / Math.max(1, high - low);
  for (let row = 0; row < rows; row++) {
    const from = row * columns, to = (rows - 1 - row) * columns;
    for (let column = 0; column < columns; column++)
      out[to + column] = LUT[Math.max(0, Math.min(255, (values[from + column] - low) * scale)) | 0];
  }
  context.putImageData(image, 0, 0);
  return context;
}
function words(view) { return new Uint16Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength)); }
function histogram(canvas, values, low, high) {
  const context = canvas.getContext("2d"), bins = new Float64Array(64);
  for (let i = 0; i < values.length; i += 7) {
    const bin = Math.floor((values[i] - low) / (high - low) * 64);
    if (bin >= 0 && bin < 64) bins[bin]++;
  }
  const most = Math.max(1, ...bins);
  context.clearRect(0, 0, canvas.width, canvas.height);
  for (let i = 0; i < 64; i++) {
    const [r, g, b] = [LUT[i * 4] & 255, (LUT[i * 4] >> 8) & 255, (LUT[i * 4] >> 16) & 255], h = Math.sqrt(bins[i] / most) * 26;
    context.fillStyle = `rgb(${r},${g},${b})`;
    context.fillRect(i * 4, 30 - h, 4, h); context.fillRect(i * 4, 31, 4, 6);
  }
}
function one(model, el, ccd) {
  const box = document.createElement("div"); box.className = "ccd"; box.dataset.ccd = ccd;
  box.innerHTML = `<div><b class="label">CCD ${ccd}</b> <span class="when"></span></div><div class="view" style="width:${WIDTH}px;height:${HEIGHT}px;overflow:hidden" tabindex="0" role="img" aria-label="image of CCD ${ccd}"><canvas style="width:${WIDTH}px;height:${HEIGHT}px;transform-origin:0 0"></canvas></div><div class="bar" role="status"></div><canvas class="hist" width="256" height="38" style="cursor:default"></canvas> <span class="range"></span><br><button class="brightest">brightest</button><button class="clear">clear image</button><button class="reset" title="whole CCD">A</button><div class="zoom"></div>`;
  el.append(box);
  const find = (name) => box.querySelector(name), view = find(".view"), canvas = find("canvas"), bar = find(".bar");
  const [leftName, rightName] = model.get("sides");
  let values = null, meta = null, zoom = 1, dx = 0, dy = 0;
  const place = () => { canvas.style.transform = `translate(${dx}px,${dy}px) scale(${zoom})`; };
  function paint() {
    meta = model.get("meta")[ccd];
    const data = model.get("image" + ccd);
    if (!meta || !data || data.byteLength < 2) { values = null; canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height); find(".when").textContent = "no image"; box.dataset.counter = ""; return; }
    values = words(data);
    const context = paintInto(canvas, values, meta.rows, meta.columns, meta.low, meta.high);
    context.strokeStyle = "red"; context.lineWidth = 1;
    const half = meta.columns / 2, edges = [25 / meta.block, half - 15 / meta.block, half + 15 / meta.block, meta.columns - 25 / meta.block];
    context.beginPath();
    for (const x of edges) { context.moveTo(x, 0); context.lineTo(x, meta.rows); }
    context.moveTo(0, meta.rows - 4510 / meta.block); context.lineTo(meta.columns, meta.rows - 4510 / meta.block);
    context.stroke();
    histogram(find(".hist"), values, meta.low, meta.high);
    find(".range").textContent = `${meta.low} to ${meta.high} ADU`;
    find(".when").textContent = `frame ${meta.frame}, ${meta.at}${meta.complete ? "" : " (packets are missing)"}`;
    find(".label").style.color = meta.complete ? "" : "#c0392b";
    box.dataset.counter = meta.counter; box.dataset.complete = meta.complete;
    view.ariaLabel = `CCD ${ccd}, frame ${meta.frame} of ${meta.at}, shown from ${meta.low} to ${meta.high} ADU`;
  }
  function readOut(event) {
    if (!values) return;
    const frame = canvas.getBoundingClientRect();
    const column = Math.floor((event.clientX - frame.left) / frame.width * meta.columns), row = meta.rows - 1 - Math.floor((event.clientY - frame.top) / frame.height * meta.rows);
    if (column < 0 || column >= meta.columns || row < 0 || row >= meta.rows) { bar.textContent = "x=-, y=-, flux=None"; return; }
    const half = meta.columns / 2, side = column < half ? leftName : rightName, own = column < half ? column : meta.columns - 1 - column;
    bar.textContent = `side ${side} x=${own * meta.block}, y=${row * meta.block}, flux=${values[row * meta.columns + column]} (brightest of ${meta.block} x ${meta.block})`;
  }
  canvas.onmousemove = readOut; canvas.onmouseleave = () => { bar.textContent = ""; };
  view.addEventListener("wheel", (event) => {
    event.preventDefault();
    const frame = view.getBoundingClientRect(), x = event.clientX - frame.left, y = event.clientY - frame.top;
    const next = Math.min(24, Math.max(1, zoom * (event.deltaY < 0 ? 1.25 : 0.8)));
    dx = x - (x - dx) * next / zoom; dy = y - (y - dy) * next / zoom; zoom = next;
    if (zoom === 1) dx = dy = 0;
    place();
  }, { passive: false });
  let drag = null;
  view.onpointerdown = (event) => { drag = [event.clientX - dx, event.clientY - dy]; };
  view.onpointermove = (event) => { if (drag && event.buttons) { dx = event.clientX - drag[0]; dy = event.clientY - drag[1]; place(); } };
  view.onpointerup = () => { drag = null; };
  view.onkeydown = (event) => {
    const moves = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };
    if (event.key === "+" || event.key === "-") { zoom = Math.min(24, Math.max(1, zoom * (event.key === "+" ? 1.25 : 0.8))); if (zoom === 1) dx = dy = 0; }
    else if (moves[event.key]) { dx += moves[event.key][0]; dy += moves[event.key][1]; event.preventDefault(); }
    else if (event.key === "a" || event.key === "A") { zoom = 1; dx = dy = 0; }
    else return;
    event.stopPropagation(); place();
  };
  find(".reset").onclick = () => { zoom = 1; dx = dy = 0; place(); };
  find(".clear").onclick = () => model.send({ clear: ccd });
  find(".brightest").onclick = () => model.send({ brightest: ccd });
  function paintZoom() {
    const state = model.get("zoom"), place = find(".zoom");
    if (state.ccd !== ccd) { place.replaceChildren(); return; }
    const data = model.get("zoom_pixels");
    place.innerHTML = `<div>brightest pixels of CCD ${ccd}: ${state.text}</div>`;
    if (data && data.byteLength > 2) {
      const small = document.createElement("canvas"); small.style.cssText = "width:287px;height:287px"; place.append(small);
      paintInto(small, words(data), state.size, state.size, state.low, state.high);
    }
    place.dataset.text = state.text;
  }
  const events = `change:image${ccd}`;
  model.on(events, paint); model.on("change:zoom change:zoom_pixels", paintZoom);
  paint(); paintZoom();
  return () => { model.off(events, paint); model.off("change:zoom change:zoom_pixels", paintZoom); };
}
function render({ model, el }) {
  el.classList.add("camtest-ccds");
  const ends = ORDER.map((ccd) => one(model, el, ccd));
  return () => ends.forEach((end) => end());
}
export default { render };
