"""YouTube Faces: 5,000 pairs of videos in 10 folds.

L. Wolf, T. Hassner, I. Maoz, "Face Recognition in Unconstrained Videos with Matched Background Similarity", CVPR 2011,
section 3.

``splits.txt``, fields separated by a comma and one space: a header, then ``split number, pair number, first name,
second name, is same`` with names ``<person>/<video>``; copies without the header are about, and are taken.
``splits_corrected.txt`` is the list of the errata, in the same form. A video is one template; its frames are the rows
of the feature table under that name.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from faceset.errors import InputError, ProtocolError
from faceset.evaluation.protocols.lines import TextFile, read_text
from faceset.evaluation.protocols.pairs import Pair, check_person, person_of, shared_people_note, verification_of
from faceset.evaluation.trials import Experiment, Verification

TITLE = "YouTube Faces"
LAYOUT = "splits.txt (5,000 pairs in 10 folds) or splits_corrected.txt; the frames are <person>/<video>/*.jpg"

LISTS = {"original": "splits.txt", "corrected": "splits_corrected.txt"}
FOLDS, EACH = 10, 250
"""Folds, and pairs of each kind in a fold."""


def load(root: Path, *, task: str | None = None, list: str = "original") -> tuple[Experiment, ...]:
    """The experiments of this protocol; see :func:`verification`. It has no identification.

    Raises:
        InputError: identification was asked for, or an unknown list.
        ProtocolError: see :func:`verification`.
    """
    if task not in (None, "verify"):
        raise InputError(f"ytf has no task {task!r}; it has 'verify'")
    return (verification(root, list=list),)


def verification(root: Path, *, list: str = "original") -> Verification:
    """The pairs of a list.

    The original list must be whole: pairs 1 to 500 of splits 1 to 10 in that order, 250 of each kind, labels that agree
    with the names. In the corrected list a label may speak against the names, as the errata are about videos under a
    wrong name, and pairs may be left out; both are counted in a note.

    Args:
        root: the folder that holds it.
        list: ``original`` or ``corrected``.

    Raises:
        InputError: an unknown list.
        ProtocolError: the list is missing or damaged.
    """
    if list not in LISTS:
        raise InputError(f"ytf has no list {list!r}; it has {' and '.join(LISTS)}")
    file, headers = _read(Path(root), list)
    pairs = _pairs(file, headers + 1, whole=list == "original")
    notes = [f"list: {list} ({LISTS[list]})"]
    counts = Counter((pair.fold, pair.same) for pair in pairs)
    partial = [fold for fold in range(FOLDS) if counts[fold, True] != EACH or counts[fold, False] != EACH]
    if partial and list == "original":
        fold = partial[0]
        raise file.error(
            len(file.lines) if len(pairs) != 2 * FOLDS * EACH else headers + 2 * EACH * (fold + 1),
            f"after {len(pairs)} pairs, split {fold + 1} has {counts[fold, True]} of one person and "
            f"{counts[fold, False]} of two, where {EACH} and {EACH} are due",
        )
    if partial:
        notes.append(f"{len(pairs)} pairs; {len(partial)} of {FOLDS} folds do not have {EACH} + {EACH} pairs")
    against = sum(pair.same != (person_of(pair.first) == person_of(pair.second)) for pair in pairs)
    if against:
        notes.append(f"the label of {against} pairs is not what the names of the videos say; the label counts")
    repeats = len(pairs) - len({pair.key for pair in pairs})
    if repeats:
        notes.append(f"{repeats} pairs are repeated, and count each time")
    return verification_of(
        "ytf",
        "" if list == "original" else f"{list} list",
        pairs,
        folds=True,
        files=(file.record(headers),),
        settings={"list": list},
        notes=(*notes, *shared_people_note(pairs)),
    )


def _read(root: Path, list: str) -> tuple[TextFile, int]:
    """(the file with commas alone between fields, number of header lines)."""
    other = next(name for name in LISTS if name != list)
    if not (root / LISTS[list]).is_file() and (root / LISTS[other]).is_file():
        raise ProtocolError(f"{root} does not hold {LISTS[list]}; it holds {LISTS[other]}, which is list {other!r}")
    file = read_text(root, LISTS[list])
    if len(file.lines) == 1:
        raise file.error(1, "no pairs after it")
    spaceless = replace(file, lines=tuple(line.replace(", ", ",") for line in file.lines))
    is_header = any(map(str.isalpha, file.lines[0])) and not any(map(str.isdigit, file.lines[0]))
    return spaceless, int(is_header)


def _pairs(file: TextFile, first: int, whole: bool) -> list[Pair]:
    """The pairs from line ``first`` on; ``whole``: of a list with no gaps, whose labels agree with the names."""
    found: list[Pair] = []
    split = number = 0
    for at, (line, fields) in enumerate(file.rows(",", 5, first=first)):
        before = split, number
        split = file.integer(line, fields[0], "the split number", low=1, high=FOLDS)
        number = file.integer(line, fields[1], "the pair number", low=1, high=2 * EACH)
        fold, place = divmod(at, 2 * EACH)
        if whole and (split, number) != (fold + 1, place + 1):
            raise file.error(line, f"pair {number} of split {split} where pair {place + 1} of split {fold + 1} is due")
        if (split, number) <= before:
            raise file.error(line, f"pair {number} of split {split} after pair {before[1]} of split {before[0]}")
        media = [_video(file, line, name) for name in fields[2:4]]
        if media[0] == media[1]:
            raise file.error(line, f"{media[0]} is paired with itself")
        same = file.integer(line, fields[4], "the label", high=1) == 1
        if whole and same != (person_of(media[0]) == person_of(media[1])):
            raise file.error(
                line,
                f"label {fields[4]} speaks against the names {fields[2]} and {fields[3]}",
                "fetch the official file anew, or ask for list 'corrected' if this is the one of the errata",
            )
        found.append(Pair(line, media[0], media[1], same, split - 1))
    return found


def _video(file: TextFile, line: int, name: str) -> str:
    person, slash, video = name.partition("/")
    if not slash:
        raise file.error(line, f"{name!r} is no video; want <person>/<number>")
    check_person(file, line, person)
    return f"{person}/{file.integer(line, video, 'the number of a video')}"
