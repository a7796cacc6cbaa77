"""What a protocol asks: which faces make which template, and which templates meet.

A protocol file is read into one of two forms, :class:`Verification` (1:1) or :class:`Identification` (1:N). Neither
holds features or pictures; both name faces by text, under which a feature table holds them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from faceset.errors import InputError
from faceset.feature_table import Labels

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class FaceList:
    """What a protocol's templates are made of: F entries, each once. An entry is a face, or all faces of a medium.

    Attributes:
        names: (F,) unique. The ``medium`` under which a feature table holds it, such as
            ``Abel_Pacheco/Abel_Pacheco_0001.jpg`` (LFW), ``Abel_Pacheco/0`` (a YTF video, all its frames), ``1.jpg``
            (IJB-C of InsightFace), ``img/8565.jpg#27394`` (IJB-A: file and sighting, as a file may show several).
        files: (F,) the picture of each, relative to the root of the pictures; None: the same as ``names``.
        boxes: (F, 4) float64 xyxy pixels, NaN where the protocol states none; None: none at all.
        landmarks: (F, 5, 2) float64 pixels of scheme ``arcface5``; None: the protocol states none.
        scores: (F,) float64 detector scores; None: the protocol states none.
    """

    names: tuple[str, ...]
    files: tuple[str, ...] | None = None
    boxes: npt.NDArray[np.float64] | None = None
    landmarks: npt.NDArray[np.float64] | None = None
    scores: npt.NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def file(self, index: int) -> str:
        """The picture of an entry."""
        return self.names[index] if self.files is None else self.files[index]


@dataclass(frozen=True, slots=True, eq=False)
class TemplateList:
    """T templates, each a list of entries of a :class:`FaceList`; R entries in all.

    Attributes:
        ids: (T,) unique, as the protocol calls them.
        subject: (T,) who each is of.
        offsets: (T + 1,) template t holds ``entries[offsets[t]:offsets[t + 1]]``; never empty.
        entries: (R,) numbers of entries of the face list; one may be part of several templates.
        media: (R,) number of the medium of each entry: equal for pictures of one video.
    """

    ids: tuple[str, ...]
    subject: Labels
    offsets: Ints
    entries: Ints
    media: Ints

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def subjects(self) -> int:
        """Number of people."""
        return len(self.subject.names)

    @property
    def sizes(self) -> Ints:
        """(T,) entries of each template."""
        return np.diff(self.offsets)

    @classmethod
    def of(
        cls, ids: Sequence[str], subjects: Sequence[str], members: Sequence[Sequence[int]], media: Sequence[int] | Ints
    ) -> TemplateList:
        """From one list of entries a template; ``media[f]`` is the medium of entry f of the face list.

        Raises:
            InputError: an id twice, a template of nothing, or lengths that do not fit.
        """
        if not (len(ids) == len(subjects) == len(members)):
            raise InputError(f"{len(ids)} ids, {len(subjects)} subjects and {len(members)} templates do not fit")
        if len(set(ids)) != len(ids):
            raise InputError("an id stands for two templates")
        sizes = [len(m) for m in members]
        if 0 in sizes:
            raise InputError(f"template {ids[sizes.index(0)]} has no faces")
        entries = np.array([e for m in members for e in m], dtype=np.int64)
        return cls(
            ids=tuple(ids),
            subject=Labels.of(list(subjects)),
            offsets=np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64),
            entries=entries,
            media=np.asarray(media, dtype=np.int64)[entries],
        )


@dataclass(frozen=True, slots=True)
class ProtocolFile:
    """An official file that was read.

    Attributes:
        name: relative to the root of the protocol.
        sha256: of its bytes, hexadecimal.
        lines: number of lines that carry data.
    """

    name: str
    sha256: str
    lines: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"name": self.name, "sha256": self.sha256, "lines": self.lines}


@dataclass(frozen=True, slots=True, eq=False)
class Verification:
    """1:1: pairs of templates.

    Attributes:
        protocol: its name, such as ``ijba``.
        part: which part of it, such as ``split 1``; empty where there is one only.
        faces: what templates are made of.
        templates: the test templates.
        first, second: (P,) numbers of templates.
        same: (P,) bool, whether both are of one person.
        folds: (P,) number of the fold of each pair, from 0; None where the protocol has none. With folds the headline
            is k-fold accuracy, without it is TAR@FAR.
        train: the templates of the training side; None where the protocol names none.
        files: what was read.
        settings: what was chosen (list, split, seed ...), for the signature.
        notes: sentences a reader of the result must see.
    """

    protocol: str
    part: str
    faces: FaceList
    templates: TemplateList
    first: Ints
    second: Ints
    same: Bools
    folds: Ints | None = None
    train: TemplateList | None = None
    files: tuple[ProtocolFile, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    task = "verification"

    @property
    def genuine(self) -> int:
        """Number of pairs of one person."""
        return int(np.count_nonzero(self.same))

    @property
    def impostors(self) -> int:
        """Number of pairs of two people."""
        return self.same.size - self.genuine


@dataclass(frozen=True, slots=True, eq=False)
class GalleryTemplates:
    """One gallery: its name, such as ``G1``, and the numbers of its templates (G,)."""

    name: str
    templates: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Identification:
    """1:N: every probe is searched for in each gallery apart.

    A search is *mated* when the probe's subject is in that gallery. Where a subject has several templates in a gallery,
    the best of them counts.

    Attributes:
        galleries: searched one by one; figures are averaged over them.
        probes: (Q,) numbers of templates.
        close_set: every probe has a mate by definition of the protocol, so that only ranks are of interest.
        others: see :class:`Verification`.
    """

    protocol: str
    part: str
    faces: FaceList
    templates: TemplateList
    galleries: tuple[GalleryTemplates, ...]
    probes: Ints
    close_set: bool = False
    train: TemplateList | None = None
    files: tuple[ProtocolFile, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    task = "identification"


Experiment = Verification | Identification
