// Who is enrolled, what is held on each, and how to have it removed.

import { call } from "./api.mjs";
import { button, guarded, h, icon, say } from "./dom.mjs";
import { removeDialog, renameDialog } from "./dialogs.mjs";
import { dropZone } from "./drop.mjs";
import { learnNames, nameField } from "./names.mjs";
import { alike, count, day } from "./words.mjs";
import { formOf, job, titleOf, working } from "./work.mjs";

const PAGE = 50;

/** Build the view in `root`. */
export function people(root) {
  const title = h("h1", { id: "people-title", tabindex: "-1" }, "People");
  const total = h("p", { class: "muted", role: "status" });
  const search = h("input", { type: "search", placeholder: "Part of a name", autocomplete: "off" });
  const list = h("ul", { class: "people", "aria-label": "People enrolled" });
  const progress = h("div", { class: "slot" });
  const notes = h("div", { class: "stack slot" });
  const more = button("Show more", { hidden: true, onclick: guarded(() => load(list.children.length)) });
  let asked = 0;

  async function load(offset = 0) {
    const turn = (asked += 1);
    const answer = await call("GET", "/people", { query: { limit: PAGE, offset, name: search.value.trim() } });
    if (turn !== asked) return; // a later question has been asked meanwhile
    const rows = answer.people.map((person) => row(person, { enrol, changed, say: note }));
    if (offset) list.append(...rows);
    else list.replaceChildren(...rows);
    more.hidden = list.children.length >= answer.total;
    const found = search.value.trim() ? "found" : "enrolled";
    total.textContent = answer.total ? `${count(answer.total, "person", "people")} ${found}` : `Nobody ${found}.`;
  }

  function note(texts, good = true) {
    notes.replaceChildren(...texts.map((text, i) => h("p", { class: `note${good && i === 0 ? " good" : ""}` }, text)));
    say(texts[0]);
  }

  async function changed() {
    await Promise.all([load(), learnNames()]);
  }

  /** Enrol files to a person, given by `fields`. */
  async function enrol(files, fields, who) {
    notes.replaceChildren();
    progress.scrollIntoView({ block: "nearest" });
    const { report } = await working(progress, `Sending ${titleOf(files)}`, (panel) =>
      job(panel, formOf(files, { kind: "enroll", ...fields }), { doing: `Enrolling ${who}` }));
    note(told(report, who));
    await changed();
  }

  const name = nameField();
  const zone = dropZone({
    title: "Enrol somebody", hint: "Pictures or videos of this one person", low: true,
    onFiles: guarded(async (files) => {
      const who = name.value.trim();
      if (!who) {
        name.focus();
        throw new Error("Write the name first, then choose the files.");
      }
      zone.enable(false);
      try {
        await enrol(files, { name: who }, who);
        name.value = "";
      } finally {
        zone.enable(true);
      }
    }),
  });
  let typing;
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(guarded(() => load()), 200);
  });
  root.append(
    title,
    h("div", { class: "panel newcomer" }, h("label", { class: "field" }, "Name", name), zone.element),
    progress, notes,
    h("div", { class: "finder" }, h("label", { class: "field" }, "Search", search), total),
    list, more,
  );
  return { open: guarded(() => load()), clear: () => notes.replaceChildren() };
}

/** What an enrolment did, in sentences. */
function told(report, who) {
  const texts = [];
  if (report.added.length) texts.push(`Enrolled ${report.added.join(", ")} as ${who}: ${count(report.faces, "face")}.`);
  if (report.already.length) texts.push(`Held already: ${report.already.join(", ")}.`);
  return [...texts, ...report.looks_like.map(alike), ...report.refused, ...report.left_out];
}

function row(person, { enrol, changed, say: note }) {
  const held = h("div", { class: "held" });
  const details = h("details", {}, h("summary", {}, "What is held", h("span", { class: "unseen" }, ` on ${person.name}`)), held);
  details.addEventListener("toggle", guarded(async () => {
    if (details.open) held.replaceChildren(...media(await call("GET", `/people/${person.id}`), { changed }));
  }));
  const input = h("input", { type: "file", multiple: true, accept: "image/*,video/*", hidden: true });
  input.addEventListener("change", guarded(async () => {
    const files = [...input.files];
    input.value = "";
    if (files.length) await enrol(files, { person_id: person.id }, person.name);
  }));
  const rename = guarded(async () => {
    const name = await renameDialog(person);
    if (!name) return;
    await call("PATCH", `/people/${person.id}`, { json: { name } });
    note([`${person.name} is called ${name} now.`]);
    await changed();
  });
  const faces = (one) => `${one.name}: ${count(one.faces, "face")}, added ${day(one.added)}`;
  const forget = guarded(async () => {
    const full = await call("GET", `/people/${person.id}`);
    const yes = await removeDialog({
      title: `Forget ${full.name}?`,
      lines: [`the name ${full.name}`, ...full.media.map(faces),
        "every template made of them, and what finished jobs say of this person"],
      warning: "This cannot be undone. The files you sent are not kept here anyway.",
      confirm: "Forget",
    });
    if (!yes) return;
    await call("DELETE", `/people/${person.id}`);
    window.dispatchEvent(new Event("forgotten")); // what other views still show of them goes too
    note([`${full.name} is forgotten.`]);
    await changed();
    document.getElementById("people-title").focus();
  });
  return h(
    "li", { class: "card person", data: { person: person.id } },
    h("header", {}, h("span", { class: "portrait" }, icon("person")),
      h("div", {}, h("h2", {}, person.name),
        h("p", { class: "muted small" },
          `${count(person.media_count, "medium", "media")}, ${count(person.faces, "face")}, changed ${day(person.updated)}`))),
    h("div", { class: "buttons" }, input,
      button("Add", { sign: "add", "aria-label": `Add media to ${person.name}`, onclick: () => input.click() }),
      button("Rename", { sign: "edit", "aria-label": `Rename ${person.name}`, onclick: rename }),
      button("Forget", { sign: "bin", kind: "danger", "aria-label": `Forget ${person.name}`, onclick: forget })),
    details,
  );
}

function media(person, { changed }) {
  if (!person.media.length) return [h("p", { class: "muted" }, "A name, and no media yet.")];
  const remove = (one) => guarded(async () => {
    const yes = await removeDialog({
      title: `Remove ${one.name}?`,
      lines: [`${count(one.faces, "face")} of ${person.name}, added ${day(one.added)}`],
      warning: "The template of this person is made anew from what is left.",
      confirm: "Remove",
    });
    if (!yes) return;
    await call("DELETE", `/people/${person.id}/media/${one.id}`);
    await changed();
  });
  return [h("ul", { class: "media", "aria-label": `Media of ${person.name}` }, person.media.map((one) => h(
    "li", {},
    h("span", { class: "name", title: one.name }, one.name),
    h("span", { class: "muted small" }, `${one.kind}, ${count(one.faces, "face")}, ${day(one.added)}`),
    // The last medium goes with the person only.
    person.media.length > 1 && button("Remove", { "aria-label": `Remove ${one.name}`, kind: "plain danger", onclick: remove(one) }),
  )))];
}
