"""What a recogniser is made of: models, aggregator and thresholds that belong together."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from faceset import aggregation
from faceset.aggregation import Aggregator
from faceset.aggregation.packed import of_pack
from faceset.calibration import Calibration, Thresholds
from faceset.errors import InputError
from faceset.packs.pack import Pack, open_pack, stored_pack
from faceset.pipeline import FaceSets, Pipeline

if TYPE_CHECKING:
    from faceset.detection import Detector
    from faceset.embedding import Embedder
    from faceset.tracking import TrackerOptions


class Parts(NamedTuple):
    """The parts of a recogniser."""

    reader: FaceSets
    aggregator: Aggregator
    thresholds: Thresholds


def assemble(
    *,
    detector: str | Detector,
    embedder: str | Embedder | None,
    pack: str | os.PathLike[str] | Pack | None,
    aggregator: str | Aggregator | None,
    threshold: float | None,
    far: float,
    fpir: float,
    calibration: str | os.PathLike[str] | Calibration | None,
    min_face: float,
    keep_crops: bool,
    tracker: TrackerOptions | None,
    reader: FaceSets | None,
) -> Parts:
    """The parts that the arguments of :class:`faceset.Recognizer` describe, which says what they mean."""
    chosen = chosen_pack(pack, embedder)
    if reader is None:
        from faceset.embedding import DEFAULT, Embedder  # a server whose models run in another process loads none

        models: str | Embedder = DEFAULT if embedder is None else embedder
        if chosen is not None:
            models = Embedder(chosen.manifest, chosen.embedder)
        reader = Pipeline.build(detector, models, min_face=min_face, keep_crops=keep_crops, tracker=tracker)
    model_id, manifest = reader.embedder.model_id, reader.embedder.manifest
    if chosen is not None and chosen.model_id != model_id:
        raise InputError(
            f"the pack in {chosen.folder} is of embedder {chosen.model_id}, but the reader's is {model_id}"
        )
    if aggregator is None:
        aggregator = default_aggregator(chosen, model_id)
    elif isinstance(aggregator, str):
        aggregator = aggregation.get(aggregator, model_id=model_id)
    if not callable(aggregator) or not hasattr(aggregator, "name"):
        raise InputError(f"aggregator must be a name or an Aggregator, but got {type(aggregator).__name__}")
    thresholds = Thresholds(
        model_id,
        calibration=calibration,
        far=far,
        fpir=fpir,
        given=threshold,
        manifest=manifest.threshold,
        manifest_source=manifest.threshold_source,
        pack=None if chosen is None else chosen.calibration,
        imported=chosen is None,
    )
    return Parts(reader, aggregator, thresholds)


def chosen_pack(pack: str | os.PathLike[str] | Pack | None, embedder: str | Embedder | None) -> Pack | None:
    """The pack in use: the one given, or the imported one that goes by the embedder's name; None: there is none.

    Raises:
        InputError: pack and embedder are given.
        ModelFileError: it is no pack, or damaged.
    """
    if pack is None:
        return stored_pack(embedder) if isinstance(embedder, str) else None
    if embedder is not None:
        raise InputError(
            "a pack brings its own embedder; give either pack or embedder (on the command line --pack or --embedder)"
        )
    if isinstance(pack, Pack):
        return pack
    if not isinstance(pack, str | os.PathLike):
        raise InputError(f"pack must be a folder or a Pack, but got {type(pack).__name__}")
    return open_pack(Path(pack))


def default_aggregator(pack: Pack | None, model_id: str) -> Aggregator:
    """What makes templates where nothing else is asked for: that of the pack in use, else the embedder's.

    What a pack does not bring is not taken from an imported one that happens to hold the same embedder.

    Raises:
        ModelFileError: the aggregator is damaged.
    """
    return (pack and of_pack(pack)) or aggregation.default(model_id, imported=pack is None)
