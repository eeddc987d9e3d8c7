// The picture: tracks and their masks loaded and drawn on the frame that is shown, and frames one after another.
const address = (set, index) => set + "/" + index;
function track(key) {
  if (!tracks.has(key)) {
    const seed = state.seed;
    tracks.set(key, null);
    fetch(here(`track/${key}?film=${seed}`)).then(r => r.ok ? r.json() : Promise.reject(new Error("track")))
      .then(data => { if (seed === state.seed) { tracks.set(key, data); draw(); thumbs(); showLine(); } })
      .catch(() => tracks.delete(key));
  }
  return tracks.get(key);
}
function stencil(key, frame, colour) {
  const name = [key, frame, colour].join(), data = track(key);
  if (!data) return null;
  if (!stencils.has(name)) {
    stencils.set(name, paint(data.masks[frame], colour.match(/\d+/g).map(Number), ...state.film.size));
    if (stencils.size > KEPT) stencils.delete(stencils.keys().next().value);
  }
  return stencils.get(name);
}
function colour(key) {
  const index = Number(key.split("/")[1]), rank = state.current ? state.current.selected.indexOf(index) : index;
  return rank < 0 ? "rgb(255,255,255)" : state.boot.palette[rank % state.boot.palette.length];
}
function shown() {
  const keys = new Set(state.held);
  if (!state.current) for (let index = 0; index < Math.min(EVERY, state.film.tracks); index++) keys.add(address(0, index));
  else for (const index of state.current.selected) keys.add(address(state.current.set, index));
  if (state.hover) keys.add(state.hover);
  return keys;
}
function draw() {
  if (!state.film) return;
  const canvas = $("picture"), [H, W] = state.film.size, scale = Math.max(1, 960 / W), picture = loaded(state.frame);
  if (!picture) return;
  Object.assign(canvas, { width: Math.round(W * scale), height: Math.round(H * scale) });
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
  const keys = shown();
  for (const key of keys) {
    const sheet = stencil(key, state.frame, colour(key));
    if (sheet) pen.drawImage(sheet, 0, 0, canvas.width, canvas.height);
  }
  canvas.setAttribute("aria-label", `Frame ${state.frame} with ${plural(keys.size, "track")}`);
  const box = state.box || state.current && state.current.box && state.current.box.frame === state.frame && state.current.box.corners;
  if (box) {
    const [x1, y1, x2, y2] = box, k = canvas.width / state.film.full[1];
    pen.setLineDash([8, 6]); pen.lineWidth = 2.5; pen.strokeStyle = "#fff"; pen.shadowColor = "#000"; pen.shadowBlur = 4;
    pen.strokeRect(x1 * k, y1 * k, (x2 - x1) * k, (y2 - y1) * k);
  }
}
function seek(frame) {
  if (!state.film) return;
  state.frame = Math.min(state.film.frames - 1, Math.max(0, frame));
  const time = state.film.times[state.frame];
  $("scrub").value = state.frame;
  $("clock").textContent = `${seconds(time)}  ·  frame ${state.frame}`;
  const head = $("head");
  if (head) head.style.left = `calc(5.4rem + (100% - 5.4rem) * ${(time - start()) / span()})`;
  draw(); reveal();
}
function seekTime(at) {
  let best = 0;
  state.film.times.forEach((t, i) => { if (t <= at + 1e-6) best = i; });
  seek(best);
}
function play(on) {
  clearTimeout(state.timer);
  state.timer = 0;
  $("play").innerHTML = `<svg viewBox="0 0 16 16" aria-hidden="true"><path d="${on ? "M3 2h4v12H3zM9 2h4v12H9z" : "M4 2l10 6-10 6z"}"/></svg>`;
  $("play").setAttribute("aria-label", on ? "Pause" : "Play");
  if (!on || !state.film) return state.film && reveal();
  const next = (state.frame + 1) % state.film.frames, until = next ? state.film.times[next] : state.film.end;
  if (!next && !state.talking) state.live = false;
  state.timer = setTimeout(() => { seek(next); play(true); }, Math.max(25, 1000 * (until - state.film.times[state.frame])));
}
