// Who speaks: names in colours, and renaming, which changes them everywhere: on the page, in a search,
// in what is saved. A sentence keeps the number of its speaker; names are looked up.

// Hues far apart; lightness is set by the theme so that names keep their contrast.
const SPEAKER_HUES = [255, 25, 145, 305, 75, 195, 340, 110];
const speakerNames = [...data.speakers]; // as they stand
const speakerBar = byId("speakers");

const speakerColour = (n) => {
  const hue = SPEAKER_HUES[n % SPEAKER_HUES.length];
  return `light-dark(oklch(0.45 0.13 ${hue}), oklch(0.8 0.1 ${hue}))`;
};

/** Who says a sentence, as the name stands; "" where that is not known. */
const speakerOf = (sentence) => speakerNames[sentence.speaker] ?? "";

/** A name to click; `tabIndex` is -1 where there are too many for a tab stop each. */
function speakerButton(n, tabIndex) {
  const button = element("button", "speaker", speakerNames[n]);
  button.type = "button";
  button.dataset.speaker = n;
  button.tabIndex = tabIndex;
  button.title = translated("Rename (everywhere)");
  button.style.color = speakerColour(n);
  return button;
}

/** All speakers below the title: each with the time of what is said, and a way to find it. */
function showSpeakers() {
  const seconds = speakerNames.map(() => 0);
  for (const { speaker, start, end } of sentences) if (speaker >= 0) seconds[speaker] += end - start;
  speakerNames.forEach((name, n) => {
    const item = element("li");
    const find = element("button", "find", clockTime(Math.round(seconds[n])));
    find.type = "button";
    find.dataset.find = n;
    item.append(speakerButton(n, 0), find);
    speakerBar.append(item);
  });
  nameFinders();
  speakerBar.hidden = !speakerNames.length;
}

function nameFinders() {
  for (const find of speakerBar.querySelectorAll("[data-find]")) {
    const told = translated("Find what {name} says", { name: speakerNames[find.dataset.find] });
    find.title = told;
    find.setAttribute("aria-label", `${told}: ${find.textContent}`);
  }
}

const isRenamed = () => speakerNames.some((name, n) => name !== data.speakers[n]);

function rename(n, name) {
  speakerNames[n] = name.replace(/\s+/g, " ").trim() || data.speakers[n];
  for (const button of document.querySelectorAll(`.speaker[data-speaker="${n}"]`)) button.textContent = speakerNames[n];
  nameFinders();
  showWhetherEdited();
  if (byId("query").value) search(byId("query").value);
}

/** A field in the place of a name; Enter or a click elsewhere takes what is in it, Escape does not. */
function startRenaming(button) {
  const n = Number(button.dataset.speaker);
  const field = element("input", "naming");
  field.value = speakerNames[n];
  field.setAttribute("aria-label", translated("Name of {name}", { name: speakerNames[n] }));
  field.style.color = speakerColour(n);
  let isOver = false;
  const end = (takes) => {
    if (isOver) return; // removing it takes its focus, which would end it again
    isOver = true;
    field.replaceWith(button);
    if (takes) rename(n, field.value);
  };
  field.addEventListener("blur", () => end(true));
  field.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.isComposing || !["Enter", "Escape"].includes(event.key)) return;
    event.preventDefault();
    end(event.key === "Enter");
    button.focus();
  });
  button.replaceWith(field);
  field.select();
}

function setUpSpeakers() {
  document.addEventListener("click", ({ target }) => {
    const name = target.closest?.(".speaker");
    if (name) startRenaming(name);
    const find = target.closest?.("[data-find]");
    if (!find) return;
    byId("query").value = `${speakerNames[find.dataset.find]}: `;
    search(byId("query").value);
    step(1);
  });
}
