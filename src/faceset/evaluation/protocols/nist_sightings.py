"""Sightings of the tables that leave them out: NIST's present release of IJB-B and IJB-C keeps them in a file apart.

``<edition>_metadata_with_age.csv`` (``<edition>_metadata.csv`` in earlier releases) tells the SIGHTING_ID of a subject
in a picture at a box. A face that it does not tell, or tells twice, is named by subject and box, and its medium is the
video in the name of its picture (``frames/<video>_<frame>``), else the picture; how many there are is noted in the
result.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from faceset.evaluation.protocols.nist_rows import BOX, Kind, check_columns
from faceset.evaluation.protocols.tables import CsvFile, read_csv
from faceset.evaluation.trials import ProtocolFile

MISSING = ("", "NaN", "nan", "NAN")
"""What stands for "not known" in NIST's tables of IJB-B and IJB-C."""

_NO_SIGHTING = 2**31
"""Numbers of media from here on stand for names of files; sightings are below."""

_AMBIGUOUS = ""

Key = tuple[str, ...]


class Sightings:
    """What the metadata tell; without them, every face is unknown."""

    def __init__(self, csv: CsvFile | None) -> None:
        self._table: dict[Key, str] = {}
        self._media: dict[str, int] = {}
        self._unknown: set[str] = set()
        self._names: set[str] = set()
        self.file: ProtocolFile | None = None if csv is None else csv.record()
        if csv is not None:
            for key, sighting in zip(self._keys(csv, "FILENAME"), csv["SIGHTING_ID"], strict=True):
                if sighting not in MISSING and self._table.setdefault(key, sighting) != sighting:
                    self._table[key] = _AMBIGUOUS

    def _keys(self, csv: CsvFile, file_column: str) -> list[Key]:
        """Subject, file and box of each row; a number in one form whatever its text."""
        boxes = ([text if text in MISSING else f"{float(text):.10g}" for text in csv[column]] for column in BOX)
        return list(zip(csv["SUBJECT_ID"], csv[file_column], *boxes, strict=True))

    def faces(self, csv: CsvFile, file_column: str) -> tuple[tuple[str, ...], list[int]]:
        """(N,) name of the face and (N,) number of the medium of each row."""
        names, media = [], []
        for key in self._keys(csv, file_column):
            sighting = self._table.get(key, _AMBIGUOUS)
            subject, file, *box = key
            name = f"{file}#{sighting}" if sighting else f"{file}#{subject}@{','.join(box)}"
            if not sighting:
                self._unknown.add(name)
            self._names.add(name)
            names.append(name)
            media.append(int(sighting) if sighting else self._medium(file))
        return tuple(names), media

    def _medium(self, file: str) -> int:
        path = PurePosixPath(file)
        video, underscore, _ = path.stem.rpartition("_")
        medium = str(path.with_name(video)) if underscore and video and path.parts[0].startswith("frame") else file
        return self._media.setdefault(medium, _NO_SIGHTING + len(self._media))

    def notes(self) -> tuple[str, ...]:
        """What a reader of results must know."""
        if not self._unknown:
            return ()
        why = "no metadata file is there" if self.file is None else "the metadata do not tell one sighting of them"
        return (f"Media of {len(self._unknown)} of {len(self._names)} faces are by file name: {why}.",)


def read_sightings(root: Path, edition: str, place: str) -> Sightings:
    """The sightings of an edition, from the metadata file in ``place`` or in ``archive/`` there.

    Args:
        root: root of the protocol.
        edition: ``ijbb`` or ``ijbc``.
        place: folder of the release, relative, empty or with a slash at the end.

    Raises:
        ProtocolError: the file is there and damaged; the message names it and the line.
    """
    names = (f"{edition}_metadata_with_age.csv", f"{edition}_metadata.csv", f"archive/{edition}_metadata.csv")
    name = next((place + name for name in names if (root / (place + name)).is_file()), None)
    if name is None:
        return Sightings(None)
    csv = read_csv(root, name, ("SUBJECT_ID", "FILENAME", "SIGHTING_ID", *BOX))
    number = Kind(whole=False, low=-1e9, high=1e9, missing=MISSING)
    check_columns(csv, {"SIGHTING_ID": Kind(missing=MISSING), **dict.fromkeys(BOX, number)})
    return Sightings(csv)
