// Elements made without parsing HTML: text from files and people is only ever text.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `props`: attributes; `on...` listeners; `data` and `vars` (CSS custom properties) as objects. */
export function h(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** An SVG element. */
export function s(tag, props = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "vars") for (const [key, v] of Object.entries(value)) element.style.setProperty(`--${key}`, v);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** One of the symbols of index.html; it says nothing to screen readers. */
export function icon(name) {
  return s("svg", { class: "icon", "aria-hidden": "true", focusable: "false" }, s("use", { href: `#icon-${name}` }));
}

/** A button that is no submit button. */
export function button(label, { kind = "", sign = null, ...props } = {}) {
  return h("button", { type: "button", class: `button ${kind}`, ...props }, sign && icon(sign), label);
}

/** A button that shows a sign only; its label is for screen readers and as a tip. */
export function sign(name, label, { kind = "plain", ...props } = {}) {
  return h("button", { type: "button", class: `button square ${kind}`, "aria-label": label, title: label, ...props }, icon(name));
}

/** Tell screen readers something that is to be seen on the page anyway. */
export function say(text) {
  document.getElementById("said").textContent = text;
}

/** Show what went wrong until it is dismissed. A cancelled request is no error. */
export function alarm(error) {
  if (error?.name === "AbortError") return;
  console.info(error);
  const text = error?.detail ?? error?.message ?? String(error);
  const box = h("div", { class: "alert", role: "alert" }, h("p", {}, text));
  box.append(sign("close", "Dismiss this message", { onclick: () => box.remove() }));
  const alerts = document.getElementById("alerts");
  for (const old of [...alerts.children]) if (old.textContent === box.textContent) old.remove();
  alerts.prepend(box);
  while (alerts.children.length > 4) alerts.lastChild.remove();
  box.scrollIntoView({ block: "nearest" });
}

/** Run an action of a listener; what it throws is shown. */
export const guarded = (action) => async (...given) => {
  try {
    return await action(...given);
  } catch (error) {
    return alarm(error);
  }
};
