// The text on the page: paragraphs, sentences, gaps. Everything goes in as text, never as markup.

const transcript = byId("transcript");
const UNSURE_WORD = 0.5;
const CONFIDENCE_LOW = 50;
const CONFIDENCE_MID = 65;

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function timeLink(seconds) {
  const link = element("a", "time", clockTime(seconds));
  link.href = `#t=${seconds.toFixed(1)}`;
  return link;
}

function gapNote([start, end, reason]) {
  const note = element("p", reason === translated("sound without text") ? "note music" : "note");
  const play = element("button", "", `${clockTime(start)}–${clockTime(end)}`);
  play.type = "button";
  play.dataset.at = start;
  note.append(play, ` ${translated("No text here: {reason}.", { reason })}`);
  return note;
}

function sentenceSpan(sentence) {
  const span = element("span", "s", sentence.text);
  span.dataset.n = sentence.index;
  span.tabIndex = -1; // one of them is in the tab order at a time: j and k move it
  if (sentence.confidence < CONFIDENCE_LOW) span.dataset.sure = "low";
  else if (sentence.confidence < CONFIDENCE_MID) span.dataset.sure = "mid";
  if (span.dataset.sure) span.title = translated("The model was {percent} % sure", { percent: sentence.confidence });
  sentence.span = span;
  return span;
}

function paragraphBlock(group) {
  const block = element("div", "para");
  const text = element("p", "text");
  text.dir = directionOf(group.map((sentence) => sentence.text).join(""));
  if (group[0].speaker >= 0) text.append(speakerButton(group[0].speaker, -1));
  group.forEach((sentence, n) => {
    if (n) text.append(sentence.space);
    text.append(sentenceSpan(sentence));
  });
  block.append(timeLink(group[0].start), text);
  // A guess at the height of what is not laid out yet keeps the scroll bar from jumping.
  const chars = group.reduce((sum, sentence) => sum + sentence.text.length, 0);
  block.style.containIntrinsicBlockSize = `auto ${Math.ceil(chars / 66) * 31 + 22}px`;
  return block;
}

function showTranscript() {
  const page = document.createDocumentFragment();
  let next = 0;
  for (const paragraph of data.paragraphs) {
    if (paragraph.gap) {
      page.append(gapNote(paragraph.gap));
      continue;
    }
    const group = sentences.slice(next, next + paragraph.count);
    for (const sentence of group) sentence.speaker = data.speakers.indexOf(paragraph.speaker);
    next += paragraph.count;
    page.append(paragraphBlock(group));
  }
  transcript.dir = directionOf(sentences.map((sentence) => sentence.text).join(""));
  if (!data.paragraphs.length) page.append(element("p", "note music", translated("No speech was found.")));
  transcript.append(page);
  if (sentences.length) sentences[0].span.tabIndex = 0;
  markUnsureWords();
}

/** Dotted lines under unsure words of the paragraphs in sight; for all at once they would be many. */
function markUnsureWords() {
  const shown = new Map(); // paragraph: its ranges
  const watch = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      for (const range of shown.get(target) ?? []) highlights.unsure?.delete(range);
      shown.delete(target);
      if (isIntersecting && transcript.classList.contains("shaded")) shown.set(target, unsureIn(target));
    }
  }, { rootMargin: "50% 0px" });
  const restart = () => {
    watch.disconnect();
    highlights.unsure?.clear();
    shown.clear();
    for (const block of transcript.querySelectorAll(".para")) watch.observe(block);
  };
  if (data.segments.some((row) => row[4])) {
    restart();
    transcript.addEventListener("shading", restart);
  }
}

function unsureIn(block) {
  const ranges = [];
  for (const span of block.querySelectorAll(".s")) {
    const sentence = sentences[span.dataset.n];
    if (!sentence.words) continue;
    for (const word of wordsOf(sentence)) {
      if (word.probability === null || word.probability >= UNSURE_WORD) continue;
      const range = mark("unsure", sentence, word.from, word.to);
      if (range) ranges.push(range);
    }
  }
  return ranges;
}

let focused = 0;

/** Make a sentence the one in the tab order, and give it the focus. */
function focusSentence(index, options) {
  if (!sentences[index]) return;
  sentences[focused].span.tabIndex = -1;
  focused = index;
  sentences[index].span.tabIndex = 0;
  sentences[index].span.focus({ preventScroll: true });
  reveal(sentences[index].span, options);
}

/** Scroll an element into the middle if it is out of sight between the tools and the dock. */
function reveal(target, { always = false } = {}) {
  const { top, bottom } = target.getBoundingClientRect();
  const above = byId("query").closest(".tools").getBoundingClientRect().bottom + 24;
  const below = document.querySelector(".dock").getBoundingClientRect().top - 24;
  if (!always && top >= above && bottom <= below) return;
  const far = top < -innerHeight || bottom > 2 * innerHeight;
  target.scrollIntoView({ block: "center", behavior: far || calm.matches ? "instant" : "smooth" });
}
