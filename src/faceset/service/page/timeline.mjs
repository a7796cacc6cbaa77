// Who is seen when: one lane a person, one bar a track, one stroke a face, as high as its weight.

import { h, s } from "./dom.mjs";
import { clock, count, span } from "./words.mjs";

const STEPS = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];

/** Seconds between two marks of the axis: at most `most` of them. */
export const tick = (length, most = 8) =>
  STEPS.find((step) => length / step <= most) ?? Math.ceil(length / most / 3600) * 3600;

/** Matches of one video. `onPick(match)`: a bar was pressed; `length`: of the video, where it is known. */
export function timeLine(medium, matches, { onPick, length = 0 }) {
  const end = Math.max(length, ...matches.map((match) => match.end), 0.1);
  const lanes = inLanes(matches);
  const rest = "Point at a bar, or move to it with the Tab key, to see who it is.";
  const told = h("p", { class: "told small", "aria-hidden": "true" }, rest);
  const tell = (text) => { told.textContent = text; };
  const rows = lanes.map((found) => h(
    "li", { class: "lane" },
    h("span", { class: "who", title: found[0].name ?? "Unknown" }, found[0].name ?? "Unknown"),
    h("span", { class: "track" }, found.map((match) => bar(match, end, { onPick, tell, rest }))),
  ));
  const step = tick(end);
  const marks = [];
  for (let at = 0; at <= end * 1.0001; at += step) marks.push(h("span", { vars: { at: at / end } }, label(at)));
  const unread = (kind, inside, props = {}) =>
    h("div", { class: `lane ${kind}`, "aria-hidden": "true", ...props }, h("span", { class: "who" }), h("span", { class: "track" }, inside));
  const head = unread("play", h("span", { class: "head" }), { hidden: true });
  const name = `Time line of ${medium}: ${count(matches.length, "track")} in ${clock(end)}`;
  const element = h(
    "figure", { class: "time-line", role: "group", "aria-label": name },
    h("div", { class: "lanes" }, h("ol", {}, rows), head),
    unread("axis muted", marks),
    told,
  );
  return {
    element,
    /** Move the play head. */
    at(seconds) {
      head.hidden = false;
      head.querySelector(".head").style.setProperty("--at", Math.min(1, seconds / end));
    },
  };
}

/** Tracks of one known person share a lane, unless two of them are seen at once. */
function inLanes(matches) {
  const lanes = [];
  for (const match of matches) {
    const apart = (one) => one.end <= match.start || match.end <= one.start;
    const free = (lane) => lane[0].name === match.name && lane.every(apart);
    const lane = match.name === null ? undefined : lanes.find(free);
    if (lane) lane.push(match);
    else lanes.push([match]);
  }
  return lanes;
}

const label = (seconds) => (seconds < 60 ? `${Number(seconds.toFixed(1))} s` : clock(seconds).replace(/\.\d$/, ""));

function bar(match, end, { onPick, tell, rest }) {
  const who = match.name ?? "Unknown";
  const text = `${who}, ${span(match.start, match.end)}, ${count(match.face_count, "face")}`;
  const length = Math.max(match.end - match.start, 1e-6);
  const most = Math.max(...match.faces.map((face) => face.weight), 1e-12);
  const strokes = match.faces.map((face) => {
    const x = (100 * (face.time - match.start)) / length;
    const height = 18 * (face.weight / most);
    return s("line", { x1: x, x2: x, y1: 20, y2: 20 - height });
  });
  return h(
    "button",
    {
      type: "button", class: `bar ${match.name === null ? "unknown" : "known"}`, "aria-label": `${text}. Go to its faces.`,
      data: { track: match.track, start: match.start, end: match.end },
      vars: { from: match.start / end, to: match.end / end },
      onclick: () => onPick(match), onfocus: () => tell(text), onmouseenter: () => tell(text),
      onblur: () => tell(rest), onmouseleave: () => tell(rest),
    },
    s("svg", { viewBox: "0 0 100 20", preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" }, strokes),
  );
}
