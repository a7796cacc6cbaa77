// The names offered while a name is typed.

import { call } from "./api.mjs";
import { h } from "./dom.mjs";

/** A field for a person's name. */
export const nameField = (props = {}) =>
  h("input", { type: "text", required: true, maxlength: 200, list: "people-names", autocomplete: "off", ...props });

/** Ask for them anew; a gallery of very many people offers the first thousand. */
export async function learnNames() {
  const { people } = await call("GET", "/people", { query: { limit: 1000 } });
  const names = [...new Set(people.map((person) => person.name))].sort((a, b) => a.localeCompare(b));
  document.getElementById("people-names").replaceChildren(...names.map((name) => h("option", { value: name })));
}
