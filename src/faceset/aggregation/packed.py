"""Aggregators that came with a pack, given by its path or imported."""

from __future__ import annotations

from faceset.aggregation.onnx_aggregator import OnnxAggregator
from faceset.packs.pack import Pack, stored_pack_of


def of_pack(pack: Pack) -> OnnxAggregator | None:
    """The aggregator of a pack; None where it has none.

    Its name is ``<kind>:<8 hex digits>``, a digest of the file, so that a gallery knows when its templates are of
    another one.

    Raises:
        ModelFileError: its file is no aggregator.
    """
    return None if pack.aggregator is None else OnnxAggregator(pack.aggregator, pack.aggregator_name)


def imported(model_id: str, kind: str | None = None) -> OnnxAggregator | None:
    """The aggregator of the imported pack of the embedder ``model_id``, when it is of that kind (None: of any).

    Raises:
        ModelFileError: the pack is damaged.
    """
    pack = stored_pack_of(model_id)
    if pack is None or (kind is not None and pack.aggregator_name.partition(":")[0] != kind):
        return None
    return of_pack(pack)


def file_of(model_id: str) -> str:
    """Path of the aggregator of the imported pack of that embedder; empty where there is none."""
    pack = stored_pack_of(model_id)
    return "" if pack is None or pack.aggregator is None else str(pack.aggregator)
