"""The demonstration from end to end: clips, enrolment, questions, answers, a contact sheet."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faceset.demo import questions
from faceset.demo.clips import SECONDS, Clip
from faceset.demo.footage import Hook, load_truth, shoot
from faceset.demo.portraits import Portrait, portraits
from faceset.demo.questions import Row
from faceset.demo.sheet import contact_sheet
from faceset.enrolment import EnrollReport
from faceset.errors import InputError
from faceset.gallery import Gallery
from faceset.recognizer import Recognizer


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo did and found.

    Attributes:
        folder: where everything was written.
        clips: the clips, with the truth about them.
        enrolled: one report for each person enrolled.
        rows: every question with its answer and the right one.
        sheet: the contact sheet (PNG).
        aggregator: what made the templates that answered.
        threshold_source: where the threshold of the first question comes from.
        seconds: wall time of rendering, and of all the rest.
    """

    folder: Path
    clips: tuple[Clip, ...]
    enrolled: tuple[EnrollReport, ...]
    rows: tuple[Row, ...]
    sheet: Path
    aggregator: str
    threshold_source: str
    seconds: tuple[float, float]

    @property
    def correct(self) -> int:
        """Number of right answers."""
        return sum(row.ok for row in self.rows)

    @property
    def total(self) -> int:
        """Number of questions."""
        return len(self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "folder": str(self.folder),
            "clips": [
                {"file": str(c.path), "people": list(c.people), "frames": len(c.frames), "spoilt": round(c.spoilt, 3)}
                for c in self.clips
            ],
            "enrolled": [report.to_dict() for report in self.enrolled],
            "rows": [row.to_dict() for row in self.rows],
            "correct": self.correct,
            "total": self.total,
            "sheet": str(self.sheet),
            "aggregator": self.aggregator,
            "threshold_source": self.threshold_source,
            "seconds": {"rendering": round(self.seconds[0], 2), "answering": round(self.seconds[1], 2)},
        }


def run_demo(
    folder: Path,
    *,
    seed: int = 0,
    seconds: float = SECONDS,
    reuse: bool = False,
    recognizer: Recognizer | None = None,
    people: Sequence[Portrait] | None = None,
    hook: Hook | None = None,
) -> DemoResult:
    """Render clips of two people and ask who is who.

    Writes ``clips/`` (mp4 files and the truth about them), two galleries and ``faces.png`` into ``folder``, and
    replaces what an earlier run left there. Nothing knows the answers: the right ones come from the portraits that the
    clips were rendered from, so with ``reuse`` and two clips that changed their places, answers turn out wrong.

    Args:
        folder: made when missing.
        seed: draws the clips.
        seconds: length of the clips of one person.
        reuse: take the clips that an earlier run left in ``folder`` instead of rendering.
        recognizer: who answers; by default ``Recognizer(keep_crops=True)``.
        people: who is filmed; by default the two portraits of :mod:`faceset.demo.portraits`.
        hook: called before each step with what is being done, the number of steps done, and of all.

    Raises:
        MissingExtraError: a package that holds a portrait is not installed.
        FacesetError: a clip cannot be written or read, or a person cannot be enrolled.
    """
    started = time.perf_counter()
    if reuse:
        clips = load_truth(folder / "clips")
    else:
        clips = shoot(folder / "clips", portraits() if people is None else people, seed, seconds=seconds, hook=hook)
    rendered = time.perf_counter()
    if recognizer is None:
        if hook is not None:
            hook("preparing the models", 0, 1)
        recognizer = Recognizer(keep_crops=True)
    enrolled, rows, sheet = ask(clips, folder, recognizer, hook)
    return DemoResult(
        folder=folder,
        clips=clips,
        enrolled=enrolled,
        rows=rows,
        sheet=sheet,
        aggregator=recognizer.aggregator.name,
        threshold_source=next((row.threshold_source for row in rows if row.threshold_source), ""),
        seconds=(rendered - started, time.perf_counter() - rendered),
    )


def ask(
    clips: Sequence[Clip], folder: Path, recognizer: Recognizer, hook: Hook | None = None
) -> tuple[tuple[EnrollReport, ...], tuple[Row, ...], Path]:
    """Enrol each person from their first clip, and ask about all the others.

    Args:
        clips: at least two people, each alone in at least two clips; others may show several.
        folder: where the galleries and the contact sheet go.
        recognizer: who answers.
        hook: see :func:`run_demo`.

    Returns:
        A report for each enrolment, the questions with their answers, and the contact sheet.
    """
    first, others = _split(clips)
    absent = list(first)[-1]
    probes = [clip for clip in others if clip.people == (absent,) or len(clip.people) > 1]
    steps = len(first) + 1 + len(others) + len(probes) + 1
    done = 0

    def step(what: str) -> None:
        nonlocal done
        if hook is not None:
            hook(what, done, steps)
        done += 1

    reports = []
    with _new_gallery(folder / "everybody.db") as gallery:
        for name, clip in first.items():
            step(f"enrolling {name} from {clip.path.name}")
            reports.append(recognizer.enroll(gallery, name, clip.path))
        alone = [clip for clip in others if len(clip.people) == 1]
        step("verifying all pairs of the other clips")
        rows = questions.verify(recognizer, alone)
        for clip in others:
            step(f"identifying {clip.path.name}")
            rows += questions.identify(recognizer, gallery, clip, "identify")
    with _new_gallery(folder / "one-left-out.db") as gallery:
        for name, clip in first.items():
            if name != absent:
                recognizer.enroll(gallery, name, clip.path)
        for clip in probes:
            step(f"identifying {clip.path.name} without {absent}")
            rows += questions.identify(recognizer, gallery, clip, f"identify, {absent} left out")
    step("drawing the contact sheet")
    return tuple(reports), tuple(rows), draw_sheet(recognizer, alone[-1], folder / "faces.png")


def draw_sheet(recognizer: Recognizer, clip: Clip, path: Path) -> Path:
    """The faces of ``clip`` with the weights that the recogniser's aggregator gives them."""
    weigher = Recognizer(
        detector=recognizer.detector,
        embedder=recognizer.embedder,
        aggregator=recognizer.aggregator,
        fps=recognizer.fps,
        keep_crops=True,
    )
    template = weigher.template(clip.path)
    return contact_sheet(template, path, f"{', '.join(clip.people)} in {clip.path.name}, and what each face counts")


def _split(clips: Sequence[Clip]) -> tuple[dict[str, Clip], list[Clip]]:
    """The clip to enrol each person from, and the clips to ask about."""
    first: dict[str, Clip] = {}
    others: list[Clip] = []
    for clip in clips:
        if len(clip.people) == 1 and clip.people[0] not in first:
            first[clip.people[0]] = clip
        else:
            others.append(clip)
    alone = {clip.people[0] for clip in others if len(clip.people) == 1}
    if len(first) < 2 or alone != set(first):
        raise InputError(
            f"the demo needs two people and two clips of each alone, but the clips show {sorted(first)}, "
            f"of whom {sorted(alone)} twice"
        )
    return first, others


def _new_gallery(path: Path) -> Gallery:
    path.parent.mkdir(parents=True, exist_ok=True)
    for suffix in ("", "-journal", "-wal", "-shm"):  # the file itself, and those that SQLite keeps beside it
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return Gallery(path)
