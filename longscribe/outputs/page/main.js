// Theme, help, keys, and the start of it all.

/** What the browser remembers for the next page; a private window or a file may remember nothing. */
function remembered(name, value) {
  try {
    if (value === undefined) return localStorage.getItem(`longscribe-${name}`);
    localStorage.setItem(`longscribe-${name}`, value);
  } catch { /* no storage here */ }
  return value ?? null;
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  drawWaveform();
}

function switchTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  setTheme(remembered("theme", dark ? "light" : "dark"));
}

function shade(on) {
  transcript.classList.toggle("shaded", on);
  byId("shade").setAttribute("aria-pressed", String(on));
  transcript.dispatchEvent(new Event("shading"));
}

function openHelp() {
  byId("help-dialog").showModal();
}

/** j and k: from the sentence in focus, or from what is being heard. */
function moveSentence(by) {
  const from = document.activeElement?.classList.contains("s") ? focused : sentenceAt(position());
  const to = Math.min(Math.max(0, from + by), sentences.length - 1);
  if (to < 0) return;
  focusSentence(to);
  seek(sentences[to].start);
}

const keys = {
  " ": toggle,
  k: () => moveSentence(-1),
  j: () => moveSentence(1),
  ArrowLeft: () => seek(position() - SKIP_S),
  ArrowRight: () => seek(position() + SKIP_S),
  "<": () => changeRate(-1),
  ">": () => changeRate(1),
  "/": () => byId("query").focus(),
  "?": openHelp,
  e: () => setEditing(!isEditing()),
  c: copyMoment,
  f: () => follow(!following),
  s: () => shade(!transcript.classList.contains("shaded")),
  t: switchTheme,
};

function onKey(event) {
  const { target, key } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (byId("help-dialog").open || target.closest?.("input, select, [contenteditable]")) return;
  if (target.classList?.contains("s") && key === "Enter") {
    event.preventDefault();
    if (isEditing()) startEditing(focused);
    else seek(sentences[focused].start, { play: true });
    return;
  }
  // Space presses a button that has the focus.
  if (key === " " && target.closest?.("button, a, summary")) return;
  if (!keys[key] || (key.length === 1 && key !== " " && !byId("keys-on").checked)) return;
  event.preventDefault();
  keys[key]();
}

const theme = remembered("theme");
if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
showTranscript();
showSpeakers();
shade(true);
setUpWaveform();
setUpSearch();
setUpSpeakers();
setUpEditing();
setUpLibrary();
setUpPlayer();
showPosition(0);
goToMoment({ play: false });
byId("theme").addEventListener("click", switchTheme);
byId("shade").addEventListener("click", () => shade(!transcript.classList.contains("shaded")));
byId("help").addEventListener("click", openHelp);
byId("keys-on").checked = remembered("keys") !== "off";
byId("keys-on").addEventListener("change", ({ target }) => remembered("keys", target.checked ? "on" : "off"));
addEventListener("keydown", onKey);
