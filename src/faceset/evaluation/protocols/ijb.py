"""IJB-B and IJB-C in either form: InsightFace's meta files or NIST's own CSV files."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, cast

from faceset.errors import InputError, ProtocolError
from faceset.evaluation.protocols import insightface, nist
from faceset.evaluation.trials import Experiment, Identification, Verification

FORMS = ("insightface", "nist")


class Set(NamedTuple):
    """One of the two sets: how InsightFace's files of it are read, and its name there and in NIST's."""

    insightface: insightface.Edition
    nist: nist.Edition


IJBB = Set(insightface.IJBB, "ijbb")
IJBC = Set(insightface.IJBC, "ijbc")


def load(root: Path, which: Set, task: str | None, form: str | None) -> tuple[Experiment, ...]:
    """The experiments that a task and the files there give.

    Args:
        root: the folder of the files.
        which: the set.
        task: ``verify``, ``identify``; None: both, as far as their files are there.
        form: ``insightface`` or ``nist``; None: the one whose files are there, InsightFace's where both are.

    Raises:
        InputError: another form or task.
        ProtocolError: no files of the form, or damaged ones.
    """
    if form not in (None, *FORMS):
        raise InputError(f"there is no form {form!r}; choose one of {', '.join(FORMS)}")
    if task not in (None, "verify", "identify"):
        raise InputError(f"there is no task {task!r}; choose verify or identify")
    root = Path(root)
    if form == "insightface" or (form is None and insightface.present(root, which.insightface)):
        return insightface.load(root, which.insightface, task)
    found = nist.load_ijb(root, which.nist, cast("nist.Task | None", task))
    if found is None:
        wanted = f"{which.nist}_1N_gallery_{which.insightface.galleries[0]}.csv and the other CSV files of NIST"
        if form is None:
            wanted = f"meta/{which.nist}_face_tid_mid.txt (InsightFace) or {wanted}"
        raise ProtocolError(f"{root} does not hold {wanted}; copy the official files there")
    return found


def verification(root: Path, which: Set, form: str | None) -> Verification:
    """1:1; see :func:`load`."""
    return next(found for found in load(root, which, "verify", form) if isinstance(found, Verification))


def identification(root: Path, which: Set, form: str | None) -> Identification:
    """1:N; see :func:`load`."""
    return next(found for found in load(root, which, "identify", form) if isinstance(found, Identification))
