// The sound of alarms. Browsers play nothing before somebody has clicked on the page: a switch that was left on says so.
const KEY = "camtest-alarm-sound";
const TONES = { warning: [660], alarm: [660, 880], critical: [880, 660, 880] };
let audio = null;

function play(priority) {
  audio ??= new AudioContext();
  audio.resume();
  let at = audio.currentTime + 0.02;
  for (const frequency of TONES[priority] || []) {
    const tone = audio.createOscillator(), gain = audio.createGain();
    tone.frequency.value = frequency;
    gain.gain.setValueAtTime(0.3, at);
    gain.gain.exponentialRampToValueAtTime(0.001, at + 0.3);
    tone.connect(gain).connect(audio.destination);
    tone.start(at);
    tone.stop(at + 0.3);
    at += 0.35;
  }
}

function render({ model, el }) {
  const button = document.createElement("button");
  button.className = "jupyter-button";
  el.append(button);
  let on = localStorage.getItem(KEY) === "on", heard = 0, last = 0;
  function show() {
    const silent = on && audio?.state !== "running";
    button.textContent = on ? (silent ? "🔔 Sound on: click to hear it" : "🔔 Sound on") : "🔕 Sound off";
    button.title = "One tone for a warning, two for an alarm, three for a critical one, again until it is acknowledged";
    button.setAttribute("aria-pressed", on);
    el.dataset.sound = on ? "on" : "off";
    el.dataset.heard = heard;
  }
  function sound(priority) {
    if (!on || !priority) return;
    play(priority);
    heard += 1; last = Date.now();
    show();
  }
  button.onclick = () => {
    const asleep = on && audio?.state !== "running";
    on = asleep || !on;
    localStorage.setItem(KEY, on ? "on" : "off");
    if (on) { audio ??= new AudioContext(); audio.resume().then(show); sound(model.get("waiting")); }
    show();
  };
  const called = () => sound(model.get("waiting"));
  model.on("change:calls", called);
  const timer = setInterval(() => {
    if (["alarm", "critical"].includes(model.get("waiting")) && Date.now() - last > 1000 * model.get("repeat")) called();
    show();
  }, 1000);
  show();
  return () => { clearInterval(timer); model.off("change:calls", called); };
}
export default { render };
