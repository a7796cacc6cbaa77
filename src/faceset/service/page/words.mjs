// Numbers, times and counts as people read them.

/** Three digits after the point; the full number stands beside it in `data-` attributes. */
export const digits = (value) => (value === null || value === undefined ? "–" : value.toFixed(3));

/** "3 faces", "1 face". */
export const count = (n, one, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;

/** Seconds as "4.2 s" or "1:04.2". */
export function clock(seconds) {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const tenths = Math.round(seconds * 10);
  const whole = Math.floor(tenths / 10);
  const parts = [Math.floor(whole / 60) % 60, whole % 60];
  if (whole >= 3600) parts.unshift(Math.floor(whole / 3600));
  return parts.map((part, i) => (i ? String(part).padStart(2, "0") : part)).join(":") + `.${tenths % 10}`;
}

/** "1.2 s to 4.4 s"; nothing for a still. */
export const span = (start, end) => (start === end ? clock(start) : `${clock(start)} to ${clock(end)}`);

/** Somebody else whom a newcomer resembles. */
export const alike = ({ name, score }) => `Looks like ${name} too (score ${digits(score)}): is it the same person?`;

/** A day as the reader writes it. */
export const day = (iso) => new Date(iso).toLocaleDateString(undefined, { dateStyle: "medium" });

function rate(value) {
  const percent = value * 100;
  return `${Number(percent.toPrecision(2))} %`;
}

/** What a threshold stands for. */
export function meaning({ far, fpir, threshold_source: source }) {
  const said = [];
  const known = (value) => value !== null && value !== undefined;
  if (known(fpir)) said.push(`a stranger is taken for somebody enrolled ${rate(fpir)} of the time (FPIR)`);
  if (known(far)) said.push(`two people are taken for one ${rate(far)} of the time (FAR)`);
  if (!said.length) said.push("its false accept rate (FAR) is not known here");
  return `${said.join("; ")}. Source: ${source}`;
}
