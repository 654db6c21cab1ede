// The recording at a glance: loudness, chunk seams, silence, gaps, matches, and the position in it.

const wave = byId("wave");
const canvas = wave.querySelector("canvas");
const levels = Uint8Array.from(atob(data.levels), (char) => char.charCodeAt(0));
let unplayed = null; // the whole waveform, drawn once for each size and theme
let played = null;
let drawnAt = 0;

/** Colours as the theme resolves them: a canvas does not know light-dark(). */
function colours() {
  const probe = element("span");
  document.body.append(probe);
  const result = {};
  for (const name of ["wave", "accent", "soft", "doubt", "found-now", "ink", "panel"]) {
    probe.style.color = `var(--${name})`;
    result[name] = getComputedStyle(probe).color;
  }
  result.speakers = speakerNames.map((_, n) => {
    probe.style.color = speakerColour(n);
    return getComputedStyle(probe).color;
  });
  probe.remove();
  return result;
}

function layer(width, height, scale, paint) {
  const made = document.createElement("canvas");
  made.width = width * scale;
  made.height = height * scale;
  const context = made.getContext("2d");
  context.scale(scale, scale);
  paint(context);
  return made;
}

/** Draw everything that does not move. */
function drawWaveform() {
  const { width, height } = wave.getBoundingClientRect();
  if (!width || !data.duration) return;
  const scale = devicePixelRatio || 1;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const colour = colours();
  unplayed = layer(width, height, scale, (context) => paintAll(context, width, height, colour, colour.wave));
  played = layer(width, height, scale, (context) => paintAll(context, width, height, colour, colour.accent));
  drawPosition(drawnAt);
}

function paintAll(context, width, height, colour, bars) {
  const x = (seconds) => (seconds / data.duration) * width;
  const base = height - 5 - 4 * (speakerNames.length > 0); // speakers and silence are drawn beneath
  context.fillStyle = bars;
  const columns = Math.max(1, Math.floor(width / 3));
  for (let column = 0; column < columns && levels.length; column += 1) {
    const from = (column / columns) * data.duration;
    const to = ((column + 1) / columns) * data.duration;
    const first = Math.floor((from / data.levelsSeconds) * levels.length);
    const last = Math.max(first + 1, Math.floor((to / data.levelsSeconds) * levels.length));
    let loudest = 0;
    for (let n = first; n < last && n < levels.length; n += 1) loudest = Math.max(loudest, levels[n]);
    const tall = Math.max(1.5, ((loudest / 255) ** 2) * (base - 8));
    context.fillRect(column * 3, (base + 4 - tall) / 2, 2, tall);
  }
  context.fillStyle = colour.wave;
  context.globalAlpha = 0.75;
  for (const [start, end] of data.silences) context.fillRect(x(start), height - 3, Math.max(1, x(end) - x(start)), 3);
  context.globalAlpha = 1;
  if (speakerNames.length) for (const { speaker, start, end } of sentences) {
    if (speaker < 0) continue;
    context.fillStyle = colour.speakers[speaker];
    context.fillRect(x(start), height - 8, Math.max(1, x(end) - x(start)), 4);
  }
  for (const [start, end] of data.gaps) paintGap(context, x(start), Math.max(2, x(end) - x(start)), height, colour);
  context.strokeStyle = colour.soft;
  context.setLineDash([3, 3]);
  context.beginPath();
  for (const seam of data.seams) {
    context.moveTo(Math.round(x(seam)) + 0.5, 0);
    context.lineTo(Math.round(x(seam)) + 0.5, height);
  }
  context.stroke();
  context.setLineDash([]);
  context.fillStyle = colour["found-now"];
  for (const { sentence } of matches) context.fillRect(x(sentence.start) - 1, 0, 2.5, 6);
}

/** Hatched, so that it does not depend on seeing the colour. */
function paintGap(context, left, wide, height, colour) {
  context.save();
  context.beginPath();
  context.rect(left, 0, wide, height);
  context.clip();
  context.strokeStyle = colour.doubt;
  context.beginPath();
  for (let at = left - height; at < left + wide; at += 6) {
    context.moveTo(at, height);
    context.lineTo(at + height, 0);
  }
  context.stroke();
  context.restore();
}

/** Draw the played part over the rest, and tell where it is. */
function drawPosition(seconds) {
  drawnAt = seconds;
  if (!unplayed) return;
  const context = canvas.getContext("2d");
  const at = Math.round((seconds / data.duration) * canvas.width);
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.drawImage(unplayed, 0, 0);
  if (at > 0) context.drawImage(played, 0, 0, at, canvas.height, 0, 0, at, canvas.height);
  context.fillStyle = getComputedStyle(byId("clock")).color;
  context.fillRect(at - devicePixelRatio, 0, 2 * devicePixelRatio, canvas.height);
  const whole = Math.floor(seconds);
  if (wave.getAttribute("aria-valuenow") === String(whole)) return;
  wave.setAttribute("aria-valuenow", whole);
  wave.setAttribute("aria-valuetext", translated("{time} of {length}", { time: clockTime(seconds), length: clockTime(data.duration) }));
}

function setUpWaveform() {
  wave.setAttribute("aria-valuemax", Math.floor(data.duration));
  const seconds = (event) => {
    const { left, width } = wave.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - left) / width)) * data.duration;
  };
  const pointed = byId("pointed");
  wave.addEventListener("pointerdown", (event) => {
    wave.setPointerCapture(event.pointerId);
    follow(true);
    seek(seconds(event));
  });
  wave.addEventListener("pointermove", (event) => {
    if (event.buttons) seek(seconds(event));
    pointed.hidden = false;
    pointed.textContent = clockTime(seconds(event));
    pointed.style.left = `${(seconds(event) / data.duration) * 100}%`;
  });
  wave.addEventListener("pointerleave", () => { pointed.hidden = true; });
  wave.addEventListener("keydown", (event) => {
    const to = {
      ArrowLeft: position() - SKIP_S, ArrowDown: position() - SKIP_S,
      ArrowRight: position() + SKIP_S, ArrowUp: position() + SKIP_S,
      PageDown: position() - 60, PageUp: position() + 60, Home: 0, End: data.duration,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    seek(to);
  });
  new ResizeObserver(drawWaveform).observe(wave);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawWaveform);
}
