"""Questions asked of a recogniser about clips whose truth is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from faceset.demo.clips import Clip
from faceset.errors import FacesetError
from faceset.gallery import Gallery
from faceset.recognizer import Recognizer
from faceset.types import Match, Template

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Row:
    """One question.

    Attributes:
        step: the part of the demo it belongs to.
        question: what was asked.
        answer: what the recogniser said.
        truth: the right answer, from the portraits that the clips were rendered from.
        score: similarity the answer rests on; None when there was none to compare.
        threshold: accept when the score reaches it.
        faces: number of faces the answer rests on.
        threshold_source: where the threshold comes from; empty when there was nothing to compare.
    """

    step: str
    question: str
    answer: str
    truth: str
    score: float | None
    threshold: float
    faces: int
    threshold_source: str = ""

    @property
    def ok(self) -> bool:
        """Whether the answer is right."""
        return self.answer == self.truth

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "step": self.step,
            "question": self.question,
            "answer": self.answer,
            "truth": self.truth,
            "score": None if self.score is None else round(self.score, 6),
            "threshold": round(self.threshold, 6),
            "threshold_source": self.threshold_source,
            "faces": self.faces,
            "ok": self.ok,
        }


def verify(recognizer: Recognizer, clips: Sequence[Clip]) -> list[Row]:
    """Every pair of ``clips``, each of which shows one person: the same one? One row a pair."""
    seen: dict[Clip, Template | str] = {}
    for clip in clips:
        try:
            seen[clip] = recognizer.template(clip.path)
        except FacesetError as error:
            seen[clip] = str(error)
    rows = []
    for a, b in combinations(clips, 2):
        truth = "same" if a.people == b.people else "different"
        question = f"{a.path.name} and {b.path.name}: the same person?"
        first, second = seen[a], seen[b]
        threshold = recognizer.threshold.value
        if isinstance(first, str) or isinstance(second, str):
            why = first if isinstance(first, str) else str(second)
            rows.append(Row("verify", question, f"no answer: {why}", truth, None, threshold, 0))
            continue
        decision = recognizer.compare(first, second)
        answer = "same" if decision.same else "different"
        faces, source = sum(decision.faces), decision.threshold_source
        rows.append(Row("verify", question, answer, truth, decision.score, decision.threshold, faces, source))
    return rows


def identify(recognizer: Recognizer, gallery: Gallery, clip: Clip, step: str) -> list[Row]:
    """Who is in ``clip``: one row a track, and one for everybody who is there and was not seen.

    The right answer for a track is the person whose face lies under most of its boxes, or ``unknown`` when that person
    is not in the gallery, or when there is no face at all.
    """
    rows, met = [], set()
    threshold = recognizer.threshold.value
    for match in recognizer.identify(gallery, clip.path):
        there = _under(clip, match)
        met.add(there)
        question = f"{clip.path.name} {match.start:.2f}-{match.end:.2f} s: who?"
        truth = there if there is not None and there in gallery else UNKNOWN
        answer, source = match.name or UNKNOWN, match.threshold_source
        rows.append(Row(step, question, answer, truth, match.score, match.threshold, match.faces, source))
    for name in clip.people:
        if name not in met:
            truth = name if name in gallery else UNKNOWN
            rows.append(Row(step, f"{clip.path.name}: is {name} seen?", "nobody seen", truth, None, threshold, 0))
    return rows


def _under(clip: Clip, match: Match) -> str | None:
    votes = Counter(clip.who(face.time, face.box) for face in match.template.faces)
    return votes.most_common(1)[0][0]
