// The pointer on the picture: a box that is drawn, or a track that is clicked.
function drawing(on) {
  state.drawing = on;
  if (on) play(false);
  $("draw").setAttribute("aria-pressed", on);
  $("draw").textContent = on ? "Drag a box on the picture…" : "Draw a box to track";
  $("picture").classList.toggle("drawing", on);
}
function place(event) {
  const canvas = $("picture").getBoundingClientRect(), [H, W] = state.film.full;
  return [Math.min(W, Math.max(0, (event.clientX - canvas.left) / canvas.width * W)), Math.min(H, Math.max(0, (event.clientY - canvas.top) / canvas.height * H))];
}
function under([x, y]) {  // the smallest listed track with that pixel of the video
  const [H, W] = state.film.size, column = Math.floor(x / state.film.full[1] * W), line = Math.floor(y / state.film.full[0] * H);
  let best = null, least = Infinity;
  for (const row of $("ranking").children) {
    const data = track(row.dataset.key), counts = data && data.masks[state.frame];
    if (!counts) continue;
    const mask = pixels(counts, H, W), area = mask.reduce((sum, one) => sum + one, 0);
    if (mask[line * W + column] && area < least) [best, least] = [row, area];
  }
  return best;
}
function boxes(canvas) {
  let from = null;
  canvas.onclick = event => {
    if (state.drawing || !state.film || !state.film.tracked || state.drawn) { state.drawn = false; return; }
    const row = under(place(event));
    if (row) { play(false); row.click(); row.scrollIntoView({ block: "nearest" }); }
  };
  canvas.onpointerdown = event => {
    if (!state.drawing || !state.film) return;
    from = place(event);
    canvas.setPointerCapture(event.pointerId);
    event.preventDefault();
  };
  canvas.onpointermove = event => {
    if (!from) return;
    const [x, y] = place(event);
    state.box = [Math.min(from[0], x), Math.min(from[1], y), Math.max(from[0], x), Math.max(from[1], y)];
    draw();
  };
  canvas.onpointerup = () => {
    if (!from) return;
    from = null;
    state.drawn = true;  // the click that ends a box picks no track
    const box = state.box;
    drawing(false);
    if (!box || box[2] - box[0] < 2 || box[3] - box[1] < 2) { state.box = null; return draw(); }
    complain("");
    busy({ stage: "tracking" });
    send.follow(order({ frame: state.frame, box }));
  };
}
