// Starts the page: views by the part after #, the gallery, the key.

import { call, session } from "./api.mjs";
import { compare } from "./compare.mjs";
import { keyDialog } from "./dialogs.mjs";
import { alarm, guarded, h } from "./dom.mjs";
import { guardPage } from "./drop.mjs";
import { look } from "./look.mjs";
import { learnNames } from "./names.mjs";
import { people } from "./people.mjs";

const GALLERY = "faceset-gallery";
const TITLES = { look: "Look", people: "People", compare: "Compare" };

session.askKey = keyDialog;
session.gallery = sessionStorage.getItem(GALLERY) ?? session.gallery;
guardPage();
const section = (name) => document.getElementById(`view-${name}`);
const views = { look: look(section("look")), people: people(section("people")), compare: compare(section("compare")) };

/** Show the view that the address names. `moved`: by the reader, who is taken to its heading. */
function show({ moved = false, open = true } = {}) {
  const asked = location.hash.slice(1);
  const name = asked in views ? asked : "look";
  if (asked === "main") return; // the link that skips to the content
  for (const each of Object.keys(views)) section(each).hidden = each !== name;
  for (const link of document.querySelectorAll(".top nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${TITLES[name]} – faceset`;
  if (open) views[name].open?.();
  if (moved) {
    window.scrollTo(0, 0);
    section(name).querySelector("h1").focus({ preventScroll: true });
  }
}

async function startGalleries() {
  let names;
  try {
    const { galleries } = await call("GET", "/galleries");
    names = galleries.map((one) => one.name);
    await learnNamesOf(names);
  } catch (error) {
    alarm(error);
    return;
  }
  const chooser = document.getElementById("gallery");
  chooser.replaceChildren(...names.map((name) => h("option", { value: name, selected: name === session.gallery }, name)));
  document.getElementById("gallery-label").hidden = names.length < 2;
  chooser.addEventListener("change", guarded(async () => {
    session.gallery = chooser.value;
    sessionStorage.setItem(GALLERY, session.gallery);
    for (const view of Object.values(views)) view.clear?.();
    await learnNames();
    show();
  }));
}

async function learnNamesOf(names) {
  if (!names.includes(session.gallery)) session.gallery = names[0] ?? "default";
  await learnNames();
}

window.addEventListener("forgotten", () => {
  views.look.clear();
  views.compare.clear();
});
show({ open: false }); // something to see while the first answer, or the key, is waited for
await startGalleries();
window.addEventListener("hashchange", () => show({ moved: true }));
show();
