// Search in the text as it stands, edits included; case and accents do not matter.

let matches = []; // {sentence, from, to}
let matchIndex = -1;
let searchDelay = 0;

/** A text in small letters without accents, and for each of its letters the place in the text. */
function folded(text) {
  // Plain ASCII, most of it, folds letter by letter and needs no map.
  if (/^[\x00-\x7f]*$/.test(text)) return { text: text.toLowerCase(), places: null };
  let result = "";
  const places = [];
  let at = 0;
  for (const char of text) {
    const plain = char.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
    for (let n = 0; n < plain.length; n += 1) places.push(at);
    result += plain;
    at += char.length;
  }
  places.push(at);
  return { text: result, places };
}

function foundText() {
  return matches.length ? translated("{count} found", { count: matches.length }) : translated("none");
}

/** What is sought, and whose: `Ana: budget` is said by Ana, `Ana:` all that she says. */
function soughtIn(query) {
  const { text } = folded(query.trim());
  const colon = text.indexOf(":");
  const name = text.slice(0, Math.max(0, colon)).trim();
  const by = speakerNames.flatMap((one, n) => (name && folded(one).text === name ? [n] : []));
  return by.length ? { text: text.slice(colon + 1).trim(), by } : { text, by: null };
}

function search(query) {
  const { text: sought, by } = soughtIn(query);
  matches = [];
  matchIndex = -1;
  highlights.found?.clear();
  highlights["found-now"]?.clear();
  for (const sentence of sought || by ? sentences : []) {
    if (by && !by.includes(sentence.speaker)) continue;
    if (!sought) { // a match for each turn
      const before = sentences[sentence.index - 1];
      if (!before || !by.includes(before.speaker)) matches.push({ sentence, from: 0, to: sentence.text.length });
      mark("found", sentence, 0, sentence.text.length);
      continue;
    }
    sentence.folded ??= folded(sentence.text);
    const { text, places } = sentence.folded;
    for (let at = text.indexOf(sought); at >= 0; at = text.indexOf(sought, at + sought.length)) {
      const from = places ? places[at] : at;
      const to = places ? places[at + sought.length] : at + sought.length;
      matches.push({ sentence, from, to });
      mark("found", sentence, from, to);
    }
  }
  byId("search").classList.toggle("used", Boolean(sought || by));
  byId("found-before").disabled = byId("found-after").disabled = !matches.length;
  byId("found").textContent = sought || by ? foundText() : "";
  drawWaveform();
}

/** Go to the next match (1) or the one before (-1), from what is being heard the first time. */
function step(direction) {
  if (!matches.length) return;
  if (matchIndex < 0) {
    const from = position();
    const next = matches.findIndex(({ sentence }) => sentence.end > from);
    matchIndex = direction > 0 ? Math.max(0, next) : (next < 1 ? matches.length : next) - 1;
  } else {
    matchIndex = (matchIndex + direction + matches.length) % matches.length;
  }
  const { sentence, from, to } = matches[matchIndex];
  highlights["found-now"]?.clear();
  mark("found-now", sentence, from, to);
  byId("found").textContent = translated("{number} of {count}", { number: matchIndex + 1, count: matches.length });
  follow(false);
  reveal(sentence.span);
  sentences[focused].span.tabIndex = -1; // Tab from the search goes on at the match
  focused = sentence.index;
  sentence.span.tabIndex = 0;
}

function setUpSearch() {
  const query = byId("query");
  query.addEventListener("input", () => {
    clearTimeout(searchDelay);
    searchDelay = setTimeout(() => search(query.value), 120);
  });
  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(searchDelay);
    if (matchIndex < 0) search(query.value);
    step(1);
  });
  query.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.shiftKey) {
      event.preventDefault();
      step(-1);
    }
    if (event.key === "Escape") {
      query.value = "";
      search("");
      focusSentence(focused);
    }
  });
  byId("found-before").addEventListener("click", () => step(-1));
}
