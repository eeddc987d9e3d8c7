// The time line: a lane for what was said and for each track, and an axis of seconds.
function lane(label, spans, paintOf, on) {
  const row = make("div", $("line"), "", on ? "lane on" : "lane"), rail = (make("span", row, label), make("div", row, "", "rail"));
  for (const [from, to] of spans) Object.assign(make("i", rail).style, { left: percent(from), right: `calc(100% - ${percent(to)})`, background: paintOf });
  rail.onclick = event => {
    const box = rail.getBoundingClientRect();
    seekTime(start() + (event.clientX - box.left) / box.width * span());
  };
  return rail;
}
function showLine() {
  $("line").textContent = "";
  if (!state.film) return;
  const marked = state.remarks.filter(r => r.start !== null).map(r => [r.start, r.end]);
  if (marked.length) {
    const rail = lane(TASKS[state.said || "moments"][0].slice(0, 10), marked, "var(--ts-accent)", true);
    marked.forEach(([from], i) => { rail.children[i].dataset.from = from; });
  }
  if (state.current) {
    const { moments, ranking, selected, set, box } = state.current;
    if (moments.length) lane("Moments", moments, "var(--ts-ink)", true);
    for (const { index } of ranking.slice(0, Math.max(selected.length, 6))) {
      const key = address(set, index), on = selected.includes(index), data = track(key);
      lane(box ? "Your box" : `Track ${index}`, data ? data.presence : [], on ? colour(key) : "var(--ts-quiet)", on);
    }
  }
  else for (let index = 0; index < Math.min(8, state.film.tracks); index++) {
    const data = track(address(0, index));
    lane(`Track ${index}`, data ? data.presence : [], colour(address(0, index)), false);
  }
  const lanes = $("line").children.length, ticks = $("line").clientWidth < 480 ? 2 : 4;
  const row = make("div", $("line"), "", "lane"), axis = (make("span", row), make("div", row, "", "rail axis number"));
  for (let i = 0; i <= ticks; i++) {
    const time = start() + span() * i / ticks;
    make("span", axis, seconds(time)).style.left = percent(time);
  }
  make("div", $("line")).id = "ts-head";
  $("head").hidden = !lanes;
  $("head").style.left = `calc(5.4rem + (100% - 5.4rem) * ${(state.film.times[state.frame] - start()) / span()})`;
  reveal();
}
