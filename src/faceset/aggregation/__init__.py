"""Features of many faces to one template and a weight for each face.

``aggregation.get("mean")`` gives an :class:`Aggregator`; all share one ragged call. ``docs/aggregation.md`` has the
formulas.
"""

from __future__ import annotations

from typing import Any

from faceset.aggregation.base import Aggregated, Aggregator
from faceset.aggregation.sets import aggregate_set
from faceset.errors import InputError

__all__ = ["DEFAULT", "Aggregated", "Aggregator", "aggregate_set", "get", "names"]

DEFAULT = "mean"
"""What is used where nothing else is asked for."""

_CLOSED_FORMS = {
    "mean": "mean",
    "norm": "norm",
    "norm-score": "norm_score",
    "medoid": "medoid",
    "best": "best",
    "media-first": "media_first",
}


def names() -> list[str]:
    """Every name that :func:`get` knows, sorted."""
    return sorted([*_CLOSED_FORMS, "media-first+norm", "media-first+norm-score", "trimmed", "nan"])


def get(name: str, **options: Any) -> Aggregator:
    """The aggregator of that name.

    Args:
        name: one of :func:`names`.
        options: ``base=`` for ``media-first`` (``media-first+norm`` is the same as ``base="norm"``); ``bound=``,
            ``factor=``, ``keep=``, ``rounds=`` for ``trimmed``; ``model=`` for ``nan``: the path of a trained file
            (without it the parameters are zero, which is the mean).

    Raises:
        InputError: unknown name, or an option that the aggregator does not have.
        ModelFileError: the model file cannot be used.
    """
    if name not in names():
        raise InputError(f"no aggregator is called {name!r}; take one of {', '.join(names())}")
    try:
        return _make(name, options)
    except TypeError as e:
        raise InputError(f"aggregator {name!r} does not take the options {sorted(options)} ({e})") from e


def _make(name: str, options: dict[str, Any]) -> Aggregator:
    if name == "nan":
        return _nan(**options)
    if name == "trimmed":
        from faceset.aggregation.trimmed import trimmed

        return trimmed(**options)
    from faceset.aggregation import closed_form

    family, _, base = name.partition("+")
    if base:
        return closed_form.media_first(base=base, **options)
    made: Aggregator = getattr(closed_form, _CLOSED_FORMS[family])(**options)
    return made


def _nan(model: Any = None) -> Aggregator:
    from faceset.aggregation.onnx_aggregator import MeanNan, OnnxAggregator

    return MeanNan() if model is None else OnnxAggregator(model, "nan")
