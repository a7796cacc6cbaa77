"""What of a person's bytes is still in the files of a folder."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np

from faceset.gallery import Gallery

WINDOW = 16
"""A trace is so many bytes in a row: of a vector, a picture or a digest."""

_VALUES = """
SELECT vector FROM template JOIN person ON person.id = person_id WHERE person.name {0}
UNION ALL SELECT feature FROM face JOIN medium ON medium.id = medium_id JOIN person ON person.id = person_id
    WHERE person.name {0}
UNION ALL SELECT landmarks FROM face JOIN medium ON medium.id = medium_id JOIN person ON person.id = person_id
    WHERE person.name {0}
UNION ALL SELECT crop FROM face JOIN medium ON medium.id = medium_id JOIN person ON person.id = person_id
    WHERE person.name {0}
UNION ALL SELECT digest FROM medium JOIN person ON person.id = person_id WHERE person.name {0}
"""


def stored(path: Path, name: str, *, others: bool = False) -> list[bytes]:
    """The values of a person as they stand in the file: vectors, landmarks, crops, digests; or those of all others."""
    with closing(sqlite3.connect(path)) as raw:
        found = raw.execute(_VALUES.format("IS NOT ?1" if others else "= ?1"), (name,)).fetchall()
    return [value.encode() if isinstance(value, str) else value for (value,) in found if value]


def plain(gallery: Gallery, name: str) -> list[bytes]:
    """The vectors, landmarks and pictures of a person as the gallery gives them out, in the forms a program keeps."""
    found = [gallery.template(name).vector.tobytes()]
    for one in gallery.features(name):
        for face in one.faces:
            assert face.feature is not None
            found.append(face.feature.tobytes())
            found.append((face.feature / np.linalg.norm(face.feature)).tobytes())
            if face.landmarks is not None:
                found.append(face.landmarks.tobytes())
            if face.crop is not None:
                found += [face.crop.tobytes(), face.crop[..., ::-1].tobytes()]
    return found


def windows(values: list[bytes]) -> set[bytes]:
    """Every :data:`WINDOW` bytes in a row of every value."""
    return {value[i : i + WINDOW] for value in values for i in range(len(value) - WINDOW + 1)}


def traces(folder: Path, gone: set[bytes]) -> set[bytes]:
    """Those of the windows that are anywhere in any file of a folder, whatever its name."""
    found: set[bytes] = set()
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            found |= {data[i : i + WINDOW] for i in range(len(data) - WINDOW + 1)} & gone
    return found


def says(folder: Path, text: str) -> bool:
    """Whether a text is in any file of a folder."""
    return any(text.encode() in path.read_bytes() for path in folder.rglob("*") if path.is_file())
