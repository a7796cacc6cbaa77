"""What can be checked by hand of a page: names of controls, headings, contrast, sizes. Runs in the browser."""

from __future__ import annotations

AUDIT = r"""
() => {
  const wrong = [];
  const seen = (e) => {
    const box = e.getBoundingClientRect();
    return box.width > 0 && box.height > 0 && e.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  };
  const kind = (e) => `${e.tagName.toLowerCase()}.${e.className?.baseVal ?? e.className}`;
  const says = (e) => `${kind(e)} "${e.textContent.trim().slice(0, 30)}"`;
  const nameOf = (e) => {
    if (e.getAttribute("aria-label")) return e.getAttribute("aria-label");
    const by = e.getAttribute("aria-labelledby");
    if (by) return by.split(" ").map((id) => document.getElementById(id)?.textContent ?? "").join(" ");
    if (e.labels?.length) return [...e.labels].map((label) => label.textContent).join(" ");
    return e.tagName === "INPUT" || e.tagName === "SELECT" ? "" : e.textContent;
  };
  for (const e of document.querySelectorAll("a, button, input, select, summary, video, progress, dialog[open]")) {
    if (!seen(e)) continue;
    if (!nameOf(e).trim()) wrong.push(`no name: ${says(e)}`);
    const box = (e.closest("label.drop") ?? e).getBoundingClientRect();
    const inText = e.tagName === "A" && e.closest("p");
    if (!inText && e.tagName !== "PROGRESS" && Math.min(box.width, box.height) < 24) {
      if (!(e.className.includes?.("bar") && box.height >= 24)) wrong.push(`smaller than 24 px: ${says(e)}`);
    }
  }
  for (const e of document.querySelectorAll("img:not([alt])")) wrong.push(`no alt: ${e.outerHTML.slice(0, 60)}`);
  for (const e of document.querySelectorAll('[role="img"], [role="group"], section, nav')) {
    if (seen(e) && !nameOf(e).trim()) wrong.push(`no name: ${says(e)}`);
  }
  const bare = document.querySelectorAll("section:not([aria-label], [aria-labelledby])");
  for (const e of bare) wrong.push(`no label: ${says(e)}`);
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) wrong.push(`id twice: ${id}`);
  let level = 0;
  for (const e of document.querySelectorAll("h1, h2, h3, h4")) {
    if (!seen(e) || e.closest("dialog")) continue;
    const next = Number(e.tagName[1]);
    if (next > level + 1) wrong.push(`heading ${next} after ${level}: ${says(e)}`);
    level = next;
  }
  if (document.querySelectorAll("main").length !== 1) wrong.push("not one main");
  if ([...document.querySelectorAll("h1")].filter(seen).length !== 1) wrong.push("not one visible h1");
  for (const e of document.querySelectorAll("body *")) {
    if (!seen(e) || e.closest(".unseen, .skip, video")) continue;
    if (e.getBoundingClientRect().right > innerWidth + 0.5) wrong.push(`beyond the right edge: ${says(e)}`);
  }
  if (document.scrollingElement.scrollWidth > innerWidth) wrong.push("the page scrolls sideways");

  const channels = (text) => (text.match(/[\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (e) => {
    for (let at = e; at; at = at.parentElement) {
      const c = channels(getComputedStyle(at).backgroundColor);
      if (c.length === 3 || c[3] === 1) return c;
    }
    return [255, 255, 255];
  };
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim());
    const field = e.tagName === "INPUT" && e.value;
    if ((!own && !field) || !seen(e) || e.closest(".unseen, .off, :disabled, .skip")) continue;
    const style = getComputedStyle(e);
    const [a, b] = [light(channels(style.color)), light(ground(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) wrong.push(`contrast ${ratio.toFixed(2)}: ${says(e)}`);
    if (parseFloat(style.fontSize) < 12) wrong.push(`type of ${style.fontSize}: ${says(e)}`);
  }
  return wrong;
}
"""
"""JavaScript that lists what is wrong with what the page shows now."""
