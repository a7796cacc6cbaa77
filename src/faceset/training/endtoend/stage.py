"""The first stage: the aggregator alone, on features of the CNN as it is, as a run of its own in the run's folder."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from faceset.errors import ModelFileError
from faceset.training import aggregators, losses, runs
from faceset.training.aggregators.base import Aggregator
from faceset.training.backbones import Backbone
from faceset.training.data import Split, TrainData, unit
from faceset.training.device import autocast
from faceset.training.distributed import workers
from faceset.training.endtoend.config import EndToEndConfig
from faceset.training.endtoend.held_out import Copies
from faceset.training.endtoend.pictures import FaceRows, Store
from faceset.training.sampler import Ints
from faceset.training.trainer import fit
from faceset.types import Floats

FROZEN = "frozen"
"""Name of the first stage's folder."""

Told = Callable[[str, int, int, Mapping[str, float]], None]


class First(NamedTuple):
    """The aggregator with which the second stage begins, and options from which one of its shape is built."""

    aggregator: Aggregator
    options: dict[str, Any]
    features: TrainData | None
    """What it was trained on, if it was."""


def check_names(config: EndToEndConfig) -> None:
    """Refuse names of which there is no aggregator or loss before anything is computed.

    Raises:
        InputError: an unknown name, or an option of the loss that is unknown or out of range.
    """
    losses.build(config.loss, 1, 2, **config.loss_options)
    if config.aggregator not in aggregators.names():
        aggregators.build(config.aggregator, 1)  # says which names there are


def first_stage(
    store: Store,
    geometry: str,
    backbone: Backbone,
    start: str,
    config: EndToEndConfig,
    run: Path,
    split: Split,
    leave_out: Sequence[str],
    given: TrainData | None,
    device: str,
    told: Told,
) -> First:
    """Train the aggregator on features, or read the one that was; an untrained one with ``frozen_steps`` 0.

    ``given`` are features that need not be computed.
    """
    if config.frozen_steps == 0:
        torch.manual_seed(config.seed)
        return First(aggregators.build(config.aggregator, backbone.dim, **config.options), dict(config.options), given)
    if given is None:
        people = (*split.train, *split.validation)
        copies = Copies(store, geometry, backbone.size, FaceRows(store, people).faces, config.copies, config.augment)
        drawn = [config.augment.kinds, config.augment.low, config.augment.high]
        key = [start, store.fingerprint, geometry, people, config.copies, drawn, config.precision]
        name = f"features-{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]}.npy"
        given = features(copies, backbone, run / name, start, config, device, told)
    result = fit(
        given,
        config.frozen(),
        run,
        leave_out=leave_out,
        device=device,
        tensorboard=False,
        progress=lambda done, total, figures: told("frozen", done, total, figures),
    )
    return First(result.aggregator, runs.read_config(run)["options"], given)


def features(
    copies: Copies, backbone: Backbone, path: Path, embedder: str, config: EndToEndConfig, device: str, told: Told
) -> TrainData:
    """Features of all rows, kept in a file; each process makes its share."""
    with workers(device) as team, ThreadPoolExecutor(config.workers) as pool:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            rows = np.arange(team.rank, len(copies), team.count)
            cast = functools.partial(autocast, team.device, config.precision)
            mine = copies.features(
                backbone.to(team.device), rows, pool, cast, lambda done, of: told("features", done, of, {})
            )
            parts = [path.with_name(f".{path.name}.{rank}.npy") for rank in range(team.count)]
            np.save(parts[team.rank], mine)
            team.wait()
            if team.first:
                whole = np.empty((len(copies), backbone.dim), np.float32)
                for rank, part in enumerate(parts):
                    whole[rank :: team.count] = np.load(part, allow_pickle=False)
                temporary = path.with_name(f".{path.name}.tmp.npy")
                np.save(temporary, whole)
                temporary.replace(path)
                for part in parts:
                    part.unlink()
            team.wait()
    return copies.data(np.load(path, allow_pickle=False), embedder)


def targets(
    store: Store,
    geometry: str,
    backbone: Backbone,
    start: str,
    faces: Ints,
    known: TrainData | None,
    config: EndToEndConfig,
    run: Path,
    device: str,
    told: Told,
) -> Floats:
    """(n, D) unit features of faces as they are by the CNN as it is; taken from ``known`` where it has all of them."""
    found = None if known is None else _clean(known, store, faces)
    if found is None:
        copies = Copies(store, geometry, backbone.size, faces, 0, config.augment)
        found = features(copies, backbone, run / f"targets-{start}.npy", start, config, device, told).features
    return unit(found)


def _clean(known: TrainData, store: Store, faces: Ints) -> Floats | None:
    """Features of faces of the store, by the name of the medium and the place in it; None where one is not there."""
    rows = known.rows[~known.degraded]
    there: dict[str, list[int]] = {}
    for row in rows:
        there.setdefault(known.medium.names[known.medium.codes[row]], []).append(int(row))
    seen: dict[int, int] = {}
    wanted = np.empty(faces.size, np.int64)
    for i, face in enumerate(faces):
        medium = int(store.medium.codes[face])
        seen[medium] = seen.get(medium, -1) + 1
        of_medium = there.get(store.medium.names[medium], [])
        if seen[medium] >= len(of_medium):
            return None
        wanted[i] = of_medium[seen[medium]]
    found: Floats = known.features[wanted]
    return found


def loss_weights(run: Path, loss: nn.Module) -> None:
    """Let the loss begin with the layers it ended the first stage with, if there are any."""
    if not (run / runs.CHECKPOINT).exists():
        return
    tensors, _ = runs.read_tensors(run / runs.CHECKPOINT)
    try:
        loss.load_state_dict(
            {k.removeprefix("work.loss."): v for k, v in tensors.items() if k.startswith("work.loss.")}
        )
    except RuntimeError as error:
        raise ModelFileError(f"{run} is the first stage of another run ({error}); delete it") from error
