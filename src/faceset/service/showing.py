"""Answers of the library as plain values: with opaque ids, and with the faces behind them."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

from faceset.enrolment import EnrollReport
from faceset.gallery import Gallery, Person
from faceset.service.thumbnails import SIDE
from faceset.types import Candidate, Decision, Face, Image, Match, Template

MOST_FACES = 60
"""Most faces listed of one template."""
FEW_FACES = 6
"""Most faces of one when an answer lists :data:`MANY_FACES` already."""
MANY_FACES = 1500

Values = dict[str, Any]


def person_values(person: Person) -> Values:
    """A person and their media."""
    return {**person.to_dict(), "media_count": len(person.media)}


def candidates_values(gallery: Gallery, candidates: Sequence[Candidate]) -> list[Values]:
    """Candidates with their ids, None where somebody was forgotten or renamed since the search."""
    ids = gallery.uids([c.name for c in candidates]) if candidates else {}
    return [{"name": c.name, "person_id": ids.get(c.name), "score": round(c.score, 6)} for c in candidates]


def match_values(gallery: Gallery, match: Match, number: int, most: int = MOST_FACES) -> Values:
    """A match: track ``number`` of its answer."""
    values = match.to_dict()
    candidates = candidates_values(gallery, match.candidates)
    known = next((c["person_id"] for c in candidates if c["name"] == match.name), None)
    return {
        **values,
        "track": number,
        "medium_track": match.track,
        "person_id": known,
        "face_count": match.faces,
        "candidates": candidates,
        **faces_values(match.template, most),
    }


def decision_values(decision: Decision, a: Template, b: Template) -> Values:
    """A decision and the two templates behind it."""
    sides = {"a": a, "b": b}
    values = decision.to_dict()
    del values["faces"]
    for name, template in sides.items():
        values[name] = {
            "face_count": len(template),
            "consistency": round(template.consistency, 6),
            **faces_values(template),
        }
    return values


def enrolled_values(gallery: Gallery, person: Person, report: EnrollReport) -> Values:
    """A person after an enrolment, and the report of it."""
    return {
        "person": person_values(person),
        "report": {**report.to_dict(), "looks_like": candidates_values(gallery, report.looks_like)},
    }


def faces_values(template: Template, most: int = MOST_FACES) -> Values:
    """The faces of a template by falling weight, at most ``most`` of them, and how many are not listed.

    Of long tracks only some faces have a picture; those are listed first of all, and then sorted by weight.
    """
    weighed = list(zip(template.faces, map(float, template.weights), strict=True))
    listed = sorted(weighed, key=lambda pair: (pair[0].crop is None, -pair[1]))[:most]
    listed.sort(key=lambda pair: -pair[1])
    return {"faces": [_face(face, weight) for face, weight in listed], "faces_left_out": len(weighed) - len(listed)}


def _face(face: Face, weight: float) -> Values:
    return {
        "media": face.media,
        "frame": face.frame,
        "time": round(face.time, 4),
        "box": [round(v, 2) for v in face.box],
        "score": round(float(face.score), 6),
        "weight": weight,
        "thumbnail": None if face.crop is None else thumbnail(face.crop),
    }


def thumbnail(crop: Image) -> str:
    """RGB uint8 (H, W, 3) as the data URI of a JPEG of at most :data:`~faceset.service.thumbnails.SIDE` pixels."""
    from PIL import Image as Pillow

    picture = Pillow.fromarray(crop)
    picture.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
