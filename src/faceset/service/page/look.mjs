// The first view: drop something, see who is in it.

import { alarm, guarded, h, say } from "./dom.mjs";
import { dropZone } from "./drop.mjs";
import { Result, summary } from "./result.mjs";
import { formOf, job, resume, titleOf, working } from "./work.mjs";

const LAST = "faceset-job"; // a page that is loaded again goes on with the work it had begun

/** Build the view in `root`. */
export function look(root) {
  const progress = h("div", { class: "slot" });
  const found = h("div", { class: "found slot" });
  const zone = dropZone({ title: "A video or pictures", hint: "Up to 100 files at once", onFiles: (files) => ask(files) });
  root.append(
    h("h1", { id: "look-title", tabindex: "-1" }, "Who is in it?"),
    h("p", { class: "lead" },
      "Drop a video or some pictures. Each person is followed through it, "
      + "and all their faces together are compared with the people enrolled."),
    zone.element, progress, found,
  );

  let shown = null;

  function start(files) {
    shown?.close();
    shown = new Result(files);
    found.replaceChildren(shown.element);
  }

  async function show(text, files, action) {
    zone.enable(false);
    start(files);
    try {
      const { answer, id } = await working(progress, text, async (panel) => ({
        answer: await action(panel, (match) => shown.add(match)),
        id: panel.job,
      }));
      shown.finish(answer, id);
      say(summary(answer.matches));
    } catch (error) {
      shown.close(); // half an answer is none
      sessionStorage.removeItem(LAST);
      throw error;
    } finally {
      zone.enable(true);
    }
  }

  const ask = guarded((files) => {
    const doing = `Looking at ${titleOf(files)}`;
    const onStart = (id) => sessionStorage.setItem(LAST, id);
    return show(`Sending ${titleOf(files)}`, files, (panel, onTrack) =>
      job(panel, formOf(files, { kind: "identify" }), { doing, onTrack, onStart }));
  });

  function resumeLast() {
    const last = sessionStorage.getItem(LAST);
    if (!last || shown) return;
    const doing = "Looking at your last upload";
    show(doing, [], (panel, onTrack) => resume(panel, last, { doing, onTrack }))
      .catch((error) => error.status === 404 || alarm(error)); // it is no longer kept: nothing to say
  }
  return {
    open: resumeLast,
    clear() {
      sessionStorage.removeItem(LAST);
      start([]); // work that goes on is shown here all the same
    },
  };
}
