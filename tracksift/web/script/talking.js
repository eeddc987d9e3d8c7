// The grounder's panel: its tasks, and what it says as it says it.
const TASKS = {
  moments: ["Moments", "When does something happen? Say what, and the times are marked on the time line.", "someone pours the water"],
  captions: ["Captions", "What happens, from the beginning to the end.", null],
  highlights: ["Highlights", "The parts most worth watching; words may say of what.", "the goal (or leave empty)"],
  question: ["Question", "Ask anything about the video.", "what does the red object do?"],
  describe: ["Describe a track", "Click a track, in the list or on the picture, and it is described.", null],
  duet: ["Duet", "The model watches along and speaks when it has something to say; a question of yours is put at the time shown.", "what happens? (or leave empty)"],
};
const able = () => state.boot.grounder.tasks.includes(state.task) && state.film && state.film.tracked && !state.talking;
function talkPanel() {
  const { tasks, missing, name } = state.boot.grounder, known = tasks.includes(state.task), [, about, hint] = TASKS[state.task];
  $("tasks").textContent = "";
  for (const [task, [label]] of Object.entries(TASKS)) {
    const tab = make("button", $("tasks"), label);
    tab.type = "button";
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-selected", task === state.task);
    tab.onclick = () => { state.task = task; talkPanel(); };
  }
  $("about-task").textContent = state.task === "describe" && state.picked !== null ? `Track ${state.picked} is picked.` : about;
  $("talk-words").hidden = !hint;
  $("talk-words").placeholder = hint || "";
  for (const control of $("talk-form").querySelectorAll("input, button")) control.disabled = !able();
  $("missing").hidden = known;
  $("missing").textContent = known ? "" : name ? `${name} cannot do this.` : missing;
}
function talk() {
  complain("");
  Object.assign(state, { remarks: [], said: state.task, talking: true, live: state.task === "duet", reached: state.film.times[state.frame], about: state.seed });
  if (state.live) play(true);
  takeRemarks({ task: state.task, remarks: [], running: true });
  talkPanel();
  busy({ stage: "watching" });
  send.grounded(order({ task: state.task, words: TASKS[state.task][2] ? $("talk-words").value : "", track: state.task === "describe" ? state.picked : null, at: state.film.times[state.frame] }));
}
function takeRemarks(reply) {
  state.remarks = reply.remarks;
  state.said = reply.task;
  $("remarks").textContent = "";
  for (const { text, start: from, end, score } of reply.remarks) {
    const row = make("li", $("remarks"));
    if (from !== null) make("button", row, reply.task === "duet" ? seconds(from) : `${seconds(from)} – ${seconds(end)}`).onclick = () => { play(false); seekTime(from); };
    make("span", row, score === null ? text : `${text}  (${score.toFixed(2)})`);
    if (from !== null) row.dataset.from = from;
  }
  if (!reply.remarks.length && !reply.running) make("li", $("remarks"), "Nothing was said.");
  showLine();
}
function reveal() {  // while a duet plays, a remark is listed and marked when the film comes to it
  state.live = state.live && state.timer !== 0;
  state.reached = Math.max(state.reached, state.film.times[state.frame]);
  const after = state.reached + 1e-3;  // the film's times are rounded
  for (const told of document.querySelectorAll("#ts [data-from]")) told.hidden = state.live && Number(told.dataset.from) > after;
}
