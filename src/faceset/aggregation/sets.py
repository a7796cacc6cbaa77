"""From face sets to one template."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from faceset.aggregation.base import Aggregator
from faceset.errors import EmbedderMismatchError, EmptySetError, InputError
from faceset.types import FaceSet, Template


def aggregate_set(aggregator: Aggregator, faces: FaceSet | Sequence[FaceSet]) -> Template:
    """One template over all faces of one person.

    Sets of one medium (by digest, or by name where there is none) count as one medium; the detector's scores are the
    quality.

    Args:
        aggregator: from :func:`faceset.aggregation.get`.
        faces: a face set, or several of the same person.

    Raises:
        EmptySetError: no face set was given.
        EmbedderMismatchError: the sets, or the aggregator, are of different embedders.
        InputError: features of different widths, or that the aggregator refuses.
    """
    sets = [faces] if isinstance(faces, FaceSet) else list(faces)
    if not sets:
        raise EmptySetError("a template needs at least one face set, but got none")
    model_id = sets[0].model_id
    for other in sets[1:]:
        if other.model_id != model_id:
            raise EmbedderMismatchError(
                f"{sets[0].media!r} and {other.media!r} were embedded by {model_id!r} and {other.model_id!r}; "
                "embed both with the same model"
            )
    trained_for = getattr(aggregator, "embedder_id", "")
    if trained_for and trained_for != model_id:
        raise EmbedderMismatchError(
            f"aggregator {aggregator.name!r} was trained for embedder {trained_for!r}, but the faces are of "
            f"{model_id!r}; take another aggregator or embedder"
        )
    widths = {s.features.shape[1] for s in sets}
    if len(widths) != 1:
        raise InputError(f"face sets of one template need features of one width, but got {sorted(widths)}")
    numbers: dict[str, int] = {}
    media = [numbers.setdefault(s.digest or s.media, len(numbers)) for s in sets for _ in s.faces]
    features = np.concatenate([s.features for s in sets])
    quality = np.concatenate([s.quality for s in sets])
    out = aggregator(features, [0, len(features)], media=media, quality=quality)
    return Template(
        vector=out.templates[0],
        model_id=model_id,
        aggregator=aggregator.name,
        weights=out.weights,
        consistency=float(out.consistency[0]),
        faces=tuple(f for s in sets for f in s.faces),
    )
