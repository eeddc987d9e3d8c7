// What the parts of the page's script share: the state, names of its elements, times as places, messages to the visitor.
// Every text is set as text, never as markup.
const $ = name => document.getElementById("ts-" + name), send = {};
const seconds = t => t.toFixed(2) + " s", plural = (n, one) => `${n} ${one}${n === 1 ? "" : "s"}`;
const state = { boot: null, film: null, answers: [], current: null, frame: 0, timer: 0, held: new Set(), hover: null,
  picked: null, drawing: false, box: null, task: "moments", remarks: [], said: null, talking: false, live: false, reached: 0, about: 0, seed: 0 };
const images = new Map(), tracks = new Map(), stencils = new Map();
const tagline = "Every object is tracked once. Then ask, in plain words.";
const EVERY = 24;  // tracks shown before anything is asked
const KEPT = 400;  // coloured masks in memory
const here = path => `/session/${state.boot.session}/${path}`;
const start = () => state.film.times[0], span = () => state.film.end - state.film.times[0];
const percent = t => 100 * Math.min(1, Math.max(0, (t - start()) / span())) + "%";
const known = () => state.answers.length ? state.answers[state.answers.length - 1].serial : 0;
const order = more => ({ known: known(), ...more });

function complain(words) { $("toast").hidden = !words; $("toast").firstElementChild.textContent = words || ""; }
function busy(step) {
  $("busy").hidden = !step;
  if (!step) return;
  const meter = $("busy").lastElementChild, sure = step.total > 0 && step.stage !== "waiting";
  const words = { reading: "Reading the video", waiting: step.done === 1 ? "Waiting: one video before yours" : `Waiting: ${step.done} videos before yours`,
    tracking: "Tracking every object", drawing: "Drawing the film", "reading tracks": "Reading the tracks", watching: "The model watches the video" }[step.stage] || step.stage;
  $("busy").firstElementChild.textContent = sure ? `${words} · ${Math.round(100 * step.done / step.total)} %` : words + "…";
  meter.classList.toggle("unsure", !sure);
  meter.firstElementChild.style.width = sure ? 100 * step.done / step.total + "%" : "";
}
