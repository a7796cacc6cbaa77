"""Two tables as one, in the order that one run over all media would have given."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np

from faceset.feature_table import NAMES, SCALARS, FeatureTable, Labels


def join(old: FeatureTable, new: FeatureTable) -> FeatureTable:
    """The rows of both, by the hashes of their media, which is the order of parts; media of ``old`` are not doubled."""
    new = new.take(~new.medium.is_in(old.medium.names))
    columns: dict[str, Any] = {name: _labels(getattr(old, name), getattr(new, name)) for name in NAMES}
    for name in ("vectors", "box", "landmarks", *SCALARS):
        columns[name] = np.concatenate([getattr(old, name), getattr(new, name)])
    return replace(old, **columns).take(_order(columns["medium"]))


def _labels(a: Labels, b: Labels) -> Labels:
    names = sorted({*a.names, *b.names})
    place = {name: i for i, name in enumerate(names)}
    codes = [np.array([place[n] for n in part.names], np.int32)[part.codes] for part in (a, b) if len(part.codes)]
    return Labels(np.concatenate([np.empty(0, np.int32), *codes]), tuple(names))


def _order(medium: Labels) -> Any:
    """(M,) rows by the hash of their medium, rows of one medium as they were."""
    hashes = [hashlib.sha256(name.encode()).hexdigest() for name in medium.names]
    rank = np.empty(len(hashes), np.int64)
    rank[np.argsort(np.array(hashes, dtype=str))] = np.arange(len(hashes))
    return np.argsort(rank[medium.codes], kind="stable")
