"""Features of many faces to one template and a weight for each face.

``aggregation.get("mean")`` gives an :class:`Aggregator`; all share one ragged call. ``docs/aggregation.md`` has the
formulas.
"""

from __future__ import annotations

from typing import Any

from faceset.aggregation.base import Aggregated, Aggregator
from faceset.aggregation.sets import aggregate_set
from faceset.errors import EmbedderMismatchError, InputError

__all__ = ["DEFAULT", "Aggregated", "Aggregator", "aggregate_set", "default", "default_name", "get", "names"]

DEFAULT = "anchored"
"""What is used where nothing else is asked for and the embedder is the one it was trained for; else the mean."""

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
    return sorted([*_CLOSED_FORMS, "anchored", "ers", "media-first+norm", "media-first+norm-score", "nan", "trimmed"])


def default(model_id: str, *, imported: bool = True) -> Aggregator:
    """What is used where nothing else is asked for, with features of the embedder ``model_id``."""
    from faceset.aggregation import shipped

    return shipped.default(model_id, stored=imported)


def default_name(model_id: str) -> str:
    """What :func:`get` makes :func:`default` of: a name, or the path of a file."""
    from faceset.aggregation import packed

    name = default(model_id).name
    kind = name.partition(":")[0]
    return kind if kind in names() else packed.file_of(model_id)


def get(name: str, *, model_id: str | None = None, **options: Any) -> Aggregator:
    """The aggregator of that name.

    Args:
        name: one of :func:`names`, or the path of a trained one (``.onnx``).
        model_id: id of the embedder whose features it will see. ``anchored`` and ``ers`` need it, because their
            weights belong to one embedder; ``nan`` without it has zero parameters.
        options: ``base=`` for ``media-first`` (``media-first+norm`` is the same as ``base="norm"``); ``bound=``,
            ``factor=``, ``keep=``, ``rounds=`` for ``trimmed``; ``model=`` for ``nan``: the path of a trained file
            (without it the parameters are zero, which is the mean).

    Raises:
        InputError: unknown name, an option that the aggregator does not have, or no weights for that embedder.
        ModelFileError: the model file cannot be used.
        EmbedderMismatchError: the model file was trained for another embedder.
    """
    if name.endswith(".onnx"):
        return _from_file(name, model_id, options)
    if name not in names():
        raise InputError(f"no aggregator is called {name!r}; take one of {', '.join(names())}")
    try:
        return _make(name, model_id, options)
    except TypeError as e:
        raise InputError(f"aggregator {name!r} does not take the options {sorted(options)} ({e})") from e


def _from_file(path: str, model_id: str | None, options: dict[str, Any]) -> Aggregator:
    from faceset.aggregation.onnx_aggregator import OnnxAggregator

    if options:
        raise InputError(f"an aggregator file takes no options, but got {sorted(options)}")
    found = OnnxAggregator(path)
    if model_id and found.embedder_id not in ("", model_id):
        raise EmbedderMismatchError(
            f"aggregator file {path} was trained for embedder {found.embedder_id}, but the features are of {model_id}; "
            "use it with that embedder, or train one for this"
        )
    return found


def _make(name: str, model_id: str | None, options: dict[str, Any]) -> Aggregator:
    if name == "nan" and (model_id is None or options):
        return _nan(**options)
    if name in ("anchored", "ers", "nan"):
        from faceset.aggregation import shipped

        if options:
            raise TypeError("it takes none")
        if model_id is None:
            raise InputError(f"the weights of aggregator {name!r} belong to one embedder; say which by model_id=")
        return shipped.trained(name, model_id)
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
