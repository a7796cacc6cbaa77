// Something that takes time: what is done, how far it is, and a way to stop it.

import { call, follow, send } from "./api.mjs";
import { button, guarded, h, say } from "./dom.mjs";

/** A panel in `place` while `action(panel)` runs. `panel`: tell(text), at(fraction|null), signal, job. */
export async function working(place, text, action) {
  const abort = new AbortController();
  const label = h("span", {}, text);
  const share = h("span", { class: "muted number" });
  const bar = h("progress", { max: 1, "aria-label": text });
  const panel = { signal: abort.signal, job: null };
  const stop = button("Cancel", {
    sign: "close",
    onclick: guarded(async () => {
      stop.disabled = true;
      if (panel.job) await call("DELETE", `/jobs/${panel.job}`);
      else abort.abort();
    }),
  });
  let heard = "";
  panel.tell = (now) => {
    label.textContent = now;
    bar.setAttribute("aria-label", now);
    if (now !== heard) say((heard = now));
  };
  panel.at = (fraction) => {
    if (fraction === null) bar.removeAttribute("value");
    else bar.value = fraction;
    share.textContent = fraction === null ? "" : `${Math.round(100 * fraction)} %`;
  };
  const box = h("div", { class: "work" }, h("div", { class: "row" }, h("span", {}, label, " ", share), stop), bar);
  place.append(box);
  place.setAttribute("aria-busy", "true");
  say((heard = text));
  try {
    return await action(panel);
  } catch (error) {
    if (error?.name === "AbortError") say("Cancelled.");
    throw error;
  } finally {
    box.remove();
    place.removeAttribute("aria-busy");
  }
}

/** Send files as a job and follow it to its end. */
export async function job(panel, form, { doing, onTrack = () => {}, onStart = () => {} }) {
  const { id } = await send("/jobs", form, {
    signal: panel.signal,
    onProgress: (sent) => (sent < 1 ? panel.at(sent) : panel.at(null)),
  });
  onStart(id);
  return resume(panel, id, { doing, onTrack });
}

/** Follow a job that runs already. */
export function resume(panel, id, { doing, onTrack = () => {} }) {
  panel.job = id;
  panel.tell("Waiting for its turn");
  panel.at(null);
  return follow(id, {
    onEvent(event, data) {
      if (event === "track") onTrack(data);
      if (event !== "progress" || data.state === "queued") return;
      panel.tell(doing);
      panel.at(data.progress > 0 ? data.progress : null);
    },
  });
}

/** Form data of files and further fields. */
export function formOf(files, fields = {}) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) if (value !== null) form.append(name, value);
  for (const file of files) form.append("files", file, file.name);
  return form;
}

/** "clip.mp4", or "3 files". */
export const titleOf = (files) => (files.length === 1 ? files[0].name : `${files.length} files`);
