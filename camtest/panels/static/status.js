// The status page: asks the server for the state of the site, shows it, and says so when the server does not answer.
import { buttons, config } from "./verbs.js";
const $ = (id) => document.getElementById(id);
const EVERY = 2500;
let last = 0;
function fill(node, items, make) { node.replaceChildren(...items.map(make)); }
function item(tag, text, className) { const made = document.createElement(tag); made.textContent = text; if (className) made.className = className; return made; }
function show(state) {
  last = Date.now();
  const verdict = $("verdict"), grave = state.wrong.some((w) => w.grave);
  verdict.textContent = state.verdict;
  verdict.className = grave ? "bad" : "ok";
  verdict.dataset.state = grave ? "bad" : "ok";
  const o = state.observation;
  $("running").textContent = o.obsid ? `${o.obsid} (${o.desk}${o.detail ? ": " + o.detail : ""}) ${[o.function, o.description].filter(Boolean).join(" ")}, since ${o.start}` : "no observation is running";
  $("running").dataset.obsid = o.obsid || "";
  $("site").textContent = `site ${state.site || "unknown"}, Setup ${state.setup || "none"}, queue ${state.queue || "unknown"}`;
  fill($("wrong"), state.wrong, (w) => {
    const row = document.createElement("tr");
    row.className = w.grave ? "bad" : "warn"; row.dataset.wrong = w.what;
    row.append(item("td", w.grave ? "ACT" : "note"), item("td", w.what), item("td", w.action, "action"));
    row.title = w.detail;
    return row;
  });
  $("fine").hidden = state.wrong.length > 0;
  fill($("servers"), Object.entries(state.servers), ([name, s]) => {
    const good = s.state === "running" ? (s.connected === false ? "warn" : "ok") : (s.state === "stopped" && s.kind !== "core" ? "off" : "bad");
    const lamp = item("span", `${name} ${s.state}${s.simulator ? " (simulator)" : ""}`, "lamp " + good);
    lamp.title = s.title; lamp.dataset.server = name; lamp.dataset.state = s.state;
    return lamp;
  });
  fill($("errors"), state.errors, (text) => item("li", text));
  $("at").textContent = state.at;
}
async function look() {
  try {
    const answer = await fetch(config().base + "camtest/status.json", { credentials: "same-origin", cache: "no-store" });
    if (answer.status === 403 || answer.redirected) throw new Error("this browser is not logged in any more: open the address with the token again");
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    show(await answer.json());
  } catch (error) { $("verdict").dataset.error = error.message; }
  setTimeout(look, EVERY);
}
setInterval(() => {
  const stale = last && Date.now() - last > 15000 || !last && performance.now() > 15000;
  document.body.classList.toggle("stale", Boolean(stale));
  $("stale").textContent = stale ? `STALE: no answer from the server for ${((Date.now() - (last || performance.timeOrigin)) / 1000).toFixed(0)} s. Next: is the machine there? camtest ui again. ${$("verdict").dataset.error || ""}` : "";
}, 1000);
buttons($("verbs"), null);
look();
