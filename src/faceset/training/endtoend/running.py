"""Reading an end-to-end run, and telling backbones apart."""

from __future__ import annotations

import functools
import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from faceset.errors import InputError, ModelFileError
from faceset.training import aggregators, backbones, runs
from faceset.training.aggregators.base import Aggregator
from faceset.training.backbones import Backbone
from faceset.training.device import autocast, choose
from faceset.training.endtoend.config import EndToEndConfig
from faceset.training.endtoend.held_out import Copies
from faceset.training.endtoend.pictures import FaceRows, Store
from faceset.training.report import Report, compare


def load_end_to_end(run: Path | str) -> tuple[Backbone, Aggregator, dict[str, Any]]:
    """Backbone and aggregator of a run, ready for use, and its ``config.json``.

    Raises:
        ModelFileError: the run is of another kind, incomplete or damaged.
    """
    config = runs.read_config(run, "end-to-end")
    path = Path(run) / runs.MODEL
    tensors, _ = runs.read_tensors(path)
    try:
        backbone = backbones.build(config["backbone"]["name"], **config["backbone"]["options"])
        aggregator = aggregators.build(config["aggregator"], config["dim"], **config["options"])
        both = nn.ModuleDict({"backbone": backbone, "aggregator": aggregator})
        both.load_state_dict(tensors)
    except (KeyError, RuntimeError, TypeError, InputError) as error:
        raise ModelFileError(f"{path} and {runs.CONFIG} do not belong together ({error}); train again") from error
    return backbone.eval(), aggregator.eval(), config


def digest(module: nn.Module) -> str:
    """16 hex digits that change with any number in the state of a module."""
    found = hashlib.sha256()
    for name, value in module.state_dict().items():
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()[:16]


def compare_held_out(store: Store, run: Path | str, people: tuple[str, ...], device: str = "") -> Report:
    """Every closed form beside the aggregator of a run, on features of its backbone, of people it was not trained on.

    Raises:
        ModelFileError: as :func:`load_end_to_end`.
    """
    backbone, aggregator, values = load_end_to_end(run)
    config = EndToEndConfig.from_dict(values["settings"])
    geometry, place = values["preprocessing"]["crop"], choose(device)
    copies = Copies(store, geometry, backbone.size, FaceRows(store, people).faces, config.copies, config.augment)
    with ThreadPoolExecutor(config.workers) as pool:
        features = copies.features(
            backbone.to(place),
            np.arange(len(copies)),
            pool,
            functools.partial(autocast, place, config.precision),
        )
    return compare({config.aggregator: aggregator}, copies.data(features), far=config.far)
