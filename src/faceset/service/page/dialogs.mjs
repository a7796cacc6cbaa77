// Questions that stop everything else: a key, a name, whether to forget.

import { button, h } from "./dom.mjs";

let number = 0;

/** Show a dialog and wait; what `read()` gives when it was confirmed, else null. */
function ask({ title, body, confirm, kind = "main", read = () => true }) {
  const id = `dialog-${(number += 1)}`;
  return new Promise((resolve) => {
    const cancel = button("Cancel", { onclick: () => dialog.close() });
    const form = h("form", { method: "dialog" },
      h("h2", { id }, title), body,
      h("div", { class: "buttons" }, cancel, h("button", { class: `button ${kind}`, value: "yes" }, confirm)));
    const dialog = h("dialog", { "aria-labelledby": id }, form);
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "yes" ? read() : null);
      dialog.remove();
    });
    document.body.append(dialog);
    dialog.showModal();
    (form.querySelector("input") ?? cancel).focus();
  });
}

function field(label, props) {
  const input = h("input", { required: true, autocomplete: "off", ...props });
  return { input, element: h("label", { class: "field" }, label, input) };
}

/** The API key, or null. `wrong`: one was given and refused. */
export function keyDialog(wrong) {
  const key = field("API key", { type: "password", maxlength: 500, spellcheck: "false" });
  const text = wrong
    ? "The service does not know this key. Try another one."
    : "Whoever runs this service makes one with “faceset keys create”. It is forgotten when this tab is closed.";
  return ask({
    title: "Key needed",
    body: [h("p", { class: wrong ? "note" : "muted" }, text), key.element],
    confirm: "Continue",
    read: () => key.input.value.trim() || null,
  });
}

/** A new name, or null. */
export async function renameDialog(person) {
  const name = field("Name", { type: "text", maxlength: 200, value: person.name });
  const given = await ask({
    title: `Rename ${person.name}`, body: name.element, confirm: "Rename", read: () => name.input.value.trim(),
  });
  return given && given !== person.name ? given : null;
}

/** Whether to remove what `lines` name. */
export function removeDialog({ title, lines, warning, confirm }) {
  return ask({
    title, confirm, kind: "danger",
    body: [
      h("p", {}, "This will be removed:"),
      h("ul", {}, lines.map((line) => h("li", {}, line))),
      h("p", { class: "muted" }, warning),
    ],
  });
}
