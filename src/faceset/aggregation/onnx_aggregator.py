"""Learned aggregators: an ONNX graph behind the ragged call."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx

from faceset.aggregation.base import Aggregated
from faceset.aggregation.nan_graph import nan_graph, zeros
from faceset.aggregation.ragged import Ragged, as_matrix, checked
from faceset.errors import InputError, ModelFileError
from faceset.packs.session import open_session
from faceset.types import Floats

PADDED = 600_000
"""Most numbers in one padded batch (2.4 MB), unless one set alone is larger: fewer runs, and it stays in the cache."""
STRETCH = 1.5
"""A set shares a batch with another at most this many times as large; bounds the padding."""


class OnnxAggregator:
    """An aggregator read from one ``.onnx`` file.

    Inputs ``features`` (B, N, D) and ``mask`` (B, N), outputs ``template`` (B, D) and ``weights`` (B, N), as
    :func:`faceset.aggregation.nan_graph.nan_graph` makes them; its metadata names the ``kind``. Threads may share it.

    Attributes:
        name: name it goes by; without one, its kind.
        metadata: what the file says of itself (kind, embedder, training data, seed, licence ...).
        kind: family of the aggregator, such as ``nan``.
        embedder_id: id of the embedder it was trained for; empty when it fits any.
        width: D, or None when the graph takes any.

    Args:
        source: path of the file, its bytes, or the model itself.
        name: see above.
        threads: that one run may use; None: as the settings say.

    Raises:
        ModelFileError: the file is missing, damaged, or not an aggregator.
    """

    def __init__(
        self, source: Path | str | bytes | onnx.ModelProto, name: str | None = None, *, threads: int | None = None
    ) -> None:
        if isinstance(source, onnx.ModelProto):
            source = source.SerializeToString()
        self._source = source
        self._what = "aggregator" if isinstance(source, bytes) else f"aggregator file {source}"
        # On the CPU always: a set is a few kilobytes, and its template is the same down to the last bit everywhere.
        self._session = open_session(source, what="aggregator", threads=threads, device="cpu")
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self.width = self._check()
        self.kind = self.metadata["kind"]
        self.embedder_id = self.metadata.get("embedder", "")
        self.name = name or self.kind

    def single_threaded(self) -> OnnxAggregator:
        """The same, each run on one thread: its results do not depend on the number of cores, down to the last bit."""
        return OnnxAggregator(self._source, self.name, threads=1)

    def _check(self) -> int | None:
        """Width of the features; raise when this is some other network."""
        found = {t.name: (t.type, len(t.shape)) for t in (*self._session.get_inputs(), *self._session.get_outputs())}
        wanted = {
            "features": ("tensor(float)", 3),
            "mask": ("tensor(bool)", 2),
            "template": ("tensor(float)", 2),
            "weights": ("tensor(float)", 2),
        }
        if found != wanted:
            raise ModelFileError(
                f"{self._what} is not an aggregator: it has {_listed(found)}, but an aggregator has {_listed(wanted)}; "
                "give the file that faceset wrote"
            )
        if "kind" not in self.metadata:
            raise ModelFileError(
                f"{self._what} does not name its 'kind' in its metadata; give the file that faceset wrote"
            )
        width = self._session.get_inputs()[0].shape[2]
        return width if isinstance(width, int) else None

    def __call__(
        self,
        features: npt.ArrayLike,
        offsets: npt.ArrayLike,
        *,
        media: npt.ArrayLike | None = None,
        quality: npt.ArrayLike | None = None,
    ) -> Aggregated:
        """See :meth:`faceset.aggregation.Aggregator.__call__`; media and quality are checked and not used.

        Raises:
            ModelFileError: the graph's output is not what an aggregator gives.
        """
        batch = checked(features, offsets, media, quality)
        width = batch.features.shape[1]
        if self.width is not None and width != self.width:
            raise InputError(
                f"aggregator {self.name!r} takes features of width {self.width}, but got width {width}; "
                "use the embedder it was trained for"
            )
        templates = np.empty((batch.sizes.size, width), dtype=np.float32)
        weights = np.empty(batch.norms.size, dtype=np.float32)
        for sets in _buckets(batch):
            padded, mask = _pad(batch, sets)
            template, weight = self._session.run(["template", "weights"], {"features": padded, "mask": mask})
            self._check_output(template, weight, mask)
            templates[sets] = template
            for i, b in enumerate(sets):
                weights[batch.offsets[b] : batch.offsets[b + 1]] = weight[i][mask[i]]
        _, lengths = batch.directions(weights)
        batch.check_lengths(lengths)
        templates /= np.linalg.norm(templates, axis=1, keepdims=True)
        return Aggregated(templates, weights, np.minimum(lengths, 1.0).astype(np.float32))

    def _check_output(self, template: Floats, weight: Floats, mask: npt.NDArray[np.bool_]) -> None:
        """Hold the graph to its promise: a file from elsewhere may be anything inside."""
        if template.shape != (mask.shape[0], template.shape[1]) or weight.shape != mask.shape:
            raise ModelFileError(f"{self._what} gives outputs of shapes {template.shape} and {weight.shape}")
        sums = np.where(mask, weight, 0.0).sum(axis=1, dtype=np.float64)
        sound = np.isfinite(template).all() and np.isfinite(weight).all()
        if not sound or weight.min() < 0 or np.abs(sums - 1.0).max() > 1e-3:
            raise ModelFileError(
                f"{self._what} gives numbers that no aggregator gives (weights must be >= 0 and sum to 1 within a "
                "set, templates must be finite); its parameters are damaged"
            )


class MeanNan:
    """NAN with zero parameters, which is the mean, for features of any width; what ``nan`` is until weights exist."""

    name = "nan"

    def __init__(self) -> None:
        self._by_width: dict[int, OnnxAggregator] = {}
        self._lock = threading.Lock()

    def __call__(
        self,
        features: npt.ArrayLike,
        offsets: npt.ArrayLike,
        *,
        media: npt.ArrayLike | None = None,
        quality: npt.ArrayLike | None = None,
    ) -> Aggregated:
        """See :meth:`faceset.aggregation.Aggregator.__call__`; media and quality are checked and not used."""
        matrix = as_matrix(features)
        width = matrix.shape[1]
        with self._lock:
            if width not in self._by_width:
                self._by_width[width] = OnnxAggregator(nan_graph(*zeros(width)), self.name)
            aggregator = self._by_width[width]
        return aggregator(matrix, offsets, media=media, quality=quality)


def _buckets(batch: Ragged) -> Iterator[npt.NDArray[np.int64]]:
    """Numbers of the sets that are padded together: of like size, and few enough to stay within ``PADDED``."""
    order = np.argsort(batch.sizes, kind="stable")
    sizes = batch.sizes[order]
    rows = max(PADDED // batch.features.shape[1], 1)
    start = 0
    while start < order.size:
        alike = int(np.searchsorted(sizes, STRETCH * sizes[start], side="right"))
        counts = np.arange(1, alike - start + 1)
        fits = int(np.count_nonzero(counts * sizes[start:alike] <= rows))  # sorted: the last is the largest
        stop = start + max(fits, 1)
        yield order[start:stop]
        start = stop


def _pad(batch: Ragged, sets: npt.NDArray[np.int64]) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Features (B, N, D) and mask (B, N) of the given sets."""
    sizes = batch.sizes[sets]
    mask = np.arange(sizes.max()) < sizes[:, None]
    padded = np.zeros((*mask.shape, batch.features.shape[1]), dtype=np.float32)
    for i, b in enumerate(sets):
        padded[i, : sizes[i]] = batch.features[batch.offsets[b] : batch.offsets[b + 1]]
    return padded, mask


def _listed(tensors: dict[str, tuple[str, int]]) -> str:
    return ", ".join(f"{name} ({kind[7:-1]}, rank {rank})" for name, (kind, rank) in sorted(tensors.items()))
