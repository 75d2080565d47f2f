// What an operator wants of the running observation. It is posted from the browser to the Jupyter server, which passes it
// on in its own process: a cell that is running, or a dead kernel, does not matter.
export function config() {
  const node = document.getElementById("jupyter-config-data");
  const data = node ? JSON.parse(node.textContent) : {};
  return { base: data.baseUrl || "/", token: data.token || "" };
}
function cookie(name) {
  const found = document.cookie.split("; ").find((part) => part.startsWith(name + "="));
  return found ? decodeURIComponent(found.slice(name.length + 1)) : "";
}
export async function post(verb, reason) {
  const { base, token } = config();
  if (!token && !cookie("_xsrf")) await fetch(base + "camtest/verb", { credentials: "same-origin", cache: "no-store" });
  const headers = { "Content-Type": "application/json", "X-XSRFToken": cookie("_xsrf") };
  if (token) headers.Authorization = "token " + token;
  const answer = await fetch(base + "camtest/verb", {
    method: "POST", headers, credentials: "same-origin", body: JSON.stringify({ verb, reason }),
  });
  const text = await answer.text();
  let content = {};
  try { content = JSON.parse(text); } catch { content = { error: `HTTP ${answer.status}` }; }
  if (!answer.ok) throw Object.assign(new Error(content.error || content.message || `HTTP ${answer.status}`), { status: answer.status });
  return content;
}
const ARMED = 6000;   // [ms] an armed button has to be pressed again within this time
const BUTTONS = [
  ["pause", "Pause", "", false], ["resume", "Resume", "", false],
  ["stop", "STOP", "danger", true], ["abort", "ABORT", "danger", true], ["halt", "HALT", "danger", true],
];
const HINTS = {
  pause: "Pause at the next checkpoint or wait", resume: "Go on after a pause",
  stop: "End the observation well at its next checkpoint: status done",
  abort: "End it at its next command or wait; the safes run: status aborted",
  halt: "End it and command nothing more, no safes: status aborted",
};
export function buttons(el, fallback) {
  const line = document.createElement("div");
  const reason = document.createElement("input");
  reason.placeholder = "reason, for the record"; reason.ariaLabel = "Reason"; reason.type = "text";
  const answer = document.createElement("span");
  answer.className = "answer"; answer.setAttribute("role", "status"); answer.ariaLive = "polite";
  const say = (text, bad) => { answer.textContent = text; answer.className = "answer" + (bad ? " bad" : ""); answer.dataset.result = bad ? "refused" : "accepted"; };
  for (const [verb, label, kind, asks] of BUTTONS) {
    const button = document.createElement("button");
    button.type = "button"; button.textContent = label; button.className = kind; button.title = HINTS[verb];
    button.ariaLabel = label + ": " + HINTS[verb]; button.dataset.verb = verb;
    let timer = 0;
    const disarm = () => { clearTimeout(timer); timer = 0; button.textContent = label; button.classList.remove("armed"); };
    button.onclick = async () => {
      if (asks && !timer) {
        button.textContent = `Really ${label}? Press again`; button.classList.add("armed");
        timer = setTimeout(disarm, ARMED);
        return;
      }
      disarm();
      say(`${verb} ...`, false); delete answer.dataset.result;
      try {
        await post(verb, reason.value);
        say(`${verb} was accepted`, false);
        reason.value = "";
      } catch (error) {
        if (error.status === undefined || error.status === 404) {
          if (fallback) { fallback(verb, reason.value); say(`${verb}: this server has no camtest extension; sent through the kernel, which may be busy`, true); return; }
        }
        say(`${verb} was not accepted: ${error.message}`, true);
      }
    };
    line.append(button);
  }
  line.append(reason, answer);
  el.classList.add("camtest-verbs");
  el.append(line);
}
function render({ model, el }) { buttons(el, (verb, reason) => model.send({ verb, reason })); }
export default { render };
