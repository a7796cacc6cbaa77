"""Celebrity-1000: search of tracked face sequences among the people of a gallery.

L. Liu, L. Zhang, H. Liu, S. Yan, "Toward Large-Population Face Identification in Unconstrained Videos", IEEE T-CSVT
24(11), 2014. Close-set: 100, 200, 500 or 1000 people, whose gallery videos may be trained on. Open-set: 100, 200, 400
or 800 people whom no training sequence shows. Both report rank-1.

The lists are in the form of YirongMao/NAN (``prepare_data/dataset_Celeb.py``): ``close/sub_video_seq_<people>.mat``, or
``open/`` likewise, a MATLAB file with matrices ``gallery`` and ``probe`` of rows ``subject, video, sequence``. A
sequence is called ``<subject>/<video>/<sequence>``, the first two with four digits: ``0001/0003/12``. A matrix
``train`` of the same form, where there is one, lists the training sequences.

Templates follow the NAN paper (J. Yang et al., CVPR 2017, "Celebrity-1000"). Gallery: all sequences of a subject
aggregated into one ("SubjectAggr"), or one template a video, of which the best counts ("VideoAggr"). Probes: one
template a sequence; the list makers' later code has one a video.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from faceset.errors import InputError
from faceset.evaluation.protocols.lines import find_file, first_repeat
from faceset.evaluation.protocols.matlab import Matrices, read_matrices
from faceset.evaluation.trials import Experiment, FaceList, GalleryTemplates, Identification, Ints, TemplateList
from faceset.feature_table import Labels

TITLE = "Celebrity-1000"
LAYOUT = "close/sub_video_seq_<people>.mat and open/sub_video_seq_<people>.mat"

SUBJECTS = {"close": (100, 200, 500, 1000), "open": (100, 200, 400, 800)}
"""Official numbers of people."""

_DEPTH = {"subject": 1, "video": 2, "sequence": 3}
"""Columns that tell templates apart."""


def load(
    root: Path,
    *,
    task: str | None = None,
    set: str = "close",
    subjects: int = 100,
    gallery: str = "subject",
    probe: str = "sequence",
) -> tuple[Experiment, ...]:
    """The experiments of this protocol; see :func:`identification`. It has no verification.

    Raises:
        InputError: verification was asked for, or see :func:`identification`.
        ProtocolError: see :func:`identification`.
    """
    if task not in (None, "identify"):
        raise InputError(f"celebrity1000 has no task {task!r}; it has 'identify'")
    return (identification(root, set=set, subjects=subjects, gallery=gallery, probe=probe),)


def identification(
    root: Path, *, set: str = "close", subjects: int = 100, gallery: str = "subject", probe: str = "sequence"
) -> Identification:
    """Search of the probes of one list in its gallery.

    Args:
        root: the folder that holds ``close`` and ``open``.
        set: ``close``, where everyone who is searched for is enrolled, or ``open``, where a probe of someone who is not
            in the gallery is non-mated.
        subjects: number of people in the name of the list.
        gallery: what a template of the gallery is made of: ``subject``, ``video`` or ``sequence``.
        probe: what a probe is made of: ``sequence`` or ``video``.

    Raises:
        InputError: an option that is not known.
        ProtocolError: the list is missing or damaged: not whole numbers in rows of three, a row twice or in gallery and
            probe, a probe without a mate in close-set, a training subject who is tested in open-set.
    """
    for what, value, choices in (
        ("set", set, tuple(SUBJECTS)),
        ("subjects", subjects, SUBJECTS.get(set, ())),
        ("gallery", gallery, tuple(_DEPTH)),
        ("probe", probe, ("sequence", "video")),
    ):
        if value not in choices:
            raise InputError(f"celebrity1000 has no {what} {value!r}; choose one of {', '.join(map(str, choices))}")
    root = Path(root)
    name = find_file(root, f"{set}/sub_video_seq_{subjects}.mat")
    lists = read_matrices(root, name, required=("gallery", "probe"), optional=("train",), columns=3)
    _check_rows(lists)
    _check_people(lists, set)
    rows = np.concatenate(list(lists.rows.values()))
    sequences, entry = np.unique(rows, axis=0, return_inverse=True)
    entries = dict(
        zip(lists.rows, np.split(entry.reshape(-1), np.cumsum([len(r) for r in lists.rows.values()])[:-1]), strict=True)
    )
    faces = FaceList(tuple(_name(row) for row in sequences.tolist()))
    enrolled = _group(lists.rows["gallery"], _DEPTH[gallery])
    searched = _group(lists.rows["probe"], _DEPTH[probe])
    media = np.unique(sequences[:, :2], axis=0, return_inverse=True)[1].reshape(-1)
    templates = _templates(
        [
            ("gallery", lists.rows["gallery"], enrolled, _DEPTH[gallery]),
            ("probe", lists.rows["probe"], searched, _DEPTH[probe]),
        ],
        entries,
        media,
    )
    train = None
    if "train" in lists.rows:
        each = [np.array([row]) for row in range(len(lists.rows["train"]))]
        train = _templates([("train", lists.rows["train"], each, 3)], entries, media)
    known = np.unique(lists.rows["gallery"][:, 0])
    mated = np.isin([lists.rows["probe"][of[0], 0] for of in searched], known)
    return Identification(
        protocol="celebrity1000",
        part=f"{set}-set {subjects}",
        faces=faces,
        templates=templates,
        galleries=(GalleryTemplates("gallery", np.arange(len(enrolled), dtype=np.int64)),),
        probes=np.arange(len(enrolled), len(enrolled) + len(searched), dtype=np.int64),
        close_set=bool(mated.all()),
        train=train,
        files=(lists.record(),),
        settings={"set": set, "subjects": subjects, "gallery": gallery, "probe": probe},
        notes=_notes(lists, subjects, known),
    )


def _name(row: Sequence[int]) -> str:
    subject, video, *sequence = row
    return "/".join([f"{subject:04d}", f"{video:04d}", *map(str, sequence)])


def _check_rows(lists: Matrices) -> None:
    for matrix, rows in lists.rows.items():
        repeat = first_repeat([tuple(row) for row in rows.tolist()])
        if repeat:
            raise lists.error(matrix, repeat[1], f"{_name(rows[repeat[1]])} is in row {repeat[0] + 1} already")
    enrolled = {tuple(row): at for at, row in enumerate(lists.rows["gallery"].tolist(), 1)}
    for at, row in enumerate(lists.rows["probe"].tolist()):
        if tuple(row) in enrolled:
            raise lists.error("probe", at, f"{_name(row)} is in the gallery too, row {enrolled[tuple(row)]}")


def _check_people(lists: Matrices, which: str) -> None:
    gallery, probe = lists.rows["gallery"][:, 0], lists.rows["probe"][:, 0]
    if which == "close" and (wrong := np.flatnonzero(~np.isin(probe, gallery))).size:
        raise lists.error("probe", int(wrong[0]), f"subject {probe[wrong[0]]} is not in the gallery of a close set")
    if which == "open" and "train" in lists.rows:
        train = lists.rows["train"][:, 0]
        if (wrong := np.flatnonzero(np.isin(train, np.concatenate([gallery, probe])))).size:
            raise lists.error("train", int(wrong[0]), f"subject {train[wrong[0]]} is tested too, in an open set")


def _group(rows: Ints, depth: int) -> list[Ints]:
    """The rows of each template: those that agree in the first ``depth`` columns, in ascending order of these."""
    which, counts = np.unique(rows[:, :depth], axis=0, return_inverse=True, return_counts=True)[1:]
    return np.split(np.argsort(which.reshape(-1), kind="stable").astype(np.int64), np.cumsum(counts)[:-1])


def _templates(
    parts: Sequence[tuple[str, Ints, list[Ints], int]], entries: dict[str, Ints], media: Ints
) -> TemplateList:
    ids, subjects, members = [], [], []
    for matrix, rows, groups, depth in parts:
        for of in groups:
            first = rows[of[0]].tolist()
            label = f"{first[0]:04d}" if depth == 1 else _name(first[:depth])
            ids.append(f"{matrix} {label}")
            subjects.append(f"{first[0]:04d}")
            members.append(np.sort(entries[matrix][of]))
    sizes = [len(of) for of in members]
    joined = np.concatenate(members)
    return TemplateList(
        ids=tuple(ids),
        subject=Labels.of(subjects),
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        entries=joined.astype(np.int64),
        media=media[joined].astype(np.int64),
    )


def _notes(lists: Matrices, subjects: int, known: Ints) -> tuple[str, ...]:
    notes: tuple[str, ...] = ()
    if known.size != subjects:
        notes += (f"the gallery has {known.size} subjects; the name of the list says {subjects}",)
    videos = [{tuple(row) for row in lists.rows[matrix][:, :2].tolist()} for matrix in ("gallery", "probe")]
    if both := len(videos[0] & videos[1]):
        notes += (f"{both} videos have sequences in the gallery and among the probes",)
    return notes
