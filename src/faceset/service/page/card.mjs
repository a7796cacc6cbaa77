// One track: who it is, how sure, which faces that rests on, and a way to enrol it.

import { call } from "./api.mjs";
import { guarded, h, icon } from "./dom.mjs";
import { candidateList, faceStrip, scoreBlock } from "./faces.mjs";
import { learnNames, nameField } from "./names.mjs";
import { alike, count, span } from "./words.mjs";

/** The card. `moving`: of a video; `titled`: says which file it is of; `seek(seconds)` shows that moment. */
export function card(match, { moving, titled, seek }) {
  const known = match.name !== null;
  const best = match.faces.find((face) => face.thumbnail);
  const facts = [titled && match.media, moving && span(match.start, match.end), count(match.face_count, "face")];
  const where = facts.filter(Boolean).join(", ");
  const portrait = best ? h("img", { class: "portrait", src: best.thumbnail, alt: "" }) : h("span", { class: "portrait" }, icon("person"));
  const badge = known ? [icon("yes"), "Recognised"] : [icon("unknown"), "Not enrolled"];
  const onPick = seek && ((face) => seek(face.time));
  return h(
    "article", { class: "card", data: { track: match.track }, "aria-label": `${match.name ?? "Unknown"}, ${where}` },
    h("header", {},
      portrait,
      h("div", {}, h("h3", { tabindex: "-1" }, match.name ?? "Unknown"), h("p", { class: "muted small" }, where)),
      h("span", { class: `badge ${known ? "yes" : "no"}` }, badge)),
    scoreBlock(match),
    candidateList(match),
    h("div", { class: "stack" },
      h("h4", {}, "Faces by weight"),
      faceStrip(match.faces, { left: match.faces_left_out, still: !moving, onPick })),
  );
}

/** Enrol the track of job `id` under a name, with one click where the name is known. */
export function enrolForm(match, id) {
  const known = match.name !== null;
  const field = nameField({ value: match.name ?? "" });
  const press = h("button", { class: `button ${known ? "" : "main"}` }, icon("add"), known ? "Add" : "Enrol");
  const label = h("label", { class: "field" }, known ? "Add these faces to" : "Enrol as", field);
  const form = h("form", { class: "enrol" }, label, press);
  form.addEventListener("submit", guarded(async (event) => {
    event.preventDefault();
    const name = field.value.trim();
    if (!name) {
      field.focus();
      return;
    }
    press.disabled = true;
    try {
      const done = await call("POST", `/jobs/${id}/tracks/${match.track}/enroll`, { json: { name } });
      const texts = told(done);
      texts[0].setAttribute("tabindex", "-1");
      form.replaceWith(...texts);
      texts[0].focus(); // what was pressed is gone; this is read out instead
      await learnNames();
    } finally {
      press.disabled = false;
    }
  }));
  return form;
}

function told({ person, report }) {
  const did = report.added.length ? `Enrolled as ${person.name}.` : `Held of ${person.name} already.`;
  return [
    h("p", { class: "note good" }, `${did} `, h("a", { href: "#people" }, "See people")),
    ...report.looks_like.map((other) => h("p", { class: "note" }, alike(other))),
  ];
}
