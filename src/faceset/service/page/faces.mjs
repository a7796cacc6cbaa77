// Faces with their weights, and scores beside their threshold.

import { button, h } from "./dom.mjs";
import { clock, count, digits, meaning } from "./words.mjs";

const FIRST = 12;

/** Faces as they come (heaviest first), each with its weight in figures and as a bar. `onPick(face)` is optional. */
export function faceStrip(faces, { left = 0, still = false, onPick = null } = {}) {
  const most = Math.max(...faces.map((face) => face.weight), 1e-12);
  const items = faces.map((face) => faceItem(face, most, still, onPick));
  const list = h("ol", { class: "faces", "aria-label": "Faces, the one that counts most first" }, items);
  const more = items.length > FIRST + 2 && button(`Show all ${items.length}`, {
    kind: "small",
    onclick() {
      const next = items[FIRST];
      for (const item of items) item.hidden = false;
      more.remove();
      (next.querySelector("button") ?? next).focus();
    },
  });
  if (more) for (const item of items.slice(FIRST)) item.hidden = true;
  const rest = left > 0 && h("p", { class: "muted small" }, `${count(left, "more face")} not shown here.`);
  return h("div", { class: "stack" }, list, more, rest);
}

function faceItem(face, most, still, onPick) {
  const shown = digits(face.weight);
  const when = still ? face.media : clock(face.time);
  const picture = face.thumbnail
    ? h("img", { src: face.thumbnail, alt: `Face, ${when}` })
    : h("span", { class: "no-picture" }, "no picture");
  const inside = [
    h("span", { class: "picture" }, picture),
    h("span", { class: "weight number" }, h("span", { class: "unseen" }, "weight "), shown),
    h("span", { class: "weight-bar", "aria-hidden": "true" }, h("span", { vars: { share: face.weight / most } })),
    h("span", { class: "when muted" }, when),
  ];
  const told = { class: "face", title: `weight ${face.weight}, ${when}`, data: { weight: face.weight, time: face.time } };
  if (!onPick) return h("li", { tabindex: "-1" }, h("span", told, inside));
  return h("li", {}, h("button", { type: "button", ...told, onclick: () => onPick(face) }, inside));
}

/** A score on a scale with the threshold in its middle, so that close calls can be told apart. */
export function scoreScale(score, threshold, { label = "Score" } = {}) {
  const low = 2 * threshold - 1;
  const place = (value) => Math.min(1, Math.max(0, (value - low) / (1 - low || 1)));
  const accepted = score >= threshold;
  return h(
    "div",
    { class: `scale ${accepted ? "yes" : "no"}`, role: "img", data: { score, threshold },
      "aria-label": `${label} ${digits(score)}, ${accepted ? "at or above" : "below"} the threshold ${digits(threshold)}` },
    h("span", { class: "fill", vars: { at: place(score) } }),
    h("span", { class: "mark" }),
  );
}

/** The score in figures, its scale, and what the threshold stands for. */
export function scoreBlock(answer) {
  if (answer.score === null) return h("p", { class: "muted" }, "Nobody is enrolled yet, so there is nobody to compare with.");
  const low = 2 * answer.threshold - 1;
  return h(
    "div",
    { class: "score" },
    h("p", {}, "Score ", h("strong", { class: "number", title: String(answer.score) }, digits(answer.score)),
      h("span", { class: "muted" }, " of 1, accepted from "),
      h("span", { class: "number", title: String(answer.threshold) }, digits(answer.threshold))),
    scoreScale(answer.score, answer.threshold),
    h("p", { class: "ends muted small number", "aria-hidden": "true" },
      h("span", {}, low.toFixed(2)), h("span", {}, "threshold"), h("span", {}, "1.00")),
    h("p", { class: "muted small" }, `The threshold: ${meaning(answer)}.`),
  );
}

/** The best candidates of a match with bars; the one that was taken is said to be. */
export function candidateList(match) {
  if (!match.candidates.length) return null;
  return h(
    "div",
    { class: "stack" },
    h("h4", {}, "Best matches"),
    h("ol", { class: "candidates" }, match.candidates.map((one) => h(
      "li", { data: { score: one.score } },
      h("span", { class: "name" }, one.name),
      scoreScale(one.score, match.threshold, { label: `${one.name}: score` }),
      h("span", { class: "number", title: String(one.score) }, digits(one.score)),
    ))),
  );
}
