// Films: chosen, uploaded, taken up, and their pictures loaded.
function image(frame) {
  if (!images.has(frame)) {
    const picture = new Image();
    picture.onload = () => { if (frame === state.frame) draw(); if (state.waiting.has(frame)) thumbs(); };
    picture.src = here(`frame/${frame}?film=${state.seed}`);
    images.set(frame, picture);
  }
  return images.get(frame);
}
const loaded = frame => { const picture = image(frame); return picture.complete && picture.naturalWidth ? picture : null; };
function prefetch() { for (let t = 0; t < state.film.frames; t++) image(t); }
function beginFilm(film) {
  play(false);
  images.clear(); tracks.clear(); stencils.clear();
  Object.assign(state, { film, answers: [], current: null, frame: 0, picked: null, hover: null, box: null, remarks: [], seed: state.seed + 1, waiting: new Set() });
  state.held.clear();
  for (const name of ["history", "ranking", "more", "said", "rule", "suggestions", "remarks"]) $(name).textContent = "";
  $("said").textContent = "Your video is being tracked. It takes place once.";
  for (const name of ["history-head", "saves", "badge", "all"]) $(name).hidden = true;
  $("hint").hidden = false;
  $("name").textContent = film.name;
  $("scrub").max = film.frames - 1;
  for (const words of film.suggestions) make("button", $("suggestions"), words).onclick = () => ask(words);
  prefetch();
  showLine();
  seek(0);
  play(film.frames > 1);
}
function takeFilm(film) {
  if (!film) return;
  const fresh = !state.film;
  if (fresh) beginFilm(film);
  const ready = film.tracked && (fresh || !state.film.tracked);
  state.film = film;
  $("facts").textContent = film.facts.join("  ·  ");
  document.getElementById("ts").dataset.stage = film.tracked ? "ready" : "working";
  $("other").hidden = false;
  for (const control of document.querySelectorAll("#ts-ask input, #ts-ask button, #ts-draw, #ts-suggestions button")) control.disabled = !film.tracked;
  if (ready) { showEverything(); $("words").focus(); }
  talkPanel();
}
function choose(more) {
  complain("");
  state.film = null;
  document.getElementById("ts").dataset.stage = "working";
  for (const name of ["facts", "said", "rule", "line", "history", "ranking", "suggestions"]) $(name).textContent = "";
  $("said").textContent = "Opening the video…";
  $("picture").width = $("picture").height = 1;
  busy({ stage: "reading" });
  send.start(order(more));
}
function another() {
  play(false);
  document.getElementById("ts").dataset.stage = "empty";
  $("other").hidden = true;
  $("facts").textContent = $("file").value = "";
  $("name").textContent = tagline;
}
function upload(file) {
  const limit = state.boot.limits.bytes, meter = $("upload");
  complain("");
  if (!file) return;
  if (file.size > limit) return complain(`upload: expected at most ${Math.round(limit / 1e6)} MB, got ${Math.round(file.size / 1e6)} MB`);
  const call = new XMLHttpRequest();
  call.open("PUT", here("upload?name=" + encodeURIComponent(file.name)));
  call.upload.onprogress = event => { meter.hidden = false; meter.firstElementChild.style.width = 100 * event.loaded / event.total + "%"; };
  call.onloadend = () => {
    meter.hidden = true;
    $("file").value = "";
    if (call.status === 200) return choose({});
    let words = "upload: expected a whole file to arrive, got a broken connection; try again";
    try { words = JSON.parse(call.responseText).error || words; } catch { /* no answer of ours: the sentence above stands */ }
    complain(words);
  };
  call.send(file);
}
