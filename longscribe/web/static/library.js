// The library: uploads that go on after a lost connection (tus-js-client), and states as they change.
"use strict";

const byId = (id) => document.getElementById(id);
const PART_BYTES = 50_000_000; // a request; proxies limit them
const RETRY_MS = [0, 1000, 3000, 5000, 10_000, 20_000, 30_000, 60_000, 60_000, 60_000];

function element(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

// ------------------------------------------------------------------------------------- uploads

let waiting = []; // uploads one after the other: each then is as fast as can be
let isUploading = false;
let arrived = 0;

function add(files) {
  const form = byId("add");
  byId("uploads").hidden = false;
  for (const file of files) {
    const item = element("li", "");
    const state = element("span", form.dataset.waiting, "state");
    const bar = document.createElement("progress");
    bar.max = 100;
    bar.value = 0;
    bar.setAttribute("aria-label", file.name);
    item.append(element("span", file.name), state, bar);
    byId("uploads").append(item);
    if (file.size > Number(form.dataset.largest)) {
      state.textContent = form.dataset.tooLarge;
      state.classList.add("state-failed");
      continue;
    }
    waiting.push({ file, state, bar });
  }
  uploadNext();
}

function uploadNext() {
  if (isUploading) return;
  const one = waiting.shift();
  if (!one) {
    if (arrived) location.assign("/");
    return;
  }
  isUploading = true;
  const form = byId("add");
  const { file, state, bar } = one;
  const parameters = { model: byId("model").value };
  for (const name of ["language", "speakers"]) {
    if (byId(name).value) parameters[name] = byId(name).value;
  }
  const over = (text, failed) => {
    state.textContent = text;
    state.classList.toggle("state-failed", failed);
    byId("said").textContent = `${file.name}: ${text}`;
    isUploading = false;
    uploadNext();
  };
  const upload = new tus.Upload(file, {
    endpoint: "/uploads",
    chunkSize: PART_BYTES,
    retryDelays: RETRY_MS,
    headers: { "x-csrf-token": form.dataset.csrf },
    metadata: {
      filename: file.name,
      filetype: file.type || "application/octet-stream", // asked for where an upload goes on
      title: file.name,
      parameters: JSON.stringify(parameters),
    },
    removeFingerprintOnSuccess: true,
    onProgress(sent, total) {
      bar.value = (100 * sent) / total;
      state.textContent = `${form.dataset.uploading}, ${Math.floor(bar.value)} %`;
    },
    onShouldRetry(error) {
      const status = error.originalResponse?.getStatus() ?? 0;
      const again = !status || status === 409 || status === 423 || status === 425 || status === 429 || status >= 500;
      if (again) state.textContent = form.dataset.again;
      return again;
    },
    onError(error) {
      let told = "";
      try { told = JSON.parse(error.originalResponse.getBody()).detail; } catch { /* no sentence came */ }
      over(told || form.dataset.failed, true);
    },
    onSuccess() {
      arrived += 1;
      over(form.dataset.sent, false);
    },
  });
  // What broke off in an earlier visit goes on where it was.
  upload.findPreviousUploads().then((earlier) => {
    if (earlier.length) upload.resumeFromPreviousUpload(earlier[0]);
    upload.start();
  });
}

function setUpUploads() {
  const drop = byId("drop");
  byId("files").addEventListener("change", ({ target }) => {
    add([...target.files]);
    target.value = "";
  });
  for (const name of ["dragenter", "dragover"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  for (const name of ["dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.remove("over");
    });
  }
  document.addEventListener("drop", (event) => add([...event.dataTransfer.files]));
  addEventListener("beforeunload", (event) => {
    if (isUploading) event.preventDefault(); // the browser asks whether to leave
  });
}

// --------------------------------------------------------------------------------- live states

function follow() {
  const items = [...document.querySelectorAll("[data-live]")];
  if (!items.length) return;
  const source = new EventSource(`/library/events?ids=${items.map((item) => item.dataset.id).join(",")}`);
  source.addEventListener("recording", ({ data }) => {
    const told = JSON.parse(data);
    const item = items.find((one) => one.dataset.id === told.id);
    const state = item.querySelector(".state");
    state.textContent = told.shown;
    state.className = `state state-${told.state}`;
    const bar = item.querySelector("progress");
    bar.value = told.percent;
    bar.hidden = told.state !== "running";
    if (told.is_over && "reload" in item.dataset) location.reload();
  });
  source.addEventListener("over", () => source.close());
}

for (const time of document.querySelectorAll("time[data-at]")) {
  const at = new Date(1000 * Number(time.dataset.at));
  time.dateTime = at.toISOString();
  time.textContent = at.toLocaleString(document.documentElement.lang);
}
if (byId("add")) setUpUploads();
follow();
