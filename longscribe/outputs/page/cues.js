// Sentences as subtitle cues, for what is saved from the page: longscribe/text/cues.py once more, where
// the reasons stand. A test saves the same transcripts both ways and compares them.

const SENTENCE_ENDS = /[.?!…。？！]$/;
const CLAUSE_ENDS = /[,;:–—、，；：]$/;
const CLOSING_MARKS = /["'”’)\]»」』）]+$/;
const PAUSE_S = 0.25;
const CUT_AT_SENTENCE = 0;
const CUT_AT_CLAUSE = 0.25;
const CUT_AT_PAUSE = 0.3;
const CUT_ELSEWHERE = 0.6;
const SHORT_CUE = 0.8;
const ANSWERS_WITHIN_S = 0.5;
const LONGEST_DIALOGUE_S = 7;

// Columns that a sign takes, as `rich.cells` has them for the files beside this page. Unicode's
// East_Asian_Width is no property of JavaScript's expressions, hence the ranges.
const ONE_COLUMN_EACH = /^[\x20-\x7e\xa0-\xac\xae-\u02ff\u0370-\u0482]*$/;
const NO_COLUMN = /(?![\xad\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u{110bd}\u{110cd}])[\p{M}\p{Cf}\p{Cc}\u1160-\u11ff\u2028\u2029\u3164\ud7b0-\ud7ff\uffa0\u{1f3fb}-\u{1f3ff}]/u;
const TWO_COLUMNS = /(?![\u3248-\u324f\u{1f1e6}-\u{1f1ff}])(?:[\u1100-\u115f\u2329\u232a\u2630-\u2637\u268a-\u268f\u2e80-\u303e\u3041-\ua4c6\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6b\uff01-\uff60\uffe0-\uffe6\u{16fe0}-\u{18dff}\u{1aff0}-\u{1b2ff}\u{1d300}-\u{1d376}\u{1f200}-\u{1f265}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation})/u;
const ZERO_WIDTH_JOINER = "\u200d";
const SHOWN_AS_EMOJI = "\ufe0f";

function signColumns(sign) {
  if (NO_COLUMN.test(sign)) return 0;
  return TWO_COLUMNS.test(sign) ? 2 : 1;
}

/** Signs that must not be parted, with what is joined to them: [{text, columns}]. */
function joinedSigns(text) {
  const joined = [];
  const signs = [...text];
  for (let n = 0; n < signs.length; n += 1) {
    const last = joined.at(-1);
    const wide = signColumns(signs[n]);
    if (wide || !last) {
      joined.push({ text: signs[n], columns: wide });
      continue;
    }
    if (signs[n] === SHOWN_AS_EMOJI && last.columns === 1 && /^\p{Emoji}/u.test(last.text)) last.columns = 2;
    last.text += signs[n];
    if (signs[n] === ZERO_WIDTH_JOINER && n + 1 < signs.length) last.text += signs[n += 1];
  }
  return joined;
}

/** Columns a text takes: signs of East Asian scripts are two wide. */
function columns(text) {
  if (ONE_COLUMN_EACH.test(text)) return text.length;
  return joinedSigns(text).reduce((sum, sign) => sum + sign.columns, 0);
}

/** A text in pieces of so many columns at most. */
function chopped(text, limit) {
  const pieces = [];
  let piece = "";
  let used = 0;
  for (const sign of joinedSigns(text)) {
    if (used + sign.columns > limit) {
      pieces.push(piece);
      piece = "";
      used = 0;
    }
    piece += sign.text;
    used += sign.columns;
  }
  return used ? [...pieces, piece] : pieces;
}

const lineText = (line) => line.map((word) => word.text).join("").trim();
const spaceBefore = (word) => word.text.length - word.text.trimStart().length;

const joined = (words) => ({
  text: words.map((word) => word.text).join(""), start: words[0].start, end: words.at(-1).end,
});

/** Where phrases end in a sentence; in a text that was changed, where the browser finds words. */
function phraseEnds({ text, original, phrases }) {
  let at = 0;
  if (text === original) return new Set(phrases?.map((length) => at += length));
  const words = new Intl.Segmenter(data.language || undefined, { granularity: "word" }).segment(text);
  return new Set([...words].map(({ index }) => index));
}

/** The words gathered into phrases, which a line holds whole: longscribe/text/phrases.py. */
function phrasesOf(sentence, words) {
  if (!UNSPACED.test(sentence.text)) return words.map((word) => [word]);
  const ends = phraseEnds(sentence);
  if (!ends.size) return words.map((word) => [word]);
  const phrases = [];
  let end = 0;
  for (const word of words) {
    if (!phrases.length || ends.has(end) || /^\s/.test(word.text)) phrases.push([]);
    phrases.at(-1).push(word);
    end += word.text.length;
  }
  return phrases;
}

/** The phrase as one, or word by word where it is longer than a line. */
function fitting(phrase, limit) {
  const whole = joined(phrase);
  return columns(whole.text.trim()) <= limit ? [whole] : phrase.flatMap((word) => choppedWord(word, limit));
}

/** The word, in pieces where it is longer than a whole line. */
function choppedWord(word, limit) {
  const text = word.text.trim();
  if (columns(text) <= limit) return [word];
  const pieces = chopped(text, limit);
  const step = (word.end - word.start) / pieces.length;
  return pieces.map((piece, n) => ({
    text: (n === 0 && /^\s/.test(word.text) ? " " : "") + piece,
    start: word.start + n * step, end: word.start + (n + 1) * step,
  }));
}

function cutCost(words, stop) {
  if (stop === words.length) return 0;
  const ending = words[stop - 1].text.replace(CLOSING_MARKS, "");
  if (SENTENCE_ENDS.test(ending)) return CUT_AT_SENTENCE;
  if (CLAUSE_ENDS.test(ending)) return CUT_AT_CLAUSE;
  return words[stop].start - words[stop - 1].end >= PAUSE_S ? CUT_AT_PAUSE : CUT_ELSEWHERE;
}

function lineCount(words, limit) {
  let count = 0;
  let used = limit + 1;
  for (const word of words) {
    if (used + word.columns > limit) {
      count += 1;
      used = word.columns - spaceBefore(word);
    } else used += word.columns;
  }
  return count;
}

/** The words on as few lines as hold them, about equally long, broken where the clause is. */
function linesOf(words, limit) {
  const count = lineCount(words, limit);
  if (count === 1) return [words];
  const total = words.reduce((sum, word) => sum + word.columns, 0);
  // best[n]: the first n words on k lines, as k => [cost, where the last line starts].
  const best = [new Map([[0, [0, 0]]])];
  for (let stop = 1; stop <= words.length; stop += 1) {
    const row = new Map();
    let wide = 0;
    for (let start = stop - 1; start >= 0; start -= 1) {
      wide += words[start].columns;
      const width = wide - spaceBefore(words[start]);
      if (width > limit) break;
      const uneven = width / limit - total / count / limit;
      const cost = uneven * uneven + 0.3 * cutCost(words, stop);
      for (const [k, [before]] of best[start]) {
        if (k < count && !(row.get(k + 1)?.[0] <= before + cost)) row.set(k + 1, [before + cost, start]);
      }
    }
    best.push(row);
  }
  const lines = [];
  for (let stop = words.length, k = count; stop; k -= 1) {
    const [, start] = best[stop].get(k);
    lines.unshift(words.slice(start, stop));
    stop = start;
  }
  return lines;
}

/** What stands before the first words of a turn. */
function markOf(speaker, marks) {
  if (!speaker || marks === "none") return [];
  return (marks === "dashes" ? "-" : `${speaker}:`).split(/\s+/).map((word, n) => (n ? ` ${word}` : word));
}

/** Words with a mark before them, which takes no time. */
function marked(mark, words, start) {
  if (!mark.length || !words.length) return words;
  const [first, ...rest] = words;
  const timed = mark.map((text) => ({ text, start, end: start }));
  return [...timed, { ...first, text: ` ${first.text.trimStart()}` }, ...rest];
}

/** The cues of one sentence: as few as the rules allow, cut where the sentence does. */
function cuesOf(sentence, mark) {
  const { max_line_chars: limit, max_lines: most } = data.rules;
  const { start, end } = sentence;
  const plain = wordsOf(sentence).map((word, n, all) => ({
    start: word.start, end: word.end, text: sentence.text.slice(n ? all[n - 1].to : 0, word.to),
  }));
  if (!plain.length) return [];
  const speaker = speakerOf(sentence);
  const shown = (lines, from, to) => ({ start: from, end: to, lines, speakers: speaker ? lines.map(() => speaker) : [] });
  if (!limit) return [shown([lineText(marked(mark, plain, start))], start, end)];
  const [first, ...rest] = phrasesOf(sentence, plain);
  const words = [marked(mark, first, start), ...rest].flatMap((phrase) => fitting(phrase, limit));
  for (const word of words) word.columns = columns(word.text);
  const cue = (part, from, to) => shown(linesOf(part, limit).map(lineText), from, to);
  if (lineCount(words, limit) <= most) return [cue(words, start, end)];
  const best = [[0, 0]]; // for the first n words: cost, where the last cue starts
  for (let stop = 1; stop <= words.length; stop += 1) {
    let choice = [Infinity, 0];
    let wide = 0;
    for (let from = stop - 1; from >= 0; from -= 1) {
      if (lineCount(words.slice(from, stop), limit) > most) break;
      wide += words[from].columns;
      const short = from || stop < words.length ? SHORT_CUE * (1 - Math.min(limit, wide) / limit) : 0;
      const cost = best[from][0] + 1 + short + cutCost(words, stop);
      if (cost <= choice[0]) choice = [cost, from];
    }
    best.push(choice);
  }
  const cues = [];
  for (let stop = words.length; stop; stop = best[stop][1]) {
    const from = best[stop][1];
    const part = words.slice(from, stop);
    cues.unshift(cue(part, from ? part[0].start : start, stop < words.length ? part.at(-1).end : end));
  }
  return cues;
}

/** Two cues as one, a line each, where two people speak at once or soon after; else null. */
function together(first, second, marks) {
  if (data.rules.max_lines < 2 || marks === "none") return null;
  if (first.speakers.length !== 1 || second.speakers.length !== 1 || first.speakers[0] === second.speakers[0]) return null;
  const end = Math.max(first.end, second.end);
  const within = marks === "dashes" ? ANSWERS_WITHIN_S : 0;
  if (second.start - first.end >= within || end - first.start > LONGEST_DIALOGUE_S) return null;
  const lines = [first, second].map(({ lines: [line], speakers: [speaker] }) => {
    const mark = markOf(speaker, marks).join("");
    return line === mark || line.startsWith(`${mark} `) ? line : `${mark} ${line}`;
  });
  if (lines.some((line) => columns(line) > data.rules.max_line_chars)) return null;
  return { start: first.start, end, lines, speakers: [...first.speakers, ...second.speakers] };
}

/** The cues, two of them as one where two people say a line each. */
function dialogues(cues, marks) {
  const made = [];
  let held = null;
  for (const cue of cues) {
    const both = held && together(held, cue, marks);
    if (both) made.push(both);
    else if (held) made.push(held);
    held = both ? null : cue;
  }
  return held ? [...made, held] : made;
}

/** The cue before which one has to go: not another person's who speaks at the same time. */
function nextTo(cue, cues, number) {
  for (let n = number; n < cues.length; n += 1) {
    const after = cues[n];
    const atOnce = after.start < cue.end && cue.speakers.length && after.speakers.length;
    if (!atOnce || after.speakers[0] === cue.speakers.at(-1)) return after;
  }
  return null;
}

/** Each cue as long as reading it takes where nothing else is said, and a gap before the next. */
function withReadingTime(cues) {
  const { max_chars_per_s: pace, min_gap_s: gap } = data.rules;
  return cues.map((cue, n) => {
    const chars = cue.lines.reduce((sum, line) => sum + columns(line), 0);
    const wanted = pace ? Math.max(cue.end, cue.start + chars / pace) : cue.end;
    const after = nextTo(cue, cues, n + 1);
    if (!after) return { ...cue, end: Math.min(wanted, Math.max(data.duration, cue.end)) };
    const room = Math.max(0, after.start - cue.start);
    return { ...cue, end: cue.start + Math.min(wanted - cue.start, Math.max(room - gap, room / 2)) };
  });
}

/** The text as it stands as cues under the subtitle rules, lost audio among them. */
function allCues(marks = data.rules.speaker_marks) {
  const gaps = data.lost.map(([start, end, reason]) => ({ start, end, speakers: [], lines: [translated("[gap: {reason}]", { reason })] }));
  let before = "";
  const said = sentences.filter(({ text }) => text).flatMap((sentence) => {
    const speaker = speakerOf(sentence);
    const mark = speaker === before ? [] : markOf(speaker, marks);
    before = speaker;
    return cuesOf(sentence, mark);
  });
  const cues = [...said, ...gaps].sort((a, b) => a.start - b.start || a.end - b.end);
  return data.rules.max_line_chars ? withReadingTime(dialogues(cues, marks)) : cues;
}
