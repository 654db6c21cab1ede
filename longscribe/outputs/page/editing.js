// Correcting the text in place, and saving it. Times stay; the words of a changed sentence are
// estimated in it from then on.

const isEditing = () => document.body.classList.contains("editing");
const editingIndex = () => document.activeElement?.isContentEditable === true;

function setEditing(on) {
  document.activeElement?.isContentEditable && document.activeElement.blur();
  document.body.classList.toggle("editing", on);
  byId("edit").setAttribute("aria-pressed", String(on));
  byId("editing-hint").hidden = !on;
  announce(on ? translated("Editing") : translated("Editing ended"));
}

function startEditing(index) {
  const sentence = sentences[index];
  if (!sentence) return;
  const { span } = sentence;
  span.setAttribute("contenteditable", "plaintext-only"); // no pasted markup
  if (!span.isContentEditable) span.setAttribute("contenteditable", "true");
  span.setAttribute("role", "textbox");
  span.setAttribute("aria-label", translated("Sentence at {time}", { time: clockTime(sentence.start) }));
  focusSentence(index);
}

function endEditing(span) {
  const sentence = sentences[span.dataset.n];
  for (const name of ["contenteditable", "role", "aria-label"]) span.removeAttribute(name);
  change(sentence, span.textContent.replace(/\s+/g, " ").trim());
}

function change(sentence, text) {
  if (text !== sentence.text || sentence.span.textContent !== text) {
    const asGiven = text === sentence.original ? data.segments[sentence.index] : [];
    [sentence.words, sentence.phrases] = [asGiven[4], asGiven[5]];
    sentence.text = text;
    sentence.folded = undefined;
    sentence.span.textContent = text; // one text node again, as highlights need it
  }
  sentence.span.classList.toggle("edited", text !== sentence.original);
  showWhetherEdited();
}

function showWhetherEdited() {
  byId("discard").hidden = !isChanged();
}

const edited = () => sentences.filter((sentence) => sentence.text !== sentence.original);
const isChanged = () => isRenamed() || edited().length > 0;
const changes = () => [...(isRenamed() ? speakerNames : []), ...edited().map(({ index, text }) => `${index} ${text}`)].join("\n");

/** A time as 01:02.345, or 01:01:02.345 from an hour on or if `hours`. */
function stamp(seconds, mark, hours = false) {
  const ms = Math.round(1000 * seconds);
  const shown = `${two(Math.floor(ms / 60000) % 60)}:${two(Math.floor(ms / 1000) % 60)}${mark}${String(ms % 1000).padStart(3, "0")}`;
  return hours || ms >= 3600000 ? `${two(Math.floor(ms / 3600000))}:${shown}` : shown;
}

/** The text as it stands, a paragraph a line and who says it. */
function dialogueText() {
  const lost = new Set(data.lost.map(([start]) => start));
  let next = 0;
  return data.paragraphs.map(({ gap, count }) => {
    if (gap) return lost.has(gap[0]) ? `${translated("[gap: {reason}]", { reason: gap[2] })}\n` : "";
    const group = sentences.slice(next, next += count);
    const text = group.filter((one) => one.text).map((one) => one.space + one.text).join("").trim();
    const name = speakerOf(group[0]);
    return text && `${name ? `${name}: ` : ""}${text}\n`;
  }).join("");
}

/** The text as it stands, a sentence a line. Gaps are marked as in the files beside this page. */
function plainText() {
  if (speakerNames.length) return dialogueText();
  const lines = sentences.filter(({ text }) => text).map(({ start, text }) => [start, text]);
  lines.push(...data.lost.map(([start, , reason]) => [start, translated("[gap: {reason}]", { reason })]));
  return lines.sort(([a], [b]) => a - b).map(([, line]) => `${line}\n`).join("");
}

/** The text as it stands, in a format. */
function rendered(format) {
  if (format === "txt") return plainText();
  const directed = (lines) => directionOf(lines.join("")) === "rtl" ? lines.map((line) => `\u202b${line}\u202c`) : lines;
  const text = ({ lines }) => directed(lines).join("\n").replaceAll("-->", "->"); // an arrow starts a cue
  if (format === "srt") {
    // As longscribe/outputs/subtitles.py makes tags and override blocks harmless: srt has no escapes.
    const inert = (cue) => text(cue).replaceAll("{", "\uff5b").replaceAll("}", "\uff5d")
      .replaceAll("\\", "\\\u2060").replace(/<(?=[a-z/!?])/gi, "<\u2060");
    return allCues().map((cue, n) => `${n + 1}\n${stamp(cue.start, ",", true)} --> ${stamp(cue.end, ",", true)}\n${inert(cue)}\n\n`).join("");
  }
  const escaped = (cue) => voiced(cue, text(cue).replaceAll("&", "&amp;").replaceAll("<", "&lt;"));
  return `WEBVTT\n\n${allCues(data.rules.speaker_marks === "names" ? "none" : undefined).map((cue) => `${stamp(cue.start, ".")} --> ${stamp(cue.end, ".")}\n${escaped(cue)}\n\n`).join("")}`;
}

/** The lines of a cue in voice spans: longscribe/outputs/subtitles.py, `vtt`. */
function voiced({ speakers }, text) {
  if (!speakers.length || data.rules.speaker_marks === "none") return text;
  const lines = text.split("\n");
  const escape = (name) => name.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  return lines.map((line, n) => {
    const opens = speakers[n] !== speakers[n - 1] ? `<v ${escape(speakers[n])}>` : "";
    return opens + line + (speakers[n] !== speakers[n + 1] ? "</v>" : "");
  }).join("\n");
}

function save(format) {
  if (editingIndex()) document.activeElement.blur();
  const link = element("a");
  link.download = `${data.name}${isChanged() ? "-edited" : ""}.${format}`;
  link.href = URL.createObjectURL(new Blob([rendered(format)], { type: "text/plain" }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  saved = changes();
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
  byId("formats").addEventListener("beforetoggle", ({ target }) => {
    target.style.top = `${byId("save").closest(".tools").getBoundingClientRect().bottom + 4}px`;
  });
  for (const button of document.querySelectorAll("[data-save]")) {
    button.addEventListener("click", () => {
      byId("formats").hidePopover();
      save(button.dataset.save);
    });
  }
  byId("discard").addEventListener("click", () => {
    for (const sentence of edited()) change(sentence, sentence.original);
    data.speakers.forEach((name, n) => rename(n, name));
    byId("formats").hidePopover();
    announce(translated("Edits discarded"));
  });
  addEventListener("beforeunload", (event) => {
    if (changes() !== saved) event.preventDefault(); // the browser asks whether to leave
  });
}
