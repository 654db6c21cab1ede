// The transcript as the page was given it, and small things that every part of the script needs.

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

/** A message of the page in its reader's language; values stand in braces: {time}. */
function translated(message, values = {}) {
  return (data.messages[message] ?? message).replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

const calm = matchMedia("(prefers-reduced-motion: reduce)");

// `words`, where the model timed them: four numbers each (length, start, duration, probability).
// `phrases`, in scripts without spaces: the length of each.
const sentences = data.segments.map(([start, end, text, confidence, words, phrases], index) => ({
  index, start, end, confidence, words, phrases,
  space: text.startsWith(" ") ? " " : "", // scripts without spaces have none between sentences
  text: text.trimStart(), original: text.trimStart(), span: null,
}));

// As longscribe/text/direction.py has them, where the reasons stand.
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]/;

/** The direction in which most letters of a text run. */
function directionOf(text) {
  const letters = text.match(/\p{L}/gu) ?? [];
  return 2 * letters.filter((letter) => RIGHT_TO_LEFT.test(letter)).length > letters.length ? "rtl" : "ltr";
}

const two = (number) => String(number).padStart(2, "0");

/** Seconds as 1:02:03. */
function clockTime(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
}

/** Index of the last sentence that starts at or before a time; -1 before the first. */
function sentenceAt(seconds) {
  let low = 0;
  let high = sentences.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sentences[middle].start <= seconds) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

// As longscribe/text/words.py has them, where the reasons stand: scripts that set no spaces, what
// stays with the sign before it, and what the sign after stays with.
const UNSPACED = /[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uff60]/;
const STAYING = /^(?:[.,;:?!…%‰、。，．！？；：％・ー〜～々〻ゝゞヽヾぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶะาำๅฯๆະາຳຽຯໆ។៕៖ៗ၊။\p{M}\p{Pe}\p{Pf}]|[\u1000-\u1021]\u1037?[\u1039\u103a])/u;
const HOLDING = /[\p{Ps}\p{Pi}เแโใไເແໂໃໄ\u17d2\u1039]$/u;

/** The words of a text as [from, to) in it; one sign each in a script that sets no spaces. */
function wordBounds(text) {
  const bounds = [];
  for (const { 0: word, index } of text.matchAll(/\S+/g)) {
    let from = index;
    let to = index;
    let before = "";
    for (const sign of UNSPACED.test(word) ? word : [word]) {
      const apart = before && (UNSPACED.test(sign) || UNSPACED.test(before));
      if (apart && !HOLDING.test(before) && !STAYING.test(word.slice(to - index))) {
        bounds.push([from, to]);
        from = to;
      }
      to += sign.length;
      before = sign;
    }
    bounds.push([from, to]);
  }
  return bounds;
}

/** Words of a sentence: {from, to, start, end, probability}; estimated where they were not timed. */
function wordsOf(sentence) {
  const words = [];
  if (sentence.words) {
    let at = 0;
    for (let n = 0; n < sentence.words.length; n += 4) {
      const [length, start, duration, percent] = sentence.words.slice(n, n + 4);
      const piece = sentence.text.slice(at, at + length);
      words.push({
        from: at + piece.length - piece.trimStart().length, to: at + length,
        start: sentence.start + start / 1000, end: sentence.start + (start + duration) / 1000,
        probability: percent < 0 ? null : percent / 100,
      });
      at += length;
    }
    return words;
  }
  const letters = [...sentence.text.replace(/\s+/g, "")].length;
  const step = (sentence.end - sentence.start) / Math.max(1, letters);
  let said = 0;
  for (const [from, to] of wordBounds(sentence.text)) {
    const first = said;
    said += [...sentence.text.slice(from, to)].length;
    words.push({
      from, to, probability: null,
      start: sentence.start + first * step, end: sentence.start + said * step,
    });
  }
  return words;
}

// The CSS Custom Highlight API marks words without adding elements, so ten hours of words cost
// nothing until they are seen. Browsers without it still mark whole sentences.
const highlights = {};
for (const name of ["spoken", "found", "found-now", "unsure"]) {
  if (!("highlights" in CSS)) break;
  highlights[name] = new Highlight();
  CSS.highlights.set(name, highlights[name]);
}
if (highlights.spoken) highlights.spoken.priority = 3;
if (highlights["found-now"]) highlights["found-now"].priority = 2;

function mark(name, sentence, from, to) {
  const node = sentence.span.firstChild;
  if (!highlights[name] || !node || to > node.length) return null;
  const range = new StaticRange({
    startContainer: node, startOffset: from, endContainer: node, endOffset: to,
  });
  highlights[name].add(range);
  return range;
}

/** Say something to people who listen to the page. */
function announce(text) {
  byId("said").textContent = text;
}
