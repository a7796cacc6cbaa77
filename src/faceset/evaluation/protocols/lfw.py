"""Labeled Faces in the Wild: 6,000 pairs of pictures in 10 folds.

G. Huang, M. Ramesh, T. Berg, E. Learned-Miller, "Labeled Faces in the Wild: A Database for Studying Face Recognition in
Unconstrained Environments", technical report 07-49, University of Massachusetts, 2007, section III (View 2).

``pairs.txt``, fields separated by tabs: a header with the number of folds and the number of pairs of each kind in a
fold (``10  300``), then for each fold the pairs of one person (``name  n1  n2``) and those of two
(``name1  n1  name2  n2``). Picture n of a person is ``<name>/<name>_<n, four digits>.jpg``. The development lists of
View 1 (``pairsDevTrain.txt``, ``pairsDevTest.txt``) have one number in the header and no folds.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from faceset.errors import InputError
from faceset.evaluation.protocols.lines import TextFile, first_repeat, read_text
from faceset.evaluation.protocols.pairs import Pair, check_person, shared_people_note, verification_of
from faceset.evaluation.trials import Experiment, Verification

TITLE = "Labeled Faces in the Wild, View 2"
LAYOUT = "pairs.txt (6,000 pairs in 10 folds); the pictures are <person>/<person>_<number>.jpg"

OFFICIAL = (10, 300)
"""Folds, and pairs of each kind in a fold."""


def load(root: Path, *, task: str | None = None, pairs: str = "pairs.txt") -> tuple[Experiment, ...]:
    """The experiments of this protocol; see :func:`verification`. It has no identification.

    Raises:
        InputError: identification was asked for.
        ProtocolError: see :func:`verification`.
    """
    if task not in (None, "verify"):
        raise InputError(f"lfw has no task {task!r}; it has 'verify'")
    return (verification(root, pairs=pairs),)


def verification(root: Path, *, pairs: str = "pairs.txt") -> Verification:
    """The pairs of a list.

    Args:
        root: the folder that holds it.
        pairs: its name below ``root``.

    Raises:
        InputError: ``pairs`` leads out of ``root``.
        ProtocolError: the list is missing or damaged: not as many lines as its header says, a pair of the other kind in
            a block, a picture paired with itself, a pair twice.
    """
    if not pairs or PurePosixPath(pairs).is_absolute() or ".." in PurePosixPath(pairs).parts:
        raise InputError(f"{pairs!r} is no name of a list below the root; give one such as pairs.txt")
    file = read_text(Path(root), pairs)
    file.check_ended()
    folds, each = _header(file)
    found = _pairs(file, folds or 1, each)
    repeat = first_repeat([pair.key for pair in found])
    if repeat:
        raise file.error(found[repeat[1]].line, f"the same pair as line {found[repeat[0]].line}")
    notes = shared_people_note(found) if folds else ()
    if folds is None:
        notes += ("a development list (View 1) without folds; published accuracies are of View 2, pairs.txt",)
    elif (folds, each) != OFFICIAL:
        notes += (f"{folds} folds of {each} + {each} pairs; the official list has 10 of 300 + 300",)
    return verification_of(
        "lfw",
        "" if pairs == "pairs.txt" else pairs,
        found,
        folds=folds is not None,
        files=(file.record(headers=1),),
        settings={"list": pairs},
        notes=notes,
    )


def _header(file: TextFile) -> tuple[int | None, int]:
    """(folds or None, pairs of each kind in a fold)."""
    _, fields = next(file.rows("\t", (1, 2)))
    each = file.integer(1, fields[-1], "the number of pairs", low=1)
    folds = file.integer(1, fields[0], "the number of folds", low=2) if len(fields) == 2 else None
    due = 2 * each * (folds or 1)
    if len(file.lines) - 1 != due:
        raise file.error(
            min(len(file.lines), due + 2), f"the file holds {len(file.lines) - 1} pairs where its header promises {due}"
        )
    return folds, each


def _pairs(file: TextFile, folds: int, each: int) -> list[Pair]:
    found = []
    for at, (line, fields) in enumerate(file.rows("\t", (3, 4), first=2)):
        fold, place = divmod(at, 2 * each)
        same = place < each
        if same != (len(fields) == 3):
            is_, due = ("two people", "one person") if same else ("one person", "two people")
            raise file.error(line, f"a pair of {is_} where fold {fold + 1} of {folds} has pairs of {due}")
        first_name, second_name = fields[0], fields[-2 if len(fields) == 4 else 0]
        if not same and first_name == second_name:
            raise file.error(line, f"both people are {first_name}")
        first, second = _picture(file, line, first_name, fields[1]), _picture(file, line, second_name, fields[-1])
        if first == second:
            raise file.error(line, f"{first} is paired with itself")
        found.append(Pair(line, first, second, same, fold))
    return found


def _picture(file: TextFile, line: int, person: str, number: str) -> str:
    check_person(file, line, person)
    return f"{person}/{person}_{file.integer(line, number, 'the number of a picture', low=1, high=9999):04d}.jpg"
