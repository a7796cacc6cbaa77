"""The aggregator behind the name that a template bears."""

from __future__ import annotations

from faceset import aggregation
from faceset.aggregation import Aggregator
from faceset.errors import FacesetError


def aggregator_of(name: str, model_id: str) -> Aggregator | None:
    """The aggregator of that name for the features of an embedder; None when the name alone does not give it.

    The names of weights that were trained by a user, or came with another version, do not. No file is opened for a
    name, which may come from anywhere.
    """
    kind = name.partition(":")[0]
    if kind not in aggregation.names():
        return None
    try:
        found = aggregation.get(kind, model_id=model_id)
    except FacesetError:  # no weights ship for this embedder
        return None
    return found if found.name == name else None
