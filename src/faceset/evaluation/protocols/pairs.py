"""What the pair lists of LFW and YouTube Faces share: media named ``<person>/<medium>``, one template each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from faceset.evaluation.protocols.lines import TextFile
from faceset.evaluation.trials import FaceList, ProtocolFile, TemplateList, Verification


@dataclass(frozen=True, slots=True)
class Pair:
    """One line of a list.

    Attributes:
        line: its number, from 1.
        first, second: media, ``<person>/<medium>``.
        same: the label.
        fold: from 0.
    """

    line: int
    first: str
    second: str
    same: bool
    fold: int

    @property
    def key(self) -> tuple[str, str]:
        """The same for both orders of the two media."""
        return min(self.first, self.second), max(self.first, self.second)


def check_person(file: TextFile, line: int, name: str) -> str:
    """A name that can be a folder; it leads nowhere else.

    Raises:
        ProtocolError: it is empty, ``.`` or ``..``, or holds a slash.
    """
    if name in ("", ".", "..") or "/" in name or "\\" in name:
        raise file.error(line, f"{name!r} is no name of a person")
    return name


def person_of(medium: str) -> str:
    """The person of ``<person>/<medium>``."""
    return medium.split("/", 1)[0]


def shared_people(pairs: Sequence[Pair]) -> list[str]:
    """People who are part of several folds, by name."""
    folds: dict[str, set[int]] = {}
    for pair in pairs:
        for medium in (pair.first, pair.second):
            folds.setdefault(person_of(medium), set()).add(pair.fold)
    return sorted(person for person, of in folds.items() if len(of) > 1)


def shared_people_note(pairs: Sequence[Pair]) -> tuple[str, ...]:
    """What a reader must know where folds share people; nothing where they do not."""
    shared = shared_people(pairs)
    if not shared:
        return ()
    some = ", ".join(shared[:3]) + (" ..." if len(shared) > 3 else "")
    return (f"{len(shared)} people are part of several folds ({some}), so that the folds are not independent",)


def verification_of(
    protocol: str,
    part: str,
    pairs: Sequence[Pair],
    *,
    folds: bool,
    files: tuple[ProtocolFile, ...],
    settings: dict[str, Any],
    notes: tuple[str, ...],
) -> Verification:
    """The trials of a list: every medium one template and a medium of its own, in the order of their names."""
    names = sorted({medium for pair in pairs for medium in (pair.first, pair.second)})
    number = {name: at for at, name in enumerate(names)}
    return Verification(
        protocol=protocol,
        part=part,
        faces=FaceList(tuple(names)),
        templates=TemplateList.of(
            names, [person_of(name) for name in names], [[at] for at in range(len(names))], np.arange(len(names))
        ),
        first=np.array([number[pair.first] for pair in pairs], dtype=np.int64),
        second=np.array([number[pair.second] for pair in pairs], dtype=np.int64),
        same=np.array([pair.same for pair in pairs], dtype=bool),
        folds=np.array([pair.fold for pair in pairs], dtype=np.int64) if folds else None,
        files=files,
        settings=settings,
        notes=notes,
    )
