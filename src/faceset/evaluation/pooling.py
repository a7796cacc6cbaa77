"""Aggregators by the names that evaluation takes, and media-first pooling in front of any of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from faceset import aggregation
from faceset.aggregation import Aggregated, Aggregator
from faceset.errors import InputError
from faceset.evaluation.pairwise import KINDS

_CLOSED = {"mean": "media-first", "norm": "media-first+norm", "norm-score": "media-first+norm-score"}


@dataclass(frozen=True)
class MediaFirst:
    """The plain mean of the raw features of each medium, then another aggregator over the media of a set.

    The means are not scaled to unit length: a medium whose faces disagree is shorter, and an aggregator that looks at
    the norm sees that. The quality of a medium is the mean of its faces'.
    """

    inner: Aggregator

    @property
    def name(self) -> str:
        """``media-first+`` and the name of the other."""
        return f"media-first+{self.inner.name}"

    def __call__(
        self,
        features: npt.ArrayLike,
        offsets: npt.ArrayLike,
        *,
        media: npt.ArrayLike | None = None,
        quality: npt.ArrayLike | None = None,
    ) -> Aggregated:
        """See :meth:`faceset.aggregation.Aggregator.__call__`; the weights are those of the media, shared out."""
        matrix, bounds = np.asarray(features, dtype=np.float32), np.asarray(offsets, dtype=np.int64)
        B = bounds.size - 1
        owner = np.repeat(np.arange(B), np.diff(bounds))
        numbers = np.zeros(owner.size, np.int64) if media is None else np.unique(media, return_inverse=True)[1]
        _, first, pair = np.unique(
            owner * (int(numbers.max(initial=0)) + 1) + numbers, return_index=True, return_inverse=True
        )
        order = np.argsort(first[pair], kind="stable")  # media by their first face: their numbers mean nothing
        starts = np.flatnonzero(np.r_[True, np.diff(first[pair][order]) != 0])
        n = np.diff(np.r_[starts, owner.size])
        pooled = (np.add.reduceat(matrix[order].astype(np.float64), starts) / n[:, None]).astype(np.float32)
        scores = None if quality is None else np.add.reduceat(np.asarray(quality, np.float64)[order], starts) / n
        inner = np.concatenate([[0], np.cumsum(np.bincount(owner[order][starts], minlength=B))])
        out = self.inner(pooled, inner, quality=scores)
        weights = np.empty(owner.size, np.float32)
        weights[order] = np.repeat(out.weights / n, n)
        return Aggregated(out.templates, weights, out.consistency)


def aggregator_names() -> list[str]:
    """Every name that an evaluation takes besides paths of ``.onnx`` files, sorted."""
    return sorted([*aggregation.names(), *KINDS])


def label_of(name: str, media_first: bool) -> str:
    """The name that a result goes by: with media-first pooling it says so. Pairwise baselines pool nothing."""
    if not media_first or name in KINDS or name.startswith("media-first"):
        return name
    return _CLOSED.get(name, f"media-first+{name}")


def aggregator_of(name: str, model_id: str, media_first: bool) -> Aggregator:
    """The aggregator of that name for features of the embedder ``model_id``; trained ones run on one thread each.

    Raises:
        InputError: unknown name, or no weights for that embedder.
        EmbedderMismatchError: it was trained for another embedder.
        ModelFileError: its file cannot be used.
    """
    if not name.endswith(".onnx") and name not in aggregation.names():
        raise InputError(f"no aggregator is called {name!r}; take one of {', '.join(aggregator_names())}")
    label = label_of(name, media_first)
    if label == name or label in _CLOSED.values():
        return _on_one_thread(aggregation.get(label, model_id=model_id))
    return MediaFirst(_on_one_thread(aggregation.get(name, model_id=model_id)))


def _on_one_thread(found: Aggregator) -> Aggregator:
    # The last bits of what ONNX Runtime gives depend on its number of threads; chunks of sets run side by side instead.
    alone: Callable[[], Aggregator] | None = getattr(found, "single_threaded", None)
    return found if alone is None else alone()
