// Answers: asked for, listed with the tracks that they rank, and those tracks' pictures.
function ask(words) { complain(""); send.ask(order({ words })); }
function takeAnswers(answers) {
  const fresh = answers.filter(a => a.serial > known());
  if (!fresh.length) return;
  state.answers.push(...fresh);
  showAnswer(fresh[fresh.length - 1]);
}
function showAnswer(answer) {
  const { text, rule, noTarget, noTargetProbability, selected, set, box, ms } = answer;
  state.current = answer;
  state.held.clear();
  state.hover = null;
  state.picked = selected.length && !set ? selected[0] : null;
  stencils.clear();
  $("said").textContent = box ? `What is in ${text}` : `“${text}”`;
  $("rule").textContent = `${rule}  ·  ${ms < 1000 ? ms.toFixed(ms < 10 ? 1 : 0) + " ms" : (ms / 1000).toFixed(1) + " s"}`;
  $("badge").hidden = !noTarget;
  $("badge").textContent = `No target · ${Math.round(100 * noTargetProbability)} %`;
  if (box) { play(false); seek(box.frame); }
  for (const name of ["history-head", "saves"]) $(name).hidden = false;
  $("hint").hidden = true;
  $("all").hidden = false;
  $("tracks-head").textContent = box ? "Your box" : "Tracks by score";
  showHistory(); showRanking(); showLine(); seek(state.frame); talkPanel();
}
function showEverything() {
  const count = state.film.tracks;
  state.current = null;
  state.held.clear();
  state.hover = state.picked = null;
  $("said").textContent = count ? `${plural(count, "track")} found. What are you looking for?` : "No object was found. Draw a box around one.";
  $("rule").textContent = count ? "Every track has a colour; ask, and only those that are meant keep one." : "";
  $("tracks-head").textContent = "Tracks";
  for (const name of ["badge", "hint", "all", "saves"]) $(name).hidden = true;
  $("ranking").textContent = "";
  for (let index = 0; index < Math.min(EVERY, count); index++) {
    const key = address(0, index), { row, side, thumb } = trackRow(key, index);
    make("span", make("span", side, "", "top"), `Track ${index}`);
    thumb.style.borderColor = colour(key);
    row.dataset.about = "";
    make("div", side, "", "about");
  }
  $("more").textContent = count > EVERY ? `and ${count - EVERY} more` : "";
  showHistory(); thumbs(); showLine(); seek(state.frame); talkPanel();
}
function trackRow(key, index) {
  const row = make("button", $("ranking")), thumb = make("canvas", row), side = make("span", row);
  row.type = "button";
  row.dataset.key = key;
  row.setAttribute("aria-pressed", false);
  row.onclick = () => {
    if (!state.held.delete(key)) state.held.add(key);
    state.picked = key.startsWith("0/") && state.held.has(key) ? index : null;
    row.setAttribute("aria-pressed", state.held.has(key));
    draw(); talkPanel();
    if (state.task === "describe" && state.picked !== null && able()) talk();
  };
  row.onmouseenter = row.onfocus = () => { state.hover = key; draw(); };
  row.onmouseleave = row.onblur = () => { state.hover = null; draw(); };
  Object.assign(thumb, { width: 88, height: 88 });
  return { row, thumb, side };
}
function showHistory() {
  $("history").textContent = "";
  for (const answer of [...state.answers].reverse()) {
    const button = make("button", $("history"), answer.text), verdict = make("span", button, "", "verdict");
    if (answer.noTarget) make("span", verdict, "", "dot none");
    answer.selected.slice(0, 8).forEach((_, r) => { make("span", verdict, "", "dot").style.background = state.boot.palette[r % state.boot.palette.length]; });
    make("span", verdict, answer.noTarget ? "no target" : answer.box ? "followed from a box" : plural(answer.selected.length, "track"));
    button.type = "button";
    button.setAttribute("aria-pressed", answer === state.current);
    button.onclick = () => showAnswer(answer);
  }
}
function showRanking() {
  const { ranking, selected, threshold, more, set, box } = state.current;
  $("ranking").textContent = "";
  for (const { index, score, about, reason } of ranking) {
    const key = address(set, index), chosen = selected.includes(index), { row, thumb, side } = trackRow(key, index);
    const top = make("span", side, "", "top"), bar = make("div", side, "", "bar");
    if (chosen) row.className = "chosen";
    make("span", top, box ? "Your box" : `Track ${index}`);
    make("span", top, score.toFixed(3), "number");
    Object.assign(make("i", bar).style, { width: 100 * score + "%", background: chosen ? colour(key) : "" });
    if (!box) make("b", bar).style.left = 100 * threshold + "%";
    make("div", side, about, "about");
    make("span", row, reason, "reason");
    if (chosen) thumb.style.borderColor = colour(key);
  }
  $("more").textContent = more ? `and ${more} more below these` : ranking.length ? "" : "No track competes here.";
  thumbs();
}
function thumbs() {
  state.waiting.clear();
  for (const row of $("ranking").children) {
    const data = track(row.dataset.key);
    if (!data || !data.crop) continue;
    const [key, x, y, side] = data.crop, picture = loaded(key);
    if (!picture) { state.waiting.add(key); continue; }
    if (row.dataset.about === "") row.querySelector(".about").textContent = data.presence.map(([a, b]) => `${a.toFixed(1)}–${b.toFixed(1)} s`).slice(0, 3).join(", ");
    row.firstElementChild.getContext("2d").drawImage(picture, x, y, side, side, 0, 0, 88, 88);
  }
}
