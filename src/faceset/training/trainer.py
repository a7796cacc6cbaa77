"""Trains an aggregator on a table of features; :mod:`faceset.training.loop` has the steps and the files of a run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import faceset
from faceset.errors import InputError
from faceset.training import aggregators, losses, runs
from faceset.training.aggregators.base import Aggregator
from faceset.training.aggregators.closed import Mean, centroid_of
from faceset.training.config import TrainConfig
from faceset.training.data import TrainData, split_subjects
from faceset.training.distributed import Workers, workers
from faceset.training.loop import Loop, Progress
from faceset.training.sampler import SetSampler
from faceset.training.validation import Validation, mean_tar, padded


@dataclass(frozen=True, slots=True)
class FitResult:
    """The outcome of :func:`fit`.

    Attributes:
        aggregator: with the best parameters that validation found, ready for use.
        run: the folder.
        steps: steps done.
        best_step: after which the best parameters were found; 0: before any.
        score: TAR at ``config.far`` averaged over the conditions of validation.
        baseline: the same figure of the mean.
        train, validation: the people trained on and held out.
    """

    aggregator: Aggregator
    run: Path
    steps: int
    best_step: int
    score: float
    baseline: float
    train: tuple[str, ...]
    validation: tuple[str, ...]


def fit(
    data: TrainData,
    config: TrainConfig,
    run: Path | str,
    *,
    leave_out: Iterable[str] = (),
    without_kinds: Iterable[str] = (),
    device: str = "",
    tensorboard: bool = True,
    progress: Progress | None = None,
) -> FitResult:
    """Train, or go on with a run that was killed; a finished run is only read.

    A quarter of the people, chosen by a hash of their names, is held out for validation
    (:func:`faceset.training.data.split_subjects`).

    Args:
        data: features of all people.
        config: the settings.
        run: folder of the run.
        leave_out: people to leave out of both parts.
        without_kinds: kinds of degradation to leave out of training (validation keeps them).
        device: ``cpu``, ``cuda`` ...; empty: a GPU when there is one.
        tensorboard: also write TensorBoard events.
        progress: see :data:`Progress`.

    Raises:
        InputError: a setting out of range, data that cannot be trained on, or a folder with a run of other settings.
        ModelFileError: the checkpoint in the folder is damaged.
    """
    with workers(device) as team:
        split = split_subjects(data.subjects, leave_out=leave_out)
        dropped = set(without_kinds)
        kinds = [k for k in data.kind.names if k not in dropped]
        training, held_out = data.only(split.train, kinds, config.max_strength), data.only(split.validation)
        sampler = SetSampler(training, config.sets, config.seed)
        torch.manual_seed(config.seed)
        model, options = _fresh(training, config)
        work = _Work(model, losses.build(config.loss, data.dim, len(training.subjects), **config.loss_options))
        description = {
            "format": runs.FORMAT,
            "faceset": faceset.__version__,
            "aggregator": config.aggregator,
            "options": options,
            "dim": data.dim,
            "embedder": data.embedder,
            "settings": config.to_dict(),
            "data": {
                "fingerprint": _fingerprint(data),
                "subjects": len(split.train),
                "held_out": len(split.validation),
                "left_out": len(split.left_out),
                "without_kinds": sorted(dropped),
            },
        }
        trainer = _Trainer(
            work.to(team.device), config, sampler, training, Validation(held_out), Path(run), team, description
        )
        trainer.start()
        trainer.go(tensorboard, progress)
        aggregator, found = runs.load(run)
        result = found["result"]
        return FitResult(
            aggregator,
            Path(run),
            result["steps"],
            result["best_step"],
            result["score"],
            result["baseline"],
            split.train,
            split.validation,
        )


class _Work(nn.Module):
    """Aggregator and loss as one module, which is what distributed training wraps."""

    def __init__(self, aggregator: Aggregator, loss: nn.Module) -> None:
        super().__init__()
        self.aggregator, self.loss = aggregator, loss

    def forward(self, features: Tensor, mask: Tensor, subjects: Tensor) -> Tensor:
        value: Tensor = self.loss(self.aggregator(features, mask)[0], subjects)
        return value


class _Trainer(Loop):
    score_name = "tar"

    def __init__(
        self,
        work: _Work,
        config: TrainConfig,
        sampler: SetSampler,
        data: TrainData,
        validation: Validation,
        run: Path,
        team: Workers,
        description: dict[str, Any],
    ) -> None:
        same = ("settings", "data", "embedder", "dim")
        super().__init__(work, work.aggregator, _optimiser(work, config), config, run, team, description, same=same)
        self.config, self.sampler, self.data, self.validation = config, sampler, data, validation

    def loss(self, work: nn.Module, step: int) -> Tensor:
        device = self.team.device
        batch = self.sampler.batch(step, self.team.rank)
        x, mask = padded(self.data, batch.rows, batch.mask)
        value: Tensor = work(x.to(device), mask.to(device), torch.from_numpy(batch.subjects).to(device))
        return value

    def measure(self, step: int) -> tuple[float, dict[str, float]]:
        rates = self.validation.rates(self.mean, self.config.far)
        return mean_tar(rates), {f"tar/{name}": rate.tar for name, rate in rates.items()}

    def result(self, best: nn.Module, step: int) -> dict[str, Any]:
        baseline = self.validation.rates(Mean(self.data.dim), self.config.far)
        rates = self.validation.rates(best, self.config.far)
        return {
            "far": self.config.far,
            "baseline": mean_tar(baseline),
            "tar": {name: rate.tar for name, rate in rates.items()},
            "tar_mean": {name: rate.tar for name, rate in baseline.items()},
            "resolved": all(rate.resolved for rate in rates.values()),
        }


def _fresh(data: TrainData, config: TrainConfig) -> tuple[Aggregator, dict[str, Any]]:
    """The untrained aggregator, and options for JSON from which one of the same shape is built again."""
    options = dict(config.options)
    if config.aggregator == "ers" and "centroid" not in options:
        model = aggregators.build("ers", data.dim, centroid=centroid_of(data.unrecognisable()[0]), **options)
    elif config.aggregator == "anchored" and "centroids" not in options:
        rows = np.stack([centroid_of(x) for x in data.unrecognisable(config.kinds)])
        options.pop("count", None)
        model = aggregators.build("anchored", data.dim, centroids=rows, **options)
        options["count"] = len(rows)
    else:
        model = aggregators.build(config.aggregator, data.dim, **options)
    for name in ("centroid", "centroids"):  # they are in the weights
        if name in options:
            options["count"] = len(np.atleast_2d(options.pop(name)))
    if config.aggregator == "ers":
        options.pop("count", None)
    return model, options


def _optimiser(work: _Work, config: TrainConfig) -> torch.optim.Optimizer:
    fixed = [p for name, p in work.named_parameters() if name.endswith("theta")]
    other = [p for name, p in work.named_parameters() if not name.endswith("theta")]
    groups = [{"params": other, "weight_decay": config.weight_decay}, {"params": fixed, "weight_decay": 0.0}]
    groups = [g for g in groups if g["params"]]
    if not groups:
        raise InputError(f"aggregator {config.aggregator!r} has nothing to train")
    if config.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr=config.learning_rate)
    return torch.optim.RMSprop(groups, lr=config.learning_rate)


def _fingerprint(data: TrainData) -> str:
    """Changes with the features, the labels or the rows; reads a thousand rows only."""
    digest = hashlib.sha256(repr((data.features.shape, data.rows.size, data.embedder)).encode())
    some = data.rows[:: max(1, data.rows.size // 1000)]
    digest.update(np.ascontiguousarray(data.features[some]).tobytes())
    for labels in (data.subject, data.medium, data.kind):
        digest.update(labels.codes.tobytes())
        digest.update("\0".join(labels.names).encode())
    return digest.hexdigest()
