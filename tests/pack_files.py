"""Small packs whose embedder is a hand-made graph, and folders of runs of untrained networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from oracles.small_models import channel_means

from faceset import calibration
from faceset.aggregation.nan_graph import nan_graph
from faceset.calibration import Calibration, FarPoint, FpirPoint, SizeClass, SizePair
from faceset.packs.installed import file_sha256
from faceset.packs.manifest import Manifest

SIDE = 64


def small_pack(folder: Path, *, thresholds: bool = False, **changes: Any) -> Path:
    """A pack of the mean colour (D = 3) of 64x64 crops and a NAN that prefers red faces."""
    folder.mkdir(parents=True)
    path = channel_means(folder / "embedder.onnx", (SIDE, SIDE))
    values: dict[str, Any] = {
        "id": "colours",
        "role": "embedder",
        "licence": "MIT",
        "commercial": "yes",
        "file": path.name,
        "sha256": file_sha256(path),
        "bytes": path.stat().st_size,
        "crop": f"arcface{SIDE}",
        "colour": "RGB",
        "width": 3,
        "data": "no data at all",
        "threshold": 0.5,
        "threshold_source": "by hand",
        **changes,
    }
    manifest = Manifest(**values)
    (folder / "aggregator.onnx").write_bytes(red_nan(manifest.model_id))
    manifest = manifest.replace(aggregator="aggregator.onnx", aggregator_sha256=file_sha256(folder / "aggregator.onnx"))
    if thresholds:
        name = f"nan:{manifest.aggregator_sha256[:8]}"
        calibration.save(made_calibration(manifest.model_id, name), folder / "calibration.json")
        manifest = manifest.replace(calibration="calibration.json")
    (folder / "manifest.toml").write_text(manifest.to_toml(), encoding="utf-8")
    return folder


def red_nan(model_id: str) -> bytes:
    """A NAN of width 3 whose weights rise with the share of red; its bytes."""
    q0, W, b = np.array([5, 0, 0], np.float32), np.zeros((3, 3), np.float32), np.array([3, 0, 0], np.float32)
    data: bytes = nan_graph(q0, W, b, metadata={"kind": "nan", "embedder": model_id}).SerializeToString()
    return data


def made_calibration(model_id: str, aggregator: str, threshold: float = 0.25) -> Calibration:
    """One threshold for all sets of any size."""
    point = FarPoint(1e-3, threshold, threshold, threshold, 0.9, True, "measured")
    return Calibration(
        model_id=model_id,
        aggregator=aggregator,
        source="nobody",
        people=9,
        media=9,
        faces=9,
        classes=(SizeClass(1, None),),
        pairs=(SizePair((0, 0), (9, 9), 36, 9, 36, (point,)),),
        searches=(FpirPoint(2, 1e-2, threshold, threshold, threshold, True),),
        versions={},
    )


def network_run(folder: Path, backbone: Any, *, aggregator: Any = None, options: Any = None, **changes: Any) -> Path:
    """The folder of a run that ended, with that backbone and, end to end, that aggregator."""
    from faceset.training import runs

    folder.mkdir(parents=True, exist_ok=True)
    config: dict[str, Any] = {
        "format": runs.FORMAT,
        "kind": "embedder" if aggregator is None else "end-to-end",
        "faceset": "0.0",
        "backbone": backbone.config(),
        "preprocessing": backbone.preprocessing(),
        "data": {"people": 7, "subjects": 7, "faces": 90, "held_out": 3},
        "settings": {"seed": 3},
        "licence": "",
        "commercial": "unknown",
        "result": {"threshold": 0.4, "threshold_source": "3 people of nowhere, FAR 1e-3"},
    }
    tensors = dict(backbone.state_dict())
    if aggregator is not None:
        name, network = aggregator
        config |= {"aggregator": name, "options": options or {}, "dim": backbone.dim}
        tensors = {f"backbone.{k}": v for k, v in tensors.items()}
        tensors |= {f"aggregator.{k}": v for k, v in network.state_dict().items()}
    config |= changes
    runs.write_json(folder / runs.CONFIG, config)
    runs.write_tensors(folder / runs.MODEL, tensors, {"step": 1})
    return folder


def aggregator_run(folder: Path, name: str, network: Any, embedder: str, **changes: Any) -> Path:
    """The folder of a run of ``faceset train`` that ended."""
    from faceset.training import runs

    folder.mkdir(parents=True, exist_ok=True)
    config: dict[str, Any] = {
        "format": runs.FORMAT,
        "faceset": "0.0",
        "aggregator": name,
        "options": {},
        "dim": network.dim,
        "embedder": embedder,
        "data": {"subjects": 7, "held_out": 3, "fingerprint": "ab" * 32},
        "settings": {"seed": 3},
        "result": {"steps": 5},
        **changes,
    }
    runs.write_json(folder / runs.CONFIG, config)
    runs.write_tensors(folder / runs.MODEL, dict(network.state_dict()), {"step": 1})
    return folder
