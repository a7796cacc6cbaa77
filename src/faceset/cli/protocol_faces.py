"""The faces that a protocol names, as extraction takes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from faceset.evaluation.trials import Experiment
    from faceset.extraction import GivenFace


def media_of(experiments: Sequence[Experiment]) -> list[str] | None:
    """Names of the media, where the protocol names whole media and says nothing of where the faces are; else None."""
    if any(
        e.faces.files is not None or e.faces.boxes is not None or e.faces.landmarks is not None for e in experiments
    ):
        return None
    return sorted({e.faces.names[i] for e in experiments for i in _subjects(e)})


def faces_of(experiments: Sequence[Experiment]) -> Iterator[GivenFace]:
    """Every face of the test and training templates; a face of several experiments comes once for each.

    Raises:
        InputError: a face that cannot be, such as one outside the folder of the pictures.
    """
    from faceset.extraction import GivenFace

    known: dict[str, str] = {}  # some parts of a protocol name the subject of a face, others only its template
    for experiment in experiments:
        faces = experiment.faces
        for i, subject in _subjects(experiment).items():
            name = faces.names[i]
            box = None if faces.boxes is None or not np.isfinite(faces.boxes[i]).all() else faces.boxes[i].tolist()
            points = None if faces.landmarks is None else faces.landmarks[i]
            yield GivenFace(
                name=name,
                subject=known.setdefault(name, subject),
                file=faces.file(i),
                box=None if box is None else (box[0], box[1], box[2], box[3]),
                landmarks=None if points is None or not np.isfinite(points).all() else points.astype(np.float32),
                score=None if faces.scores is None else float(faces.scores[i]),
            )


def _subjects(experiment: Experiment) -> dict[int, str]:
    """Number of each face that is part of a template -> subject, in the order of the face list."""
    found: dict[int, str] = {}
    for templates in (experiment.templates, experiment.train):
        if templates is not None:
            codes = np.repeat(templates.subject.codes, templates.sizes)
            for entry, code in zip(templates.entries.tolist(), codes.tolist(), strict=True):
                found.setdefault(entry, templates.subject.names[code])
    return dict(sorted(found.items()))
