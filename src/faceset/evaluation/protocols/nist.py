"""IJB-B and IJB-C from NIST's own CSV files, in both layouts.

Layout ``classic`` (the first releases; ``protocols/archive/`` in the present one)::

    ijbc_1N_gallery_G1.csv  ijbc_1N_gallery_G2.csv  ijbc_1N_probe_mixed.csv  ijbc_11_G1_G2_matches.csv
    ijbb_1N_gallery_S1.csv  ijbb_1N_gallery_S2.csv  ijbb_1N_probe_mixed.csv  ijbb_11_S1_S2_matches.csv

Layout ``tests`` (the present download, see gitlab.idiap.ch/bob/bob.bio.face/-/issues/61)::

    test1/{enroll_templates,verif_templates,match}.csv       1:1
    test4/{gallery_G1,gallery_G2,probes}.csv                 1:N, mixed media
    ijbc_metadata_with_age.csv                               the sightings, which the tables above leave out

Either stands in the root, in ``protocol/`` or in ``protocols/``. The trials are of the same form in both: 1:1 compares
the pairs that are listed, enrolled templates of both galleries with mixed probes; 1:N searches every mixed probe in
each gallery apart, so that people of the other gallery are non-mated.

Columns go by their name in the header, as their number and order changed. Sources of what is read here:

- IJB-C classic, 8 columns: ``IJBC/meta/ijbc_1N_gallery_G1.csv`` of github.com/c-mengyi/C2F-GDLR:
  ``TEMPLATE_ID,SUBJECT_ID,FILENAME,SIGHTING_ID,FACE_X,FACE_Y,FACE_WIDTH,FACE_HEIGHT``. The first release had FRAME_NUM,
  FACIAL_HAIR .. ROLL and OCC1 .. OCC18 behind them, 34 in all (reader ``janus.dataset.ijbc`` of strpy).
- IJB-B classic: 16 columns with FILE, NOSE_BASE_X, FRAME, CS2_BOOL in the first release, 15 from 15 July 2016, and
  FILENAME, NOSE_X in release 2 (reader ``janus.dataset.ijbb`` of strpy).
- tests: ``TEMPLATE_ID,SUBJECT_ID,FILENAME,FACE_X,FACE_Y,FACE_WIDTH,FACE_HEIGHT``, by names that ``IJBCDatabase`` of
  bob.bio.face reads; a join of it, switched off, takes SIGHTING_ID from the metadata by subject, file and box. That
  IJB-B has this layout too is an assumption.
- pairs: two ids, no header (strpy, and ``bob/db/ijbc/reader.py`` of bioidiap/bob.db.ijbc); ``match.csv`` with header
  ``ENROLL_TEMPLATE_ID,VERIF_TEMPLATE_ID``, by which public loaders index it. Both are accepted.

A SIGHTING_ID is one still or one track of a person in a video, which is the *medium* of the protocol: InsightFace's
``ijbc_face_tid_mid.txt`` starts ``1.jpg 1 69544``, and the first row of gallery G1 is ``1,1,img/116262.jpg,69544,...``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np

from faceset.errors import InputError
from faceset.evaluation.protocols.nist_counts import IJB_1TO1, IJB_1TO1_NAMES, deviations
from faceset.evaluation.protocols.nist_pairs import is_cut_short, pair_up
from faceset.evaluation.protocols.nist_rows import (
    Faces,
    Group,
    group,
    notes_of,
    template_list,
)
from faceset.evaluation.protocols.nist_sightings import Sightings, read_sightings
from faceset.evaluation.protocols.nist_tables import read_table
from faceset.evaluation.protocols.tables import read_integers
from faceset.evaluation.trials import Experiment, GalleryTemplates, Identification, ProtocolFile, Verification

Edition = Literal["ijbb", "ijbc"]
Task = Literal["verify", "identify"]

GALLERIES: dict[Edition, tuple[str, str]] = {"ijbb": ("S1", "S2"), "ijbc": ("G1", "G2")}
PLACES = ("", "protocols/", "protocol/")
MATCH_HEADER = "ENROLL_TEMPLATE_ID,VERIF_TEMPLATE_ID"


def load_ijb(root: Path, edition: Edition, task: Task | None = None) -> tuple[Experiment, ...] | None:
    """What ``root`` holds of an edition in NIST's form: 1:1, then 1:N.

    Where both layouts are there, ``tests`` is read, as NIST's present release; ``settings["layout"]`` says which.

    Args:
        root: folder of the files, or of ``protocols/`` or ``protocol/``.
        edition: ``ijbb`` or ``ijbc``.
        task: only this; None: what is there.

    Returns:
        None if there is no file of NIST's form for what is asked.

    Raises:
        InputError: no such edition or task.
        ProtocolError: a file of a set of files is missing, or one is damaged; the message names file, line and cure.
    """
    root = Path(root)
    if edition not in GALLERIES:
        raise InputError(f"no edition {edition!r}; editions are {', '.join(GALLERIES)}")
    if task not in (None, "verify", "identify"):
        raise InputError(f"no task {task!r}; tasks are verify, identify")
    experiments: list[Experiment] = []
    for each, read in (("verify", _verification), ("identify", _identification)):
        if task in (None, each):
            found = read(root, edition)
            experiments += [] if found is None else [found]
    return tuple(experiments) or None


def _place(root: Path, names: Sequence[str], places: Sequence[str] = PLACES) -> str | None:
    """The first folder, with a slash at the end, that holds one of the names."""
    return next((place for place in places if any((root / (place + name)).is_file() for name in names)), None)


def _classic(root: Path, edition: Edition, names: Sequence[str]) -> str | None:
    return _place(root, names, (*PLACES, "protocols/archive/", "protocol/archive/", "archive/"))


def _verification(root: Path, edition: Edition) -> Verification | None:
    names = ("enroll_templates.csv", "verif_templates.csv", "match.csv")
    place = _place(root, names, [f"{place}test1/" for place in PLACES])
    sightings = None
    if place is not None:
        layout, matches = "tests", place + names[2]
        enrol, verify = [place + names[0]], place + names[1]
        sightings = read_sightings(root, edition, place.removesuffix("test1/"))
    else:
        layout = "classic"
        one, two = GALLERIES[edition]
        matches = f"{edition}_11_{one}_{two}_matches.csv"
        place = _classic(root, edition, [matches])
        if place is None:
            return None
        matches = place + matches
        enrol = [f"{place}{edition}_1N_gallery_{name}.csv" for name in (one, two)]
        verify = f"{place}{edition}_1N_probe_mixed.csv"
    faces = Faces()
    groups = [group(read_table(root, name, sightings), faces) for name in (*enrol, verify)]
    face_list = faces.face_list()
    templates = template_list(groups, faces.media())
    enrolled = np.arange(len(templates)) < len(templates) - len(groups[-1].ids)
    pairs = read_integers(root, matches, 2, ",", MATCH_HEADER)
    first, second = pair_up(pairs, templates.ids, enrolled, ~enrolled)
    codes = templates.subject.codes
    idle = len(templates) - np.unique(np.concatenate([np.unique(first), np.unique(second)])).size
    return Verification(
        protocol=edition,
        part="",
        faces=face_list,
        templates=templates,
        first=first,
        second=second,
        same=codes[first] == codes[second],
        files=(*_records(groups, sightings), pairs.record()),
        settings={"form": "nist", "layout": layout},
        notes=(
            *notes_of(face_list),
            *_sighting_notes(sightings),
            *_ended_notes(groups, [matches] if is_cut_short(root, matches) else []),
            *deviations(IJB_1TO1_NAMES, IJB_1TO1[edition], (len(templates), first.size)),
            *((f"{idle} of {len(templates)} templates are in no comparison.",) if idle else ()),
        ),
    )


def _identification(root: Path, edition: Edition) -> Identification | None:
    names = GALLERIES[edition]
    gallery, probe = [f"gallery_{name}.csv" for name in names], "probes.csv"
    place = _place(root, (*gallery, probe), [f"{place}test4/" for place in PLACES])
    layout, sightings = "tests", None
    if place is not None:
        sightings = read_sightings(root, edition, place.removesuffix("test4/"))
    else:
        layout = "classic"
        gallery, probe = [f"{edition}_1N_gallery_{name}.csv" for name in names], f"{edition}_1N_probe_mixed.csv"
        place = _classic(root, edition, (*gallery, probe))
        if place is None:
            return None
    faces = Faces()
    groups = [group(read_table(root, place + name, sightings), faces) for name in (*gallery, probe)]
    face_list = faces.face_list()
    stops = np.cumsum([0, *(len(part.ids) for part in groups)])
    ranges = [np.arange(start, stop, dtype=np.int64) for start, stop in pairwise(stops)]
    extra = sum(len(part.ids) - len(set(part.subjects)) for part in groups[:-1])
    return Identification(
        protocol=edition,
        part="",
        faces=face_list,
        templates=template_list(groups, faces.media()),
        galleries=tuple(GalleryTemplates(name, ids) for name, ids in zip(names, ranges[:-1], strict=True)),
        probes=ranges[-1],
        files=_records(groups, sightings),
        settings={"form": "nist", "layout": layout},
        notes=(
            *notes_of(face_list),
            *_sighting_notes(sightings),
            *_ended_notes(groups),
            *((f"{extra} gallery templates are of a subject that has one already.",) if extra else ()),
        ),
    )


def _records(groups: Sequence[Group], sightings: Sightings | None) -> tuple[ProtocolFile, ...]:
    """The tables, and the metadata where they were read."""
    metadata = None if sightings is None else sightings.file
    return (*(part.rows.csv.record() for part in groups), *(() if metadata is None else (metadata,)))


def _sighting_notes(sightings: Sightings | None) -> tuple[str, ...]:
    return () if sightings is None else sightings.notes()


def _ended_notes(groups: Sequence[Group], others: Sequence[str] = ()) -> tuple[str, ...]:
    """Files whose last line may be cut short. No error: whether all releases end it is not known."""
    names = [*(part.rows.csv.file.name for part in groups if not part.rows.csv.file.ended), *others]
    return (f"The last line of {', '.join(names)} has no line end; it may be cut short.",) if names else ()
