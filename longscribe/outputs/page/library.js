// Saving corrections where the page came from, when that is a library.

/** What differs from what the library has. */
function correctionsNow() {
  const names = typeof speakerNames === "undefined" ? [] : speakerNames;
  return {
    based_on: data.library.version,
    texts: Object.fromEntries(edited().map(({ index, text }) => [index, text])),
    speakers: Object.fromEntries(names.map((name, n) => [data.speakers[n], name]).filter(([old, name]) => old !== name)),
  };
}

async function saveVersion() {
  if (editingIndex()) document.activeElement.blur();
  byId("formats").hidePopover();
  const sent = correctionsNow();
  let answer;
  try {
    answer = await fetch(data.library.save, {
      method: "POST",
      headers: { "content-type": "application/json", "x-csrf-token": data.library.csrf_token },
      body: JSON.stringify(sent),
    });
  } catch {
    tell(translated("The library does not answer; nothing is lost here: save again."));
    return;
  }
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    tell(told.detail ?? translated("It could not be saved."));
    return;
  }
  const removed = Object.values(sent.texts).includes("");
  data.library.version = told.version;
  for (const [old, name] of Object.entries(sent.speakers)) data.speakers[data.speakers.indexOf(old)] = name;
  for (const [index, text] of Object.entries(sent.texts)) {
    const sentence = sentences[index];
    data.segments[index].length = 4; // its words' times were those of the text before
    sentence.original = text;
    change(sentence, sentence.text);
  }
  tell(translated("Saved in the library"));
  if (removed) location.reload(); // sentences are counted anew
}

/** For everybody: on the button, where it was pressed, and for screen readers. */
function tell(message) {
  announce(message);
  const button = byId("save").querySelector("span");
  button.textContent = message;
  setTimeout(() => { button.textContent = data.messages.Save ?? "Save"; }, 4000);
}

function setUpLibrary() {
  byId("save-version")?.addEventListener("click", saveVersion);
}
