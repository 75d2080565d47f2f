// Strip charts on canvases. `data` holds float32: for each series its length, then times [s before now], then values.
const WIDTH = 430, HEIGHT = 130, LEFT = 62, BOTTOM = 18, TOP = 6;
function number(value) {
  const size = Math.abs(value);
  return size !== 0 && (size >= 1e6 || size < 1e-3) ? value.toExponential(2) : String(+value.toPrecision(6));
}
// The label of a grid line: as many decimals as tell it from the next one, `step` away.
function tick(value, step) {
  const size = Math.max(Math.abs(value), step);
  if (size >= 1e6 || size < 1e-3) return value.toExponential(2);
  return value.toFixed(Math.min(8, Math.max(0, 1 - Math.floor(Math.log10(step)))));
}
function draw(canvas, series, times, values, span, colours) {
  const ratio = window.devicePixelRatio || 1, context = canvas.getContext("2d");
  if (canvas.width !== WIDTH * ratio) { canvas.width = WIDTH * ratio; canvas.height = HEIGHT * ratio; }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, WIDTH, HEIGHT);
  let low = Infinity, high = -Infinity;
  for (const value of values) if (Number.isFinite(value)) { low = Math.min(low, value); high = Math.max(high, value); }
  if (low === Infinity) { low = 0; high = 1; }
  const margin = (high - low) * 0.15 || Math.abs(high) * 0.02 || 1;
  low -= margin; high += margin;
  const x = (age) => WIDTH - 4 - (age / span) * (WIDTH - LEFT - 4);
  const y = (value) => TOP + (high - value) / (high - low) * (HEIGHT - BOTTOM - TOP);
  context.font = "11px system-ui"; context.fillStyle = colours.text; context.strokeStyle = colours.grid;
  for (const value of [low, (low + high) / 2, high]) {
    context.beginPath(); context.moveTo(LEFT, y(value)); context.lineTo(WIDTH - 4, y(value)); context.stroke();
    context.fillText(tick(value, (high - low) / 2), 2, Math.min(HEIGHT - BOTTOM, Math.max(10, y(value) + 4)));
  }
  context.fillText(`-${span.toFixed(0)} s`, LEFT, HEIGHT - 4); context.fillText("now", WIDTH - 28, HEIGHT - 4);
  for (const [value, colour] of [[series.low, "#e67e22"], [series.high, "#e67e22"], [series.lowest, "#e74c3c"], [series.highest, "#e74c3c"]]) {
    if (value === null || value === undefined || value < low || value > high) continue;
    context.strokeStyle = colour; context.setLineDash([5, 3]);
    context.beginPath(); context.moveTo(LEFT, y(value)); context.lineTo(WIDTH - 4, y(value)); context.stroke();
    context.setLineDash([]);
  }
  context.strokeStyle = colours.line; context.lineWidth = 1.5; context.beginPath();
  let down = false;
  for (let i = 0; i < times.length; i++) {
    if (!Number.isFinite(values[i])) { down = false; continue; }
    if (down) context.lineTo(x(times[i]), y(values[i])); else context.moveTo(x(times[i]), y(values[i]));
    down = true;
  }
  context.stroke(); context.lineWidth = 1;
}
function render({ model, el }) {
  el.classList.add("camtest-charts");
  const figures = {};
  function paint() {
    const all = model.get("series"), view = model.get("data");
    const style = getComputedStyle(el);
    const colours = { text: style.color, grid: style.getPropertyValue("--jp-border-color2") || "#ccc", line: "#2e86de" };
    const floats = new Float32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
    let at = 0;
    const seen = new Set();
    for (const series of all) {
      const count = at < floats.length ? floats[at++] : 0;
      const times = floats.subarray(at, at + count), values = floats.subarray(at + count, at + 2 * count);
      at += 2 * count;
      let figure = figures[series.name];
      if (!figure) {
        figure = figures[series.name] = document.createElement("figure");
        figure.append(document.createElement("figcaption"), document.createElement("canvas"));
        figure.lastChild.style.width = WIDTH + "px"; figure.lastChild.style.height = HEIGHT + "px";
        figure.lastChild.setAttribute("role", "img");
        figure.dataset.chart = series.name;
        el.append(figure);
      }
      seen.add(series.name);
      const last = count ? number(values[count - 1]) : "-";
      figure.firstChild.textContent = `${series.name} ${last} ${series.unit || ""}`;
      figure.lastChild.ariaLabel = `${series.name}: ${count} points, last ${last} ${series.unit || ""}`;
      figure.dataset.points = count; figure.dataset.last = last;
      draw(figure.lastChild, series, times, values, model.get("span"), colours);
    }
    for (const name of Object.keys(figures)) if (!seen.has(name)) { figures[name].remove(); delete figures[name]; }
  }
  model.on("change:series change:data", paint);
  paint();
  return () => model.off("change:series change:data", paint);
}
export default { render };
