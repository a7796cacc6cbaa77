"""Trained weights that come with the package, each for one embedder, and which of them is used by default."""

from __future__ import annotations

import hashlib
import importlib.resources
import logging
from functools import cache

from faceset.aggregation.base import Aggregator
from faceset.aggregation.onnx_aggregator import OnnxAggregator
from faceset.aggregation.packed import imported
from faceset.errors import InputError

log = logging.getLogger("faceset")

SHIPPED = ("anchored", "ers", "nan")
"""Aggregators that need weights; ``docs/aggregation.md`` has their formulas, ``MODEL_CARD.md`` beside them the rest."""


@cache
def _load(name: str) -> OnnxAggregator:
    data = (importlib.resources.files("faceset.aggregation") / "weights" / f"{name}.onnx").read_bytes()
    # The name tells one set of weights from the next, so that a gallery knows when its templates are of an older one.
    return OnnxAggregator(data, f"{name}:{hashlib.sha256(data).hexdigest()[:8]}")


def shipped(name: str, model_id: str) -> OnnxAggregator | None:
    """The trained aggregator of that kind for the embedder ``model_id``; None when there is none.

    Its name is ``<kind>:<8 hex digits>``, a digest of the weights.
    """
    found = _load(name)
    return found if found.embedder_id == model_id else None


def trained(name: str, model_id: str) -> OnnxAggregator:
    """As :func:`shipped`, or from an imported pack of that embedder.

    Raises:
        InputError: no weights ship for that embedder, and none were imported.
        ModelFileError: the pack is damaged.
    """
    found = shipped(name, model_id) or imported(model_id, name)
    if found is None:
        raise InputError(
            f"aggregator {name!r} ships with weights for embedder {_load(name).embedder_id}, not for {model_id}; "
            "train one with `faceset train` and give its file, or use one without weights, such as 'mean'"
        )
    return found


def default(model_id: str, *, stored: bool = True) -> Aggregator:
    """What is used where nothing else is asked for.

    ``DEFAULT`` for the embedder it was trained for, else that of an imported pack of the embedder (with ``stored``),
    else the mean.

    Raises:
        ModelFileError: the pack is damaged.
    """
    from faceset.aggregation import DEFAULT, get

    found = (
        (shipped(DEFAULT, model_id) or (imported(model_id) if stored else None)) if DEFAULT in SHIPPED else get(DEFAULT)
    )
    if found is None:
        log.info("no trained aggregator is here for embedder %s; faces are averaged", model_id)
        return get("mean")
    return found
