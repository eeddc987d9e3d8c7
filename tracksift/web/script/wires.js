// What comes in: replies of the server, the page's own controls, and keys.
function take(name, reply) {
  if (!reply) return;
  if (reply.boot) return begin(reply.boot);
  if (reply.error) {
    complain(reply.error);
    busy(null);
    state.box = null;
    if (name === "opened") return;
    if (!reply.film && !state.film) another();
  }
  if (name === "start" && reply.error && !(reply.film && reply.film.tracked)) { another(); return; }
  if (reply.film) takeFilm(reply.film);
  if (reply.step) busy(reply.step);
  else if (name === "grounded" ? !reply.running : (name !== "ask" || !$("busy").hidden && state.film && state.film.tracked)) busy(null);
  if (reply.answers && reply.answers.length) { state.box = null; takeAnswers(reply.answers); }
  if (name === "grounded" && !reply.running) { state.talking = false; talkPanel(); }
  if (reply.remarks && state.about === state.seed) takeRemarks(reply);
  if (reply.download && !reply.step) {
    const link = make("a", document.body);
    link.href = here(`download/${reply.download.serial}/${reply.download.kind}`);
    link.download = "";
    link.click();
    link.remove();
  }
  draw();
}
function begin(boot) {
  state.boot = boot;
  state.waiting = new Set();
  $("name").textContent = tagline;
  $("limits").textContent = boot.sentence;
  $("note").textContent = $("film-note").textContent = boot.note;
  $("samples-head").hidden = !boot.samples.length;
  $("samples").textContent = "";
  boot.samples.forEach((sample, number) => {
    const card = make("button", $("samples")), picture = make("img", card);
    card.type = "button";
    Object.assign(picture, { src: `/sample/${number}`, alt: "", loading: "lazy" });
    make("span", card, sample.name);
    card.onclick = () => choose({ sample: number });
  });
  for (const { kind, label } of boot.downloads) {
    const button = make("button", $("downloads"), label, "quiet");
    button.type = "button";
    button.dataset.kind = kind;
    button.onclick = () => { complain(""); send.download(order({ serial: state.current.serial, kind })); };
  }
  for (const input of [$("words"), $("talk-words")]) input.maxLength = boot.limits.characters;
  $("file").onchange = event => upload(event.target.files[0]);
  for (const kind of ["dragover", "dragleave", "drop"]) $("drop").addEventListener(kind, event => {
    event.preventDefault();
    $("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") upload(event.dataTransfer.files[0]);
  });
  $("ask").onsubmit = event => { event.preventDefault(); if ($("words").value.trim()) ask($("words").value); $("words").select(); };
  $("talk-form").onsubmit = event => { event.preventDefault(); talk(); };
  $("toast").lastElementChild.onclick = () => complain("");
  $("other").onclick = another;
  $("all").onclick = showEverything;
  $("draw").onclick = () => drawing(!state.drawing);
  $("scrub").oninput = event => { play(false); seek(Number(event.target.value)); };
  $("play").onclick = () => play(!state.timer);
  boxes($("picture"));
  play(false);
  talkPanel();
  document.addEventListener("keydown", keys);
  setInterval(() => fetch(here("alive"), { method: "POST" }).then(r => { if (r.status === 404) complain("This session has ended; reload the page to begin another."); }).catch(() => {}), 20000);
}
function keys(event) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (event.ctrlKey || event.metaKey || event.altKey || !state.film || event.target.tagName === "INPUT") return;
  if (step) { play(false); seek(state.frame + step); }
  else if (event.key === "Escape") drawing(false);
  else if (event.key === " " && event.target.tagName !== "BUTTON") play(!state.timer);
  else return;
  event.preventDefault();
}
function wire(name, submit, read, watch) {
  send[name] = submit;
  watch("value", () => take(name, read()));
  if (read()) take(name, read());
}
