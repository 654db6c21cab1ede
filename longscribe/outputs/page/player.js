// The sound: where it comes from, playing and seeking, and what is being said right now.

const audio = byId("audio");
const SKIP_S = 5;
const BASE64_SLICE = 1 << 20; // a multiple of 4
let nowIndex = -1;
let following = true;
let wanted = null; // a moment to go to as soon as the sound has loaded

function loadSound() {
  const embedded = byId("embedded");
  if (embedded) audio.src = URL.createObjectURL(decoded(embedded));
  else if (data.sound) audio.src = data.sound;
  else byId("lost-sound").hidden = false;
}

/** The sound inside the page. As a blob, browsers seek in it; in a data: address some do not. */
function decoded(embedded) {
  const base64 = embedded.textContent;
  embedded.remove();
  const parts = [];
  for (let at = 0; at < base64.length; at += BASE64_SLICE) {
    const bytes = atob(base64.slice(at, at + BASE64_SLICE));
    parts.push(Uint8Array.from(bytes, (char) => char.charCodeAt(0)));
  }
  return new Blob(parts, { type: "audio/mp4" });
}

function seek(seconds, { play = false } = {}) {
  const to = Math.min(Math.max(0, seconds), data.duration);
  if (audio.readyState === 0) wanted = to; // it would be forgotten
  else audio.currentTime = to;
  if (play) audio.play().catch(() => {}); // refused before the first click, or no sound: shown elsewhere
  showPosition(to);
}

function toggle() {
  if (audio.paused) audio.play().catch(() => {});
  else audio.pause();
}

/** One step slower (-1) or faster (1). */
function changeRate(by) {
  const rate = byId("rate");
  rate.selectedIndex = Math.min(Math.max(0, rate.selectedIndex + by), rate.options.length - 1);
  audio.playbackRate = Number(rate.value);
  announce(translated("Speed {rate}", { rate: rate.value }));
}

const position = () => wanted ?? audio.currentTime;

/** Mark what is said at a time: clock, waveform, sentence, word. */
function showPosition(seconds) {
  byId("clock").textContent = clockTime(seconds);
  drawPosition(seconds);
  const index = sentenceAt(seconds);
  const spoken = index >= 0 && seconds < sentences[index].end + 0.05 ? index : -1;
  if (spoken !== nowIndex) {
    sentences[nowIndex]?.span.classList.remove("now");
    sentences[nowIndex]?.span.removeAttribute("aria-current");
    nowIndex = spoken;
    if (spoken >= 0) {
      sentences[spoken].span.classList.add("now");
      sentences[spoken].span.setAttribute("aria-current", "true");
      if (following && !editingIndex()) reveal(sentences[spoken].span);
    }
  }
  highlights.spoken?.clear();
  if (spoken < 0 || sentences[spoken].span.isContentEditable) return;
  const words = wordsOf(sentences[spoken]);
  const word = words.findLast((one) => one.start <= seconds) ?? words[0];
  if (word) mark("spoken", sentences[spoken], word.from, word.to);
}

/** Ten or more times a second while playing; `timeupdate` alone comes four times. */
function tick() {
  showPosition(position());
  if (!audio.paused) requestAnimationFrame(tick);
}

function follow(on) {
  following = on;
  byId("follow").setAttribute("aria-pressed", String(on));
  if (on && nowIndex >= 0) reveal(sentences[nowIndex].span);
}

function showPlaying() {
  const playing = !audio.paused;
  byId("play").setAttribute("aria-label", playing ? translated("Pause") : translated("Play"));
  byId("play").querySelector("use").setAttribute("href", playing ? "#icon-pause" : "#icon-play");
  if (playing) tick();
}

/** The moment that the address names (#t=123.4, or #t=1:02:03), in seconds. */
function moment() {
  const match = /^#t=([\d.:]+)$/.exec(location.hash);
  if (!match) return null;
  const seconds = match[1].split(":").reduce((sum, part) => 60 * sum + Number(part), 0);
  return Number.isFinite(seconds) ? seconds : null;
}

function goToMoment({ play }) {
  const seconds = moment();
  if (seconds === null) return;
  seek(seconds, { play });
  const span = sentences[Math.max(0, sentenceAt(seconds + 0.05))]?.span;
  if (span) reveal(span, { always: true });
}

async function copyMoment() {
  const say = (text) => { byId("moment").querySelector("span").textContent = text; };
  const address = new URL(`#t=${position().toFixed(1)}`, location.href);
  history.replaceState(null, "", address);
  try {
    await navigator.clipboard.writeText(address.href);
    announce(translated("Link copied"));
    say(translated("Copied"));
  } catch {
    say(translated("In the address")); // no clipboard in this context
  }
  setTimeout(() => say(translated("Copy link")), 2000);
}

function setUpPlayer() {
  byId("length").textContent = clockTime(Math.round(data.duration));
  audio.addEventListener("play", showPlaying);
  audio.addEventListener("pause", showPlaying);
  audio.addEventListener("seeked", () => showPosition(position()));
  audio.addEventListener("timeupdate", () => { if (audio.paused) showPosition(position()); });
  audio.addEventListener("loadedmetadata", () => {
    byId("lost-sound").hidden = true;
    if (wanted !== null) audio.currentTime = wanted;
    wanted = null;
  });
  audio.addEventListener("error", () => { byId("lost-sound").hidden = false; });
  byId("chosen").addEventListener("change", ({ target }) => {
    if (target.files[0]) audio.src = URL.createObjectURL(target.files[0]);
  });
  byId("play").addEventListener("click", toggle);
  byId("back").addEventListener("click", () => seek(position() - SKIP_S));
  byId("forward").addEventListener("click", () => seek(position() + SKIP_S));
  byId("rate").addEventListener("change", () => changeRate(0));
  byId("follow").addEventListener("click", () => follow(!following));
  byId("moment").addEventListener("click", copyMoment);
  // Who scrolls by hand wants to read elsewhere; the page must not pull him back.
  for (const event of ["wheel", "touchmove"]) {
    addEventListener(event, () => { if (following && !audio.paused) follow(false); }, { passive: true });
  }
  addEventListener("hashchange", () => goToMoment({ play: true }));
  transcript.addEventListener("click", (event) => {
    const { target } = event;
    const link = target.closest(".time");
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault(); // a second click on the same moment would change nothing
      history.replaceState(null, "", link.hash);
      seek(moment(), { play: true });
    }
    const at = target.closest("[data-at]");
    if (at) seek(Number(at.dataset.at), { play: true });
    const span = target.closest(".s");
    // Selecting text to copy it is not a click on a sentence.
    if (!span || isEditing() || !getSelection().isCollapsed) return;
    follow(true);
    focusSentence(Number(span.dataset.n));
    seek(sentences[span.dataset.n].start, { play: true });
  });
  loadSound();
}
