"""What ``doctor`` looks at in vectors: features, landmarks, crops, and templates against what they were made from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from faceset.aggregation import Aggregator
from faceset.errors import FacesetError, GalleryError
from faceset.gallery import rows, sealing, store
from faceset.gallery.doctor import RESTORE, Findings
from faceset.gallery.doctor_checks import AGAIN, ANEW
from faceset.gallery.named import aggregator_of
from faceset.gallery.schema import meta, person

_CLOSE = 1e-5
"""Largest difference of a number of a template from the one made anew; another machine may round otherwise."""
_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, OverflowError, FacesetError)


def vectors(connection: Connection, path: Path, width: int | None, found: Findings) -> None:
    """Everything that may be encrypted, person by person; ``width`` is D."""
    opened = _open(connection, path, found)
    if opened is None or width is None:
        return
    model_id = str(connection.execute(sa.select(meta.c.model_id)).scalar())
    with found.reading("people"):
        for number, name in connection.execute(sa.select(person.c.id, person.c.name).order_by(person.c.id)).all():
            _Person(opened, number, f"{name!r}", width, found).look(model_id)


def _open(connection: Connection, path: Path, found: Findings) -> Connection | None:
    """The connection with the key of the gallery; None when the key does not fit."""
    key = sealing.current_key()
    check = connection.execute(sa.select(meta.c.key_check)).scalar()
    try:
        seal = sealing.prove(path, key, check)
    except GalleryError as error:
        what, _, cure = str(error).removeprefix(f"{path}: ").partition("; ")
        missing = check is not None and key is None
        what += ": features and templates were not looked at" if missing else ""
        found("warning" if missing else "error", "key", what, cure)
        return None
    return connection.execution_options(**{sealing.OPTION: seal})


class _Person:
    """What is held of one person."""

    def __init__(self, connection: Connection, number: int, label: str, width: int, found: Findings) -> None:
        self.connection = connection
        self.number = number
        self.label = label
        self.width = width
        self.found = found

    def look(self, model_id: str) -> None:
        """Note what is wrong."""
        try:
            held = rows.read_faces(self.connection, self.number, crops=True)
        except DBAPIError as error:
            self.found("error", "faces", f"faces of {self.label} cannot be read ({error.orig})", RESTORE)
            return
        except _UNREADABLE as error:
            self.found("error", "faces", f"faces of {self.label}: {_short(error)}", AGAIN)
            return
        sound = [self._face(row) for row in held]
        made = self._template(len(held))
        if held and made is not None and all(sound):
            self._compare(made, held, model_id)

    def _face(self, row: rows.FaceRow) -> bool:
        where = f"a face of {self.label} in {row.name!r} (track {row.track}, frame {row.frame})"
        try:
            norm = float(np.linalg.norm(rows.floats(row.feature, self.width).astype(np.float64)))
            rows.to_face(row, self.width)
        except _UNREADABLE as error:
            self.found("error", "faces", f"{where}: {_short(error)}", AGAIN)
            return False
        if norm == 0 or not np.isclose(norm, row.norm, rtol=1e-5, atol=0):
            self.found("error", "faces", f"{where}: its feature has length {norm:.6g}, not {row.norm:.6g}", AGAIN)
            return False
        return True

    def _template(self, count: int) -> store.StoredTemplate | None:
        """The template, when nothing is wrong with it by itself."""
        try:
            made = store.read_template(self.connection, self.number)
            if made is None:
                return None
            vector = rows.floats(made.vector, self.width)
            weights = rows.floats(made.weights, count).astype(np.float64)
        except _UNREADABLE as error:
            self.found("error", "template", f"the template of {self.label}: {_short(error)}", ANEW)
            return None
        length = float(np.linalg.norm(vector.astype(np.float64)))
        wrong = []
        if abs(length - 1) > _CLOSE:
            wrong.append(f"its length is {length:.6g}, not 1")
        if count and (weights.min() < 0 or abs(weights.sum() - 1) > _CLOSE * max(1.0, count**0.5)):
            wrong.append(f"its weights add up to {weights.sum():.6g}, the least is {weights.min():.3g}")
        if not 0 <= made.consistency <= 1 + _CLOSE:
            wrong.append(f"its consistency is {made.consistency:.6g}")
        for what in wrong:
            self.found("error", "template", f"the template of {self.label}: {what}", ANEW)
        return None if wrong else made

    def _compare(self, made: store.StoredTemplate, held: Sequence[rows.FaceRow], model_id: str) -> None:
        maker = _maker(made.aggregator, model_id)
        if maker is None:  # a trained one, whose file is elsewhere
            return
        anew = maker(
            rows.features(held, self.width),
            np.array([0, len(held)], dtype=np.int64),
            media=rows.media_ids(held),
            quality=np.array([row.score for row in held], dtype=np.float32),
        )
        pairs: list[tuple[Any, Any]] = [
            (anew.templates[0], rows.floats(made.vector, self.width)),
            (anew.weights, rows.floats(made.weights, len(held))),
            (anew.consistency[0], made.consistency),
        ]
        worst = max(float(np.abs(a - b).max()) for a, b in pairs)
        if worst > _CLOSE:
            self.found(
                "error",
                "template",
                f"the template of {self.label} is not what {made.aggregator} makes of their faces (off by {worst:.2g})",
                ANEW,
            )


@cache
def _maker(name: str, model_id: str) -> Aggregator | None:
    return aggregator_of(name, model_id)


def _short(error: BaseException) -> str:
    """The reason without the name of the file and the cure, which a finding has by itself."""
    if isinstance(error, LookupError):
        return f"its landmark scheme {error} is not known"
    if isinstance(error, GalleryError):
        return str(error).partition("(")[2].partition(");")[0] or str(error)
    return str(error)
