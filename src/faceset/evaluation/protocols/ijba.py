"""IJB-A: 1:1 verification and open-set 1:N identification over ten splits, from NIST's CSV files.

Klare et al., "Pushing the Frontiers of Unconstrained Face Detection and Recognition: IARPA Janus Benchmark A", CVPR
2015. A split's files, n = 1 .. 10::

    IJB-A_11_sets/split<n>/  train_<n>.csv  verify_metadata_<n>.csv  verify_comparisons_<n>.csv
    IJB-A_1N_sets/split<n>/  train_<n>.csv  search_gallery_<n>.csv   search_probe_<n>.csv

``split<n>/`` alone, or the files with no folder at all, are read too. All but the comparisons have a header and 25
columns; comparisons have neither header nor label: two templates are of one person if their SUBJECT_ID is one.

What each field does:

- TEMPLATE_ID, SUBJECT_ID, FILE, MEDIA_ID, SIGHTING_ID and the box *are* the trials: change one and there is another
  template, pair label, face, medium or box, or an error.
- FRAME repeats the number in the name of a video frame, as MEDIA_ID does the video's: both must agree with FILE. GENDER
  and SKIN_TONE must be one for a subject. All facts of a face must be the same in every template it is part of.
- The other attributes (eyes, nose, yaw, visibility, indoor, age, facial hair) have no part in any trial. Their form and
  range are checked, and the sha256 of each file is part of the experiment (``files``), so that another value is another
  signature.

In split 1 all 34,907 rows pass, which are 499 of the 500 people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from faceset.errors import InputError
from faceset.evaluation.protocols.ijba_rows import read_table
from faceset.evaluation.protocols.lines import find_file
from faceset.evaluation.protocols.nist_counts import IJBA_1TO1, IJBA_NAMES, deviations
from faceset.evaluation.protocols.nist_pairs import is_cut_short, pair_up
from faceset.evaluation.protocols.nist_rows import (
    Faces,
    Group,
    check_apart,
    group,
    notes_of,
    template_list,
)
from faceset.evaluation.protocols.tables import read_integers
from faceset.evaluation.trials import Experiment, GalleryTemplates, Identification, Ints, TemplateList, Verification

TITLE = "IJB-A: 1:1 and open-set 1:N, 10 splits"
LAYOUT = """\
IJB-A_11_sets/split<n>/{train,verify_metadata,verify_comparisons}_<n>.csv    1:1, n = 1 .. 10
IJB-A_1N_sets/split<n>/{train,search_gallery,search_probe}_<n>.csv           1:N
(or split<n>/*.csv, or the files of a split with no folder)
pictures: img/<id>.jpg, frame/<video>_<frame>.png"""

SPLITS = 10

Task = Literal["verify", "identify"]
_FILES: dict[Task, tuple[str, str, str, str]] = {
    "verify": ("IJB-A_11_sets", "train", "verify_metadata", "verify_comparisons"),
    "identify": ("IJB-A_1N_sets", "train", "search_gallery", "search_probe"),
}


def verification(root: Path, split: int = 1) -> Verification:
    """The 1:1 part of a split.

    Args:
        root: folder that holds the official files in one of the layouts above.
        split: 1 to 10.

    Returns:
        Templates of ``verify_metadata`` in order of the file, comparisons in order of ``verify_comparisons``, training
        templates of ``train``; no folds.

    Raises:
        InputError: no such split.
        ProtocolError: a file is missing, damaged or inconsistent; the message names file, line and cure.
    """
    root, split = Path(root), _check_split(split)
    train, metadata, comparisons = _names(root, "verify", split)
    faces = Faces()
    training, test = group(read_table(root, train), faces), group(read_table(root, metadata), faces)
    check_apart(training, test)
    pairs = read_integers(root, comparisons, 2, ",")
    if is_cut_short(root, comparisons):
        raise pairs.error(len(pairs.values) - 1, "no line end, so that the line may be cut short")
    first, second = pair_up(pairs, test.ids)
    face_list, media = faces.face_list(), faces.media()
    templates = template_list([test], media)
    codes = templates.subject.codes
    same = codes[first] == codes[second]
    counts = (len(training.ids), len(training.rows), len(templates), len(test.rows), same.size, int(same.sum()))
    idle = len(templates) - np.unique(np.concatenate([first, second])).size
    return Verification(
        protocol="ijba",
        part=f"split {split}",
        faces=face_list,
        templates=templates,
        first=first,
        second=second,
        same=same,
        train=_training(training, test, media),
        files=(training.rows.csv.record(), test.rows.csv.record(), pairs.record()),
        settings={"split": split},
        notes=(
            *notes_of(face_list),
            *deviations(IJBA_NAMES, IJBA_1TO1[split], counts),
            *((f"{idle} of {len(templates)} templates are in no comparison.",) if idle else ()),
        ),
    )


def identification(root: Path, split: int = 1) -> Identification:
    """The 1:N part of a split: every ``search_probe`` template against all ``search_gallery`` templates.

    The search is open-set: NIST took 55 subjects at random out of the gallery, whose probes have no mate.

    Returns:
        Templates of the gallery, then of the probes, in order of the files; one gallery called ``gallery``.

    Raises:
        InputError: no such split.
        ProtocolError: a file is missing, damaged or inconsistent; the message names file, line and cure.
    """
    root, split = Path(root), _check_split(split)
    train, gallery, probe = _names(root, "identify", split)
    faces = Faces()
    training, enrolled, probes = (group(read_table(root, name), faces) for name in (train, gallery, probe))
    check_apart(training, enrolled)
    check_apart(training, probes)
    face_list, media = faces.face_list(), faces.media()
    size = len(enrolled.ids)
    extra = size - len(set(enrolled.subjects))
    return Identification(
        protocol="ijba",
        part=f"split {split}",
        faces=face_list,
        templates=template_list([enrolled, probes], media),
        galleries=(GalleryTemplates("gallery", np.arange(size, dtype=np.int64)),),
        probes=np.arange(size, size + len(probes.ids), dtype=np.int64),
        train=_training(training, enrolled, media),
        files=tuple(part.rows.csv.record() for part in (training, enrolled, probes)),
        settings={"split": split},
        notes=(
            *notes_of(face_list),
            *((f"{extra} gallery templates are of a subject that has one already.",) if extra else ()),
        ),
    )


def load(root: Path, *, task: Task | None = None, split: int | None = None) -> tuple[Experiment, ...]:
    """All parts that ``root`` holds: 1:1 of each split, then 1:N of each.

    Args:
        root: see :func:`verification`.
        task: only this; None: both.
        split: only this; None: every split that is there.

    Raises:
        InputError: no such task or split.
        ProtocolError: nothing is there, or what is there is damaged; the message names file, line and cure.
    """
    root = Path(root)
    if task is not None and task not in _FILES:
        raise InputError(f"no task {task!r}; tasks are {', '.join(_FILES)}")
    splits = range(1, SPLITS + 1) if split is None else (_check_split(split),)
    tasks: Sequence[Task] = ("verify", "identify") if task is None else (task,)
    experiments: list[Experiment] = []
    for each in tasks:
        there = [n for n in splits if _folder(root, each, n) is not None]
        parts = [verification(root, n) if each == "verify" else identification(root, n) for n in there]
        if split is None and 0 < len(there) < SPLITS:
            note = f"{len(there)} of {SPLITS} splits; published figures are means over {SPLITS}."
            parts = [replace(part, notes=(*part.notes, note)) for part in parts]
        experiments += parts
    if not experiments:
        find_file(root, *(f"{_places(each, splits[0])[0]}{_FILES[each][2]}_{splits[0]}.csv" for each in tasks))
    return tuple(experiments)


def _check_split(split: int) -> int:
    if isinstance(split, bool) or not isinstance(split, int | np.integer) or not 1 <= split <= SPLITS:
        raise InputError(f"IJB-A has splits 1 to {SPLITS}, not {split!r}")
    return int(split)


def _places(task: Task, split: int) -> tuple[str, ...]:
    """Folders, relative to the root and with a slash at the end, where the files of a split may be."""
    return f"{_FILES[task][0]}/split{split}/", f"split{split}/", ""


def _folder(root: Path, task: Task, split: int) -> str | None:
    """The first of them that holds one of the two files which only this task has."""
    for place in _places(task, split):
        if any((root / f"{place}{stem}_{split}.csv").is_file() for stem in _FILES[task][2:]):
            return place
    return None


def _names(root: Path, task: Task, split: int) -> list[str]:
    """The three files of a part, relative to ``root``; one that is missing beside the others is found when read."""
    place = _folder(root, task, split)
    if place is None:
        find_file(root, *(f"{place}{_FILES[task][2]}_{split}.csv" for place in _places(task, split)))
    return [f"{place}{stem}_{split}.csv" for stem in _FILES[task][1:]]


def _training(training: Group, test: Group, media: Ints) -> TemplateList:
    """The training templates; an id of theirs stands for no test template."""
    template_list([training, test], media)
    return template_list([training], media)
