"""Experiments and feature tables for the tests of evaluation, made of plain lists or drawn at random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from faceset.evaluation.trials import FaceList, GalleryTemplates, Identification, TemplateList, Verification
from faceset.feature_table import FeatureRow, FeatureTable, table_of


def face_row(medium: str, vector: Sequence[float], **columns: Any) -> FeatureRow:
    """A row with the columns that matter here."""
    values: dict[str, Any] = {"box": (0.0, 0.0, 1.0, 1.0), "score": 1.0, "subject": "s", **columns}
    return FeatureRow(medium=medium, vector=np.array(vector, np.float32), **values)


def table(rows: Sequence[FeatureRow], embedder: str = "toy") -> FeatureTable:
    """A table of these rows."""
    return table_of(rows, embedder, width=2 if not rows else None)


def templates_of(
    members: Mapping[str, tuple[str, Sequence[str]]], names: Sequence[str], media: Sequence[int] | None = None
) -> TemplateList:
    """Template id -> (subject, names of its entries)."""
    number = {name: i for i, name in enumerate(names)}
    return TemplateList.of(
        list(members),
        [subject for subject, _ in members.values()],
        [[number[n] for n in entries] for _, entries in members.values()],
        list(range(len(names))) if media is None else media,
    )


def verification(
    members: Mapping[str, tuple[str, Sequence[str]]],
    pairs: Sequence[tuple[str, str]],
    *,
    folds: Sequence[int] | None = None,
    names: Sequence[str] | None = None,
    media: Sequence[int] | None = None,
) -> Verification:
    """Pairs of template ids; the label is equality of subjects."""
    names = sorted({n for _, entries in members.values() for n in entries}) if names is None else names
    templates = templates_of(members, names, media)
    number = {template: i for i, template in enumerate(templates.ids)}
    first, second = (np.array([number[p[i]] for p in pairs], np.int64) for i in (0, 1))
    codes = templates.subject.codes
    return Verification(
        protocol="toy",
        part="",
        faces=FaceList(tuple(names)),
        templates=templates,
        first=first,
        second=second,
        same=codes[first] == codes[second],
        folds=None if folds is None else np.array(folds, np.int64),
    )


def identification(
    members: Mapping[str, tuple[str, Sequence[str]]],
    galleries: Mapping[str, Sequence[str]],
    probes: Sequence[str],
    **options: Any,
) -> Identification:
    """Galleries and probes as template ids."""
    names = sorted({n for _, entries in members.values() for n in entries})
    templates = templates_of(members, names)
    number = {template: i for i, template in enumerate(templates.ids)}
    return Identification(
        protocol="toy",
        part="",
        faces=FaceList(tuple(names)),
        templates=templates,
        galleries=tuple(
            GalleryTemplates(name, np.array([number[t] for t in ids], np.int64)) for name, ids in galleries.items()
        ),
        probes=np.array([number[p] for p in probes], np.int64),
        **options,
    )


class Drawn:
    """A random job: ragged templates over shared entries, some without faces, some faces twice.

    Attributes:
        members: template id -> (subject, entries).
        faces: entry -> rows.
        pairs: pairs of template ids, every one of two different templates.
    """

    def __init__(self, seed: int, *, subjects: int = 12, width: int = 8, missing: float = 0.1) -> None:
        rng = np.random.default_rng(seed)
        centres = rng.standard_normal((subjects, width))
        self.faces: dict[str, list[FeatureRow]] = {}
        self.members: dict[str, tuple[str, list[str]]] = {}
        for s in range(subjects):
            entries = [f"s{s:02}/{i}.jpg" for i in range(6)]
            for entry in entries:
                rows = [
                    face_row(entry, 3 * (centres[s] + rng.standard_normal(width)), frame=f, score=float(rng.random()))
                    for f in range(rng.integers(1, 5))
                ]
                if rng.random() < missing:
                    rows = []
                elif rng.random() < 0.1:
                    rows.append(rows[0])
                self.faces[entry] = rows
            for t in range(4):
                chosen = rng.choice(entries, size=rng.integers(1, 5), replace=False).tolist()
                self.members[f"t{rng.integers(10**6)}-{s}-{t}"] = (f"person {s}", chosen)
        ids = list(self.members)
        self.pairs = [(a, b) for i, a in enumerate(ids) for b in ids[i + 1 :]]

    def table(self, seed: int | None = None) -> FeatureTable:
        """The rows, in another order for each seed."""
        rows = [row for found in self.faces.values() for row in found]
        if seed is not None:
            rows = [rows[i] for i in np.random.default_rng(seed).permutation(len(rows))]
        return table(rows)
