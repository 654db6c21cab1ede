// Correcting the text in place, and saving it. Times stay; the words of a changed sentence are
// estimated in it from then on.

const isEditing = () => document.body.classList.contains("editing");
const editingIndex = () => document.activeElement?.isContentEditable === true;

function setEditing(on) {
  document.activeElement?.isContentEditable && document.activeElement.blur();
  document.body.classList.toggle("editing", on);
  byId("edit").setAttribute("aria-pressed", String(on));
  byId("editing-hint").hidden = !on;
  announce(on ? "Editing" : "Editing ended");
}

function startEditing(index) {
  const sentence = sentences[index];
  if (!sentence) return;
  const { span } = sentence;
  span.setAttribute("contenteditable", "plaintext-only"); // no pasted markup
  if (!span.isContentEditable) span.setAttribute("contenteditable", "true");
  span.setAttribute("role", "textbox");
  span.setAttribute("aria-label", `Sentence at ${clockTime(sentence.start)}`);
  focusSentence(index);
}

function endEditing(span) {
  const sentence = sentences[span.dataset.n];
  for (const name of ["contenteditable", "role", "aria-label"]) span.removeAttribute(name);
  change(sentence, span.textContent.replace(/\s+/g, " ").trim());
}

function change(sentence, text) {
  if (text !== sentence.text || sentence.span.textContent !== text) {
    sentence.words = text === sentence.original ? data.segments[sentence.index][4] : undefined;
    sentence.text = text;
    sentence.folded = undefined;
    sentence.span.textContent = text; // one text node again, as highlights need it
  }
  sentence.span.classList.toggle("edited", text !== sentence.original);
  byId("discard").hidden = !edited().length;
}

const edited = () => sentences.filter((sentence) => sentence.text !== sentence.original);

/** Columns a text takes: signs of East Asian scripts are two wide, as the subtitle rules count. */
function columns(text) {
  let wide = 0;
  for (const char of text) wide += /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/.test(char) ? 2 : 1;
  return wide;
}

/** Cues of a sentence under the subtitle rules: [{start, end, lines}]. */
function cuesOf(sentence) {
  const limit = data.rules.max_line_chars;
  if (!limit || columns(sentence.text) <= limit) {
    return [{ start: sentence.start, end: sentence.end, lines: [sentence.text] }];
  }
  const made = [];
  let line = "";
  let began = sentence.start;
  let lines = [];
  const words = wordsOf(sentence).map((word, n, all) => ({
    ...word, text: sentence.text.slice(n ? all[n - 1].to : 0, word.to),
  }));
  for (const word of words) {
    if (line && columns(line + word.text) > limit) {
      lines.push(line);
      line = "";
      if (lines.length === data.rules.max_lines) {
        made.push({ start: began, end: word.start, lines });
        began = word.start;
        lines = [];
      }
    }
    line += line ? word.text : word.text.trimStart();
  }
  line += sentence.text.slice(words.at(-1)?.to ?? 0); // closing marks that are no word
  made.push({ start: began, end: sentence.end, lines: [...lines, line] });
  return made;
}

function stamp(seconds, mark) {
  const ms = Math.round(1000 * seconds);
  return `${two(Math.floor(ms / 3600000))}:${two(Math.floor(ms / 60000) % 60)}:${two(Math.floor(ms / 1000) % 60)}${mark}${String(ms % 1000).padStart(3, "0")}`;
}

/** The text as it stands, in a format. Gaps are marked as in the files beside this page. */
function rendered(format) {
  const gaps = data.lost.map(([start, end, reason]) => ({ start, end, lines: [`[gap: ${reason}]`] }));
  const kept = sentences.filter((sentence) => sentence.text);
  const said = format === "txt"
    ? kept.map(({ start, end, text }) => ({ start, end, lines: [text] })) : kept.flatMap(cuesOf);
  const cues = [...said, ...gaps].sort((a, b) => a.start - b.start);
  if (format === "txt") return cues.map(({ lines }) => `${lines[0]}\n`).join("");
  const text = ({ lines }) => lines.join("\n").replaceAll("-->", "->"); // an arrow starts a cue
  if (format === "srt") {
    return cues.map((cue, n) => `${n + 1}\n${stamp(cue.start, ",")} --> ${stamp(cue.end, ",")}\n${text(cue)}\n\n`).join("");
  }
  const escaped = (cue) => text(cue).replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return `WEBVTT\n\n${cues.map((cue) => `${stamp(cue.start, ".")} --> ${stamp(cue.end, ".")}\n${escaped(cue)}\n\n`).join("")}`;
}

function save(format) {
  if (editingIndex()) document.activeElement.blur();
  const link = element("a");
  link.download = `${data.name}${edited().length ? "-edited" : ""}.${format}`;
  link.href = URL.createObjectURL(new Blob([rendered(format)], { type: "text/plain" }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  saved = edited().map(({ index, text }) => `${index} ${text}`).join("\n");
}

let saved = "";

function setUpEditing() {
  byId("edit").addEventListener("click", () => setEditing(!isEditing()));
  transcript.addEventListener("click", ({ target }) => {
    const span = target.closest(".s");
    if (span && isEditing() && !span.isContentEditable) startEditing(Number(span.dataset.n));
  });
  transcript.addEventListener("focusout", ({ target }) => {
    if (target.isContentEditable) endEditing(target);
  });
  transcript.addEventListener("keydown", (event) => {
    const { target } = event;
    if (!target.isContentEditable) return;
    event.stopPropagation(); // letters are text here, not shortcuts
    const index = Number(target.dataset.n);
    if (event.key === "Escape") focusSentence((target.blur(), index));
    if (event.key !== "Enter" || event.isComposing) return; // Enter also ends an input method's word
    event.preventDefault();
    if (event.ctrlKey || event.metaKey) seek(sentences[index].start, { play: true });
    else startEditing(index + 1);
  });
  for (const button of document.querySelectorAll("[data-save]")) {
    button.addEventListener("click", () => {
      byId("formats").hidePopover();
      save(button.dataset.save);
    });
  }
  byId("discard").addEventListener("click", () => {
    for (const sentence of edited()) change(sentence, sentence.original);
    byId("formats").hidePopover();
    announce("Edits discarded");
  });
  addEventListener("beforeunload", (event) => {
    const now = edited().map(({ index, text }) => `${index} ${text}`).join("\n");
    if (now !== saved) event.preventDefault(); // the browser asks whether to leave
  });
}
