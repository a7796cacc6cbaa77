// Calls to /v1. Every failure is a Problem with the service's own words.

const KEY = "faceset-key"; // lives as long as the tab

/** Settings all calls share: the gallery, and how to ask for a key (set by main.mjs). */
export const session = { gallery: "default", askKey: async () => null };

/** An answer that is no success. */
export class Problem extends Error {
  constructor(status, body) {
    super(body?.detail ?? `the service answered ${status}`);
    this.name = "Problem";
    this.status = status;
    this.detail = this.message;
    this.kind = body?.type ?? "about:blank";
  }
}

const unreachable = () => new Problem(0, { detail: "the service does not answer; see that it runs, then try again" });

function address(path, query = {}) {
  const url = new URL(`/v1${path}`, location.origin);
  url.searchParams.set("gallery", session.gallery);
  for (const [name, value] of Object.entries(query)) if (value !== "") url.searchParams.set(name, value);
  return url;
}

function headers(json) {
  const key = sessionStorage.getItem(KEY);
  const found = { accept: "application/json" };
  if (key) found.authorization = `Bearer ${key}`;
  if (json) found["content-type"] = "application/json";
  return found;
}

let asking = null;

/** Ask for a key, once for all calls that need one; false when the reader gave none. */
async function newKey(used) {
  if (sessionStorage.getItem(KEY) !== used) return true; // another call has asked meanwhile
  asking ??= session.askKey(used !== null).finally(() => { asking = null; });
  const key = await asking;
  if (key) sessionStorage.setItem(KEY, key);
  return Boolean(key);
}

/** `attempt` returns {status, body}; it is repeated with a new key after a 401. The body of a success. */
async function withKey(attempt) {
  for (;;) {
    const used = sessionStorage.getItem(KEY);
    const { status, body } = await attempt();
    if (status === 401 && (await newKey(used))) continue;
    if (status === 0) throw unreachable();
    if (status < 200 || status > 299) throw new Problem(status, body);
    return body;
  }
}

const parsed = (text) => {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
};

/** A call without files; the answer's JSON. */
export async function call(method, path, { json, query } = {}) {
  return withKey(async () => {
    try {
      const body = json && JSON.stringify(json);
      const answer = await fetch(address(path, query), { method, headers: headers(json), body });
      return { status: answer.status, body: parsed(await answer.text()) };
    } catch {
      return { status: 0 };
    }
  });
}

/** POST files, with progress 0..1 of the upload; the answer's JSON. */
export function send(path, form, { onProgress = () => {}, signal } = {}) {
  return withKey(() => new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const request = new XMLHttpRequest(); // fetch cannot tell how much has been sent
    const abort = () => request.abort();
    request.open("POST", address(path));
    for (const [name, value] of Object.entries(headers(false))) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onload = () => resolve({ status: request.status, body: parsed(request.responseText) });
    request.onerror = () => resolve({ status: 0 });
    request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    request.onloadend = () => signal?.removeEventListener("abort", abort);
    signal?.addEventListener("abort", abort);
    request.send(form);
  }));
}

/** The events of a job as they come. EventSource cannot send the key, so the stream is read by fetch. */
async function* events(id, signal) {
  const asked = { ...headers(false), accept: "text/event-stream" };
  const answer = await fetch(address(`/jobs/${id}/events`), { headers: asked, signal });
  if (!answer.ok) throw new Problem(answer.status, parsed(await answer.text()));
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text = (text + value).replaceAll("\r\n", "\n");
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const fields = block.split("\n").map((line) => /^(event|data): ?(.*)$/.exec(line)).filter(Boolean);
      const data = fields.filter((field) => field[1] === "data").map((field) => field[2]).join("\n");
      if (data) yield { event: fields.find((field) => field[1] === "event")?.[2] ?? "message", data: parsed(data) };
    }
  }
}

const ended = (job) => ["done", "failed", "cancelled"].includes(job.state);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Follow a job to its end; its result. `onEvent(name, data)` hears of progress and tracks. */
export async function follow(id, { onEvent = () => {}, signal } = {}) {
  for (let wait = 500; ; wait = Math.min(2 * wait, 5000)) {
    try {
      for await (const { event, data } of events(id, signal)) onEvent(event, data);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      // A stream that breaks is no broken job: ask for the job itself, then listen again.
    }
    const job = await call("GET", `/jobs/${id}`);
    if (ended(job)) return finish(job);
    onEvent("progress", job);
    await pause(wait);
  }
}

function finish(job) {
  if (job.state === "done" && job.result) return job.result;
  if (job.state === "done") throw new Problem(410, { detail: "this result is gone: somebody in it was forgotten since" });
  if (job.state === "cancelled") throw new DOMException("cancelled", "AbortError");
  throw new Problem(job.error?.status ?? 500, job.error ?? { detail: "the job failed" });
}
