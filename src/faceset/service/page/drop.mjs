// A place to drop files on that is a file button too.

import { alarm, h, icon, sign } from "./dom.mjs";
import { count } from "./words.mjs";

/** A drop zone; `onFiles(files)` gets what was dropped or chosen, never an empty list. */
export function dropZone({ title, hint = "", low = false, onFiles }) {
  const input = h("input", { type: "file", multiple: true, accept: "image/*,video/*", class: "unseen" });
  const zone = h(
    "label",
    { class: `drop${low ? " low" : ""}` },
    input,
    icon("upload"),
    h("strong", {}, title),
    h("span", {}, "Drop files here or ", h("u", {}, "choose files")),
    hint && h("span", { class: "muted small" }, hint),
  );
  const take = (files) => {
    if (files.length && !input.disabled) onFiles(files);
  };
  input.addEventListener("change", () => {
    const files = [...input.files];
    input.value = ""; // so that choosing the same file again is heard
    take(files);
  });
  let depth = 0; // dragenter and dragleave come for every child too
  const mark = (change) => {
    depth = Math.max(0, depth + change);
    zone.classList.toggle("over", depth > 0);
  };
  zone.addEventListener("dragenter", () => mark(1));
  zone.addEventListener("dragleave", () => mark(-1));
  zone.addEventListener("dragover", (event) => event.preventDefault());
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    mark(-depth);
    const files = [...event.dataTransfer.files];
    if (files.length) take(files);
    else alarm({ detail: "Only files can be dropped here. To use a picture of another page, save it as a file first." });
  });
  const enable = (yes) => {
    input.disabled = !yes;
    zone.classList.toggle("off", !yes);
  };
  return { element: zone, input, enable };
}

/** A drop zone that gathers files until they are used; `onChange(files)`. */
export function fileSet({ title, onChange }) {
  let files = [];
  const list = h("ul", { class: "files" });
  const set = (next) => {
    files = next;
    list.replaceChildren(...files.map((file) => h(
      "li", {}, icon("file"), h("span", { class: "name", title: file.name }, file.name),
      sign("close", `Take ${file.name} away`, { onclick: () => set(files.filter((other) => other !== file)) }),
    )));
    list.setAttribute("aria-label", `${title}: ${count(files.length, "file")}`);
    onChange(files);
  };
  const zone = dropZone({ title, hint: "All of one person", low: true, onFiles: (more) => set([...files, ...more]) });
  return { element: h("div", { class: "stack" }, zone.element, list), get files() { return files; }, enable: zone.enable };
}

/** Files dropped beside a zone would replace the page: the browser would open them. */
export function guardPage() {
  for (const name of ["dragover", "drop"]) window.addEventListener(name, (event) => event.preventDefault());
}
