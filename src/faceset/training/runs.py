"""The folder of a training run: ``config.json``, ``model.safetensors``, ``checkpoint.safetensors``, ``log.csv``.

``kind`` in ``config.json`` says what was trained: an ``aggregator`` (also where the key is missing), an ``embedder``,
or both ``end-to-end``.

A checkpoint is one safetensors file: the tensors of the model, the loss and the optimiser, and in its header the step
and what validation has found so far. Every file is written beside its place and renamed.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from faceset.errors import InputError, ModelFileError
from faceset.training import aggregators
from faceset.training.aggregators.base import Aggregator

FORMAT = 1
KINDS = ("aggregator", "embedder", "end-to-end")
CONFIG, MODEL, CHECKPOINT, LOG = "config.json", "model.safetensors", "checkpoint.safetensors", "log.csv"

Tensors = dict[str, torch.Tensor]


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write JSON atomically."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    temporary.replace(path)


def write_tensors(path: Path, tensors: Tensors, header: Mapping[str, Any]) -> None:
    """Write tensors and a small JSON header atomically.

    Raises:
        OSError: the disk is full, or refuses.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    plain = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    try:
        save_file(plain, temporary, metadata={"faceset": json.dumps(header, sort_keys=True)})
    except SafetensorError as error:  # what safetensors raises for a full disk
        temporary.unlink(missing_ok=True)
        raise OSError(str(error)) from error
    temporary.replace(path)


def read_tensors(path: Path) -> tuple[Tensors, dict[str, Any]]:
    """Tensors and header of a file of :func:`write_tensors`.

    Raises:
        ModelFileError: missing, damaged or foreign.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["faceset"])
        return load_file(path), header
    except FileNotFoundError as error:
        raise ModelFileError(f"there is no {path}; train first") from error
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise ModelFileError(f"{path} is damaged or not a file of faceset ({error}); train again") from error


def read_config(run: Path | str, *kinds: str) -> dict[str, Any]:
    """``config.json`` of a run.

    Args:
        run: the folder.
        kinds: of :data:`KINDS`, that will do; none: an aggregator.

    Raises:
        ModelFileError: missing, damaged, foreign, newer, or a run of another kind.
    """
    path = Path(run) / CONFIG
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelFileError(f"{run} is not a training run: it has no {CONFIG}") from error
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{path} is damaged ({error}); train again") from error
    kind = values.get("kind", KINDS[0]) if isinstance(values, dict) else None
    part = "aggregator" if kind == "aggregator" else "backbone"
    if kind not in KINDS or not isinstance(values.get("format"), int) or part not in values:
        raise ModelFileError(f"{path} is not the configuration of a training run of faceset")
    if values["format"] > FORMAT:
        raise ModelFileError(f"{path} has format {values['format']}, newer than {FORMAT}; upgrade faceset")
    if kind not in (kinds or KINDS[:1]):
        raise ModelFileError(
            f"{run} is a training run of kind {kind}, but {' or '.join(kinds or KINDS[:1])} is needed here"
        )
    found: dict[str, Any] = values
    return found


def load(run: Path | str) -> tuple[Aggregator, dict[str, Any]]:
    """The trained aggregator of a run, ready for use, and its ``config.json``.

    Raises:
        ModelFileError: the run is incomplete or damaged.
    """
    config = read_config(run)
    path = Path(run) / MODEL
    tensors, _ = read_tensors(path)
    try:
        model = aggregators.build(config["aggregator"], config["dim"], **config["options"])
        model.load_state_dict(tensors)
    except (KeyError, RuntimeError, TypeError, InputError) as error:
        raise ModelFileError(f"{path} and {CONFIG} do not belong together ({error}); train again") from error
    return model.eval(), config


def append_log(path: Path, row: Mapping[str, Any]) -> None:
    """Add a line to the log; the first one brings the headings."""
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


def cut_log(path: Path, step: int) -> None:
    """Drop lines after a step: they will be written again, after a process that was killed."""
    if not path.exists():
        return
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    kept = rows[:1] + [r for r in rows[1:] if len(r) == len(rows[0]) and int(r[0]) <= step]
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(kept)
    temporary.replace(path)


def pack_optimiser(optimiser: torch.optim.Optimizer) -> Tensors:
    """The state of an optimiser as flat tensors."""
    state = optimiser.state_dict()["state"]
    return {f"optimiser.{i}.{k}": torch.as_tensor(v) for i, values in state.items() for k, v in values.items()}


def unpack_optimiser(optimiser: torch.optim.Optimizer, tensors: Tensors) -> None:
    """Put the state of :func:`pack_optimiser` back."""
    whole = optimiser.state_dict()
    whole["state"] = {}
    for name, value in tensors.items():
        if name.startswith("optimiser."):
            _, i, key = name.split(".")
            whole["state"].setdefault(int(i), {})[key] = value
    optimiser.load_state_dict(whole)
