// Two sets side by side: the same person or not, and which faces the answer rests on.

import { guarded, h, icon, say } from "./dom.mjs";
import { fileSet } from "./drop.mjs";
import { faceStrip, scoreBlock } from "./faces.mjs";
import { count, digits } from "./words.mjs";
import { job, working } from "./work.mjs";

/** Build the view in `root`. */
export function compare(root) {
  const go = h("button", { type: "submit", class: "button main", disabled: true }, "Compare");
  const changed = () => { go.disabled = !(first.files.length && second.files.length); };
  const first = fileSet({ title: "First set", onChange: changed });
  const second = fileSet({ title: "Second set", onChange: changed });
  const progress = h("div", { class: "slot" });
  const found = h("div", { class: "found slot" });
  const sets = h("div", { class: "pair" }, first.element, second.element);
  const form = h("form", { class: "stack" }, sets, h("div", { class: "buttons" }, go));
  form.addEventListener("submit", guarded(async (event) => {
    event.preventDefault();
    const data = new FormData();
    data.append("kind", "verify");
    for (const file of first.files) data.append("a", file, file.name);
    for (const file of second.files) data.append("b", file, file.name);
    found.replaceChildren();
    go.disabled = true;
    try {
      const doing = "Comparing the two sets";
      const answer = await working(progress, doing, (panel) => job(panel, data, { doing }));
      found.replaceChildren(...shown(answer));
      found.querySelector("h2").focus();
    } finally {
      changed();
    }
  }));
  root.append(
    h("h1", { id: "compare-title", tabindex: "-1" }, "The same person?"),
    h("p", { class: "lead" }, "Give two sets of one person each: a video, a picture, or several of them. Nothing of it is kept."),
    form, progress, found,
  );
  return { clear: () => found.replaceChildren() };
}

function shown(answer) {
  const words = answer.same ? "The same person" : "Two different people";
  say(`${words}.`);
  return [
    h("div", { class: "panel decision", data: { same: answer.same, score: answer.score } },
      h("h2", { tabindex: "-1", class: answer.same ? "yes" : "no" }, icon(answer.same ? "yes" : "no"), words),
      scoreBlock(answer)),
    ...answer.left_out.map((text) => h("p", { class: "note" }, text)),
    h("div", { class: "pair" }, side("First set", answer.a), side("Second set", answer.b)),
  ];
}

function side(title, { faces, face_count: total, consistency, faces_left_out: left }) {
  const still = faces.every((face) => face.time === 0);
  return h(
    "section", { class: "card", "aria-label": title },
    h("h3", {}, title),
    h("p", { class: "muted small" }, `${count(total, "face")}, which agree with each other to `,
      h("span", { class: "number", title: String(consistency) }, digits(consistency)), " of 1"),
    faceStrip(faces, { left, still }),
  );
}
