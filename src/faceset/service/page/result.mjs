// What was found in an upload: a time line for each video, and a card for each track. It grows while work goes on.

import { card, enrolForm } from "./card.mjs";
import { h } from "./dom.mjs";
import { timeLine } from "./timeline.mjs";
import { count } from "./words.mjs";

const moves = (match) => match.end > match.start;

/** "Found: Eileen Collins and 1 unknown track." */
export function summary(matches) {
  const names = [...new Set(matches.map((match) => match.name).filter((name) => name !== null))];
  const unknown = matches.filter((match) => match.name === null);
  if (unknown.length) names.push(count(unknown.length, unknown.some(moves) ? "unknown track" : "unknown face"));
  if (!names.length) return "Nobody was found.";
  return `Found: ${names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names[0]}.`;
}

/** Everything found in `files`: `element`, `add(match)` while it is worked on, `finish(answer, id)`, `close()`. */
export class Result {
  #files;
  #parts = new Map();
  #shown = new Map(); // track -> its card

  constructor(files) {
    this.#files = files;
    this.element = h("div", { class: "stack wide" });
  }

  add(match, draw = true) {
    if (this.#shown.has(match.track)) return;
    const key = moves(match) ? match.media : ""; // all stills are one part
    if (!this.#parts.has(key)) {
      const part = new Part(key, key && this.#files.find((file) => file.name === key));
      this.#parts.set(key, part);
      this.element.append(part.element);
    }
    this.#shown.set(match.track, this.#parts.get(key).add(match, draw));
  }

  /** All is known now, and each track can be enrolled. */
  finish(answer, id) {
    for (const match of answer.matches) this.add(match, false);
    for (const part of this.#parts.values()) part.draw();
    for (const match of answer.matches) this.#shown.get(match.track).append(enrolForm(match, id));
    this.element.prepend(...answer.refused.map((text) => h("p", { class: "note" }, text)));
    const nobody = "No face was found. Try a clearer or larger picture, or a longer clip.";
    if (!answer.matches.length) this.element.append(h("p", { class: "note" }, nobody));
  }

  /** Let go of the files. */
  close() {
    for (const part of this.#parts.values()) part.film?.close();
    this.element.remove();
  }
}

/** One video, or all stills. */
class Part {
  #matches = [];
  #medium;
  #title = h("h2", { class: "file-name" });
  #said = h("p", { class: "muted" });
  #panel = h("div", { class: "panel" });
  #cards = h("div", { class: "cards" });
  #line = null;

  constructor(medium, file) {
    this.#medium = medium;
    this.film = file ? new Film(file) : null;
    this.element = h("section", { class: "medium" }, h("div", {}, this.#title, this.#said), medium && this.#panel, this.#cards);
    if (!this.film) return;
    this.#panel.classList.add("with-film");
    this.#panel.append(this.film.element);
    this.film.element.addEventListener("loadedmetadata", () => this.draw());
    this.film.element.addEventListener("timeupdate", () => this.#line?.at(this.film.element.currentTime));
    this.film.element.addEventListener("error", () => this.#withoutFilm());
  }

  add(match, draw) {
    const pick = this.film ? (seconds) => this.film.seek(seconds) : null;
    const made = card(match, { seek: moves(match) ? pick : null, moving: moves(match), titled: !this.#medium });
    this.#matches.push(match);
    this.#cards.append(made);
    if (draw) this.draw();
    return made;
  }

  draw() {
    const pictures = new Set(this.#matches.map((match) => match.media));
    this.#title.textContent = this.#medium || (pictures.size === 1 ? [...pictures][0] : count(pictures.size, "picture"));
    this.element.setAttribute("aria-label", this.#title.textContent);
    this.#said.textContent = summary(this.#matches);
    if (!this.#medium || !this.#matches.length) return;
    const focused = this.#line?.element.contains(document.activeElement) ? document.activeElement.dataset.track : null;
    const line = timeLine(this.#medium, this.#matches, { length: this.film?.length ?? 0, onPick: (match) => this.#go(match) });
    if (this.#line) this.#line.element.replaceWith(line.element);
    else this.#panel.append(line.element);
    this.#line = line;
    if (focused) line.element.querySelector(`[data-track="${focused}"]`)?.focus();
  }

  #go(match) {
    const chosen = this.#cards.querySelector(`[data-track="${match.track}"]`);
    chosen.scrollIntoView({ block: "start" });
    chosen.querySelector("h3").focus({ preventScroll: true });
    this.film?.seek(match.start);
  }

  #withoutFilm() {
    this.film.element.hidden = true;
    this.#panel.classList.remove("with-film");
  }
}

/** The video itself, as far as the browser can play it. */
class Film {
  #url;

  constructor(file) {
    this.#url = URL.createObjectURL(file);
    this.element = h("video", {
      src: this.#url, controls: true, muted: true, playsinline: true, preload: "metadata", "aria-label": file.name,
    });
  }

  get length() {
    return Number.isFinite(this.element.duration) ? this.element.duration : 0;
  }

  seek(seconds) {
    this.element.currentTime = seconds;
  }

  close() {
    URL.revokeObjectURL(this.#url);
  }
}
