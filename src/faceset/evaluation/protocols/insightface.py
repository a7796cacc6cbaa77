"""IJB-B and IJB-C by the meta files that InsightFace distributes: pairs of templates, and search in two galleries.

C. Whitelam et al., "IARPA Janus Benchmark-B Face Dataset", CVPR workshops 2017; B. Maze et al., "IARPA Janus
Benchmark - C: Face Dataset and Protocol", ICB 2018. Form of the files: deepinsight/insightface,
``recognition/_evaluation_/ijb``.

``<edition>_template_pair_label.txt`` has one line a pair, ``1 11065 1``: two template ids and 1 for one person, 0 for
two. It names no people. Who they are is taken from the lists of 1:N where those are there; else templates that genuine
pairs join, directly or through others, are one person.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from faceset.evaluation.protocols.insightface_meta import (
    Faces,
    PeopleList,
    find_meta,
    need_meta,
    read_faces,
    read_people,
)
from faceset.evaluation.protocols.lines import first_repeat
from faceset.evaluation.protocols.tables import IntegerFile, read_integers
from faceset.evaluation.trials import (
    Bools,
    Experiment,
    GalleryTemplates,
    Identification,
    Ints,
    ProtocolFile,
    TemplateList,
    Verification,
)
from faceset.feature_table import Labels


class Edition(NamedTuple):
    """One of the two sets: its name in file names, its two galleries, and its official counts."""

    name: str
    galleries: tuple[str, str]
    faces: int
    templates: int
    pairs: int


IJBB = Edition("ijbb", ("S1", "S2"), 227_630, 12_115, 8_010_270)
IJBC = Edition("ijbc", ("G1", "G2"), 469_375, 23_124, 15_658_489)


@dataclass(frozen=True, slots=True, eq=False)
class _People:
    """The lists of 1:N as numbers of templates."""

    subject: Ints
    """(T,) subject ids."""
    galleries: tuple[GalleryTemplates, ...]
    probes: Ints
    files: tuple[ProtocolFile, ...]
    notes: tuple[str, ...]


def present(root: Path, edition: Edition) -> bool:
    """Whether the files of this form are there."""
    return find_meta(root, f"{edition.name}_face_tid_mid.txt") is not None


def load(root: Path, edition: Edition, task: str | None = None) -> tuple[Experiment, ...]:
    """What ``task`` names, ``verify`` or ``identify``; None: both, as far as their files are there.

    Raises:
        ProtocolError: see :func:`verification` and :func:`identification`.
    """
    meta = read_faces(root, edition.name)
    people = _read_lists(root, edition, meta) if task == "identify" or _any_list(root, edition) else None
    found: list[Experiment] = []
    if task == "verify" or (task is None and (people is None or find_meta(root, _pair_name(edition)))):
        found.append(_verification(root, edition, meta, people))
    if task != "verify" and people is not None:
        found.append(_identification(edition, meta, people))
    return tuple(found)


def verification(root: Path, edition: Edition) -> Verification:
    """1:1: all pairs of the list.

    Raises:
        ProtocolError: a file is missing or damaged; a pair twice, of a template with itself or of one without faces; a
            label that is neither 0 nor 1; labels that contradict the lists of 1:N or each other.
    """
    meta = read_faces(root, edition.name)
    return _verification(root, edition, meta, _read_lists(root, edition, meta) if _any_list(root, edition) else None)


def identification(root: Path, edition: Edition) -> Identification:
    """1:N: the mixed probes are searched for in each of the two galleries.

    Raises:
        ProtocolError: a file is missing or damaged; a template of a list without faces, in two lists or of two
            subjects; a subject twice in a gallery; a template with faces that is in no list.
    """
    meta = read_faces(root, edition.name)
    return _identification(edition, meta, _read_lists(root, edition, meta))


def _pair_name(edition: Edition) -> str:
    return f"{edition.name}_template_pair_label.txt"


def _list_names(edition: Edition) -> tuple[str, ...]:
    first, second = edition.galleries
    return tuple(f"{edition.name}_1N_{part}.csv" for part in (f"gallery_{first}", f"gallery_{second}", "probe_mixed"))


def _any_list(root: Path, edition: Edition) -> bool:
    return any(find_meta(root, name) for name in _list_names(edition))


def _templates(meta: Faces, subject: Labels) -> TemplateList:
    order = np.argsort(meta.template, kind="stable")
    return TemplateList(
        ids=tuple(map(str, meta.ids.tolist())),
        subject=subject,
        offsets=np.searchsorted(meta.template[order], np.arange(meta.ids.size + 1)).astype(np.int64),
        entries=meta.entry[order],
        media=meta.media[order],
    )


def _verification(root: Path, edition: Edition, meta: Faces, people: _People | None) -> Verification:
    pairs = read_integers(root, need_meta(root, _pair_name(edition)), 3)
    first, second = _numbers(pairs, 0, meta), _numbers(pairs, 1, meta)
    label = pairs.values[:, 2]
    if (wrong := np.flatnonzero(label > 1)).size:
        raise pairs.error(int(wrong[0]), f"the label is {label[wrong[0]]}, neither 0 nor 1")
    same = label == 1
    record = pairs.record()
    del label
    pairs = replace(pairs, values=pairs.values[:0].copy())  # only errors are made with it now
    if (wrong := np.flatnonzero(first == second)).size:
        raise pairs.error(int(wrong[0]), f"template {meta.ids[first[wrong[0]]]} is paired with itself")
    _check_repeats(pairs, first, second, meta.ids.size)
    notes = _size_notes(edition, meta, record.lines)
    if people is not None:
        _check_labels(pairs, first, second, same, people.subject, meta)
        subject = people.subject
    else:
        subject = meta.ids[_joined(pairs, first, second, same, meta.ids)]
        notes += (
            f"the files name no people ({_list_names(edition)[0]} and the other lists of 1:N are not there): templates "
            f"that genuine pairs join are one person ({np.unique(subject).size} in all), and intervals over subjects "
            "rest on this",
        )
    unused = meta.ids.size - np.unique(np.concatenate([np.unique(first), np.unique(second)])).size
    if unused:
        notes += (f"{unused} templates have faces but are in no pair",)
    return Verification(
        protocol=edition.name,
        part="",
        faces=meta.faces,
        templates=_templates(meta, Labels.of(list(map(str, subject.tolist())))),
        first=first,
        second=second,
        same=same,
        files=(*meta.files, record, *(people.files if people else ())),
        settings={"form": "insightface"},
        notes=notes,
    )


def _identification(edition: Edition, meta: Faces, people: _People) -> Identification:
    return Identification(
        protocol=edition.name,
        part="",
        faces=meta.faces,
        templates=_templates(meta, Labels.of(list(map(str, people.subject.tolist())))),
        galleries=people.galleries,
        probes=people.probes,
        files=(*meta.files, *people.files),
        settings={"form": "insightface"},
        notes=_size_notes(edition, meta) + people.notes,
    )


def _size_notes(edition: Edition, meta: Faces, pairs: int | None = None) -> tuple[str, ...]:
    notes: tuple[str, ...] = ()
    if meta.faces.landmarks is None:
        notes += (f"{edition.name}_name_5pts_score.txt is not there: no landmarks and no detector scores",)
    for what, count, official in (
        ("faces", len(meta.file.lines), edition.faces),
        ("templates", meta.ids.size, edition.templates),
        ("pairs", pairs, edition.pairs),
    ):
        if count is not None and count != official:
            notes += (f"{count} {what}; the official files have {official}",)
    return notes


def _numbers(pairs: IntegerFile, column: int, meta: Faces) -> Ints:
    """(P,) numbers of templates of a column of ids."""
    ids = pairs.values[:, column]
    top = int(meta.ids[-1])
    if top < 64 * meta.ids.size:  # ids are dense, as in the official files: a table is ten times as fast as a search
        table = np.full(top + 2, -1, dtype=np.int64)
        table[meta.ids] = np.arange(meta.ids.size)
        numbers = table[np.minimum(ids, top + 1)]
        wrong = np.flatnonzero(numbers < 0)
    else:
        numbers = np.minimum(np.searchsorted(meta.ids, ids), meta.ids.size - 1).astype(np.int64)
        wrong = np.flatnonzero(meta.ids[numbers] != ids)
    if wrong.size:
        raise pairs.error(
            int(wrong[0]),
            f"template {ids[wrong[0]]} has no faces in {meta.file.name}",
            "fetch both official files anew, from one source",
        )
    return numbers


def _check_repeats(pairs: IntegerFile, first: Ints, second: Ints, templates: int) -> None:
    keys = np.minimum(first, second)
    keys *= templates
    keys += np.maximum(first, second)
    ordered = np.sort(keys)
    again = ordered[1:][ordered[1:] == ordered[:-1]]
    if not again.size:
        return
    rows = np.flatnonzero(np.isin(keys, again))
    repeat = first_repeat(keys[rows])
    if repeat:
        earlier, later = (int(rows[at]) for at in repeat)
        raise pairs.error(later, f"the same pair as line {pairs.line(earlier)}")


def _check_labels(pairs: IntegerFile, first: Ints, second: Ints, same: Bools, subject: Ints, meta: Faces) -> None:
    wrong = np.flatnonzero((subject[first] == subject[second]) != same)
    if wrong.size:
        row = int(wrong[0])
        a, b = first[row], second[row]
        raise pairs.error(
            row,
            f"the label is {int(same[row])}, but by the lists of 1:N template {meta.ids[a]} is of subject {subject[a]} "
            f"and template {meta.ids[b]} of {subject[b]}",
            "fetch the official files anew, from one source",
        )


def _joined(pairs: IntegerFile, first: Ints, second: Ints, same: Bools, ids: Ints) -> Ints:
    """(T,) the least number of a template that genuine pairs join with each, directly or through others."""
    a, b = first[same], second[same]
    group = np.arange(ids.size)
    while True:
        least = np.minimum(group[a], group[b])
        before = group.copy()
        np.minimum.at(group, a, least)
        np.minimum.at(group, b, least)
        group = group[group]  # halves the way to the least
        if np.array_equal(before, group):
            break
    wrong = np.flatnonzero(~same & (group[first] == group[second]))
    if wrong.size:
        row = int(wrong[0])
        raise pairs.error(
            row,
            f"templates {ids[first[row]]} and {ids[second[row]]} are two people, but genuine pairs join them, "
            "directly or through others",
        )
    return group


def _read_lists(root: Path, edition: Edition, meta: Faces) -> _People:
    lists = [read_people(root, name) for name in _list_names(edition)]
    subject = np.full(meta.ids.size, -1, dtype=np.int64)
    listed_in = np.full(meta.ids.size, -1)
    rows = np.zeros(meta.ids.size, dtype=np.int64)
    numbers = []
    for at, people in enumerate(lists):
        number = np.minimum(np.searchsorted(meta.ids, people.templates), meta.ids.size - 1)
        _refuse(people, meta.ids[number] != people.templates, f"has no faces in {meta.file.name}")
        _refuse(people, listed_in[number] >= 0, "is in another list too")
        if at < 2 and (repeat := first_repeat(people.subjects)):
            raise people.file.error(
                int(people.lines[repeat[1]]),
                f"subject {people.subjects[repeat[1]]} has a second template, {people.templates[repeat[1]]}, after "
                f"{people.templates[repeat[0]]}; a gallery holds one for each",
            )
        subject[number], listed_in[number], rows[number] = people.subjects, at, people.rows
        numbers.append(number.astype(np.int64))
    if (missing := np.flatnonzero(listed_in < 0)).size:
        line = int(np.flatnonzero(meta.template == missing[0])[0]) + 1
        raise meta.file.error(
            line,
            f"template {meta.ids[missing[0]]} is in none of the lists of 1:N",
            "fetch the official files anew, from one source",
        )
    notes: tuple[str, ...] = ()
    if other := int(np.count_nonzero(rows != np.bincount(meta.template))):
        notes += (f"{other} templates have another number of faces than rows in the lists of 1:N",)
    strangers = int(np.count_nonzero(~np.isin(lists[2].subjects, np.concatenate([p.subjects for p in lists[:2]]))))
    if strangers:
        notes += (f"{strangers} probes are of people in neither gallery",)
    galleries = tuple(GalleryTemplates(name, n) for name, n in zip(edition.galleries, numbers[:2], strict=True))
    return _People(subject, galleries, numbers[2], tuple(p.file.record(headers=1) for p in lists), notes)


def _refuse(people: PeopleList, wrong: Bools, problem: str) -> None:
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise people.file.error(int(people.lines[at]), f"template {people.templates[at]} {problem}")
