"""Trains an aggregator on a table of features.

Everything drawn is a function of the seed and the step, and a checkpoint holds all the rest, so that on the CPU a run
that was killed and run again ends with the same bits as one that was not.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
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
from faceset.training.sampler import SetSampler
from faceset.training.validation import Validation, mean_tar, padded

Progress = Callable[[int, int, Mapping[str, float]], None]
"""Called with the steps done, the steps in all, and the latest figures."""


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
            work.to(team.device),
            config,
            sampler,
            training,
            Validation(held_out),
            Path(run),
            team,
            json.loads(json.dumps(description)),
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


class _Trainer:
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
        self.work, self.config, self.sampler, self.data = work, config, sampler, data
        self.validation, self.run, self.team, self.description = validation, run, team, description
        self.mean = {k: v.detach().clone() for k, v in work.aggregator.state_dict().items()}
        self.optimiser = _optimiser(work, config)
        self.state: dict[str, Any] = {"step": 0, "best": -1.0, "best_step": 0, "stale": 0, "done": False}

    def start(self) -> None:
        """Take up the checkpoint of the folder, or begin one."""
        if (self.run / runs.CHECKPOINT).exists():
            found = runs.read_config(self.run)
            for key in ("settings", "data", "embedder", "dim"):
                if found.get(key) != self.description[key]:
                    raise InputError(
                        f"{self.run} holds a run with other {key} ({found.get(key)}, these are "
                        f"{self.description[key]}); choose another folder, or delete that one"
                    )
            tensors, self.state = runs.read_tensors(self.run / runs.CHECKPOINT)
            self.work.load_state_dict({k[5:]: v for k, v in tensors.items() if k.startswith("work.")})
            self.mean = {k[5:]: v.to(self.team.device) for k, v in tensors.items() if k.startswith("mean.")}
            runs.unpack_optimiser(self.optimiser, tensors)
            if self.team.first:
                runs.cut_log(self.run / runs.LOG, self.state["step"])
        elif self.team.first:
            self.run.mkdir(parents=True, exist_ok=True)
            (self.run / runs.LOG).unlink(missing_ok=True)
            runs.write_json(self.run / runs.CONFIG, self.description)
        self.team.wait()

    def go(self, tensorboard: bool, progress: Progress | None) -> None:
        """Train until the last step or until validation has not improved for long enough."""
        config, step = self.config, int(self.state["step"])
        if self.state["done"]:
            return
        board = _board(self.run, step) if tensorboard and self.team.first else None
        work = self.team.wrap(self.work)
        total, began = 0.0, time.perf_counter()
        if self.state["best"] < 0.0:
            self._validate(0, float("nan"), began, board, progress)
        while step < config.steps and not self._stale():
            total += self._step(work, step)
            step += 1
            if step % config.validate_every == 0 or step == config.steps:
                self._validate(step, total / config.validate_every, began, board, progress)
                total = 0.0
        self._finish(step)
        if board is not None:
            board.close()

    def _step(self, work: nn.Module, step: int) -> float:
        config, device = self.config, self.team.device
        torch.manual_seed((config.seed * 1_000_003 + step) * 1_009 + self.team.rank)  # dropout
        batch = self.sampler.batch(step, self.team.rank)
        x, mask = padded(self.data, batch.rows, batch.mask)
        for group in self.optimiser.param_groups:
            group["lr"] = config.rate(step)
        self.work.train()
        self.optimiser.zero_grad(set_to_none=True)
        loss = work(x.to(device), mask.to(device), torch.from_numpy(batch.subjects).to(device))
        loss.backward()
        self.optimiser.step()
        keep = min(config.average, step / (step + 10))  # the first steps do not drag the start along
        for name, value in self.work.aggregator.state_dict().items():
            if value.is_floating_point():
                self.mean[name].lerp_(value, 1.0 - keep)
            else:
                self.mean[name].copy_(value)
        return float(loss.detach())

    def _stale(self) -> bool:
        return bool(self.config.patience and self.state["stale"] >= self.config.patience)

    def _validate(self, step: int, loss: float, began: float, board: Any, progress: Progress | None) -> None:
        """Measure, keep the best parameters, leave a checkpoint; every process takes the same decision."""
        aggregator = aggregators.build(self.description["aggregator"], self.data.dim, **self.description["options"])
        aggregator.load_state_dict(self.mean)
        rates = self.validation.rates(aggregator.to(self.team.device), self.config.far)
        score = self.team.agree(mean_tar(rates))
        better = score > self.state["best"]
        self.state |= {"step": step, "stale": 0 if better else self.state["stale"] + 1}
        if better:
            self.state |= {"best": score, "best_step": step}
        row = {"step": step, "loss": loss, "rate": self.config.rate(step), "tar": score}
        row |= {f"tar/{name}": rate.tar for name, rate in rates.items()}
        if self.team.first:
            if better:
                runs.write_tensors(self.run / runs.MODEL, self.mean, {"step": step})
            runs.append_log(self.run / runs.LOG, row)
            self._checkpoint()
            for name, value in row.items() if board is not None else ():
                if name != "step" and value == value:
                    board.add_scalar(name, value, step)
        if progress is not None and self.team.first:
            figures = {"loss": loss, "tar": score, "best": self.state["best"], "seconds": time.perf_counter() - began}
            progress(step, self.config.steps, figures)
        self.team.wait()

    def _checkpoint(self) -> None:
        tensors = {f"work.{k}": v for k, v in self.work.state_dict().items()}
        tensors |= {f"mean.{k}": v for k, v in self.mean.items()}
        runs.write_tensors(self.run / runs.CHECKPOINT, tensors | runs.pack_optimiser(self.optimiser), self.state)

    def _finish(self, step: int) -> None:
        if self.team.first:
            baseline = self.validation.rates(Mean(self.data.dim), self.config.far)
            best, _ = runs.read_tensors(self.run / runs.MODEL)
            aggregator = aggregators.build(self.description["aggregator"], self.data.dim, **self.description["options"])
            aggregator.load_state_dict(best)
            rates = self.validation.rates(aggregator, self.config.far)
            self.description["result"] = {
                "steps": step,
                "best_step": self.state["best_step"],
                "far": self.config.far,
                "score": self.state["best"],
                "baseline": mean_tar(baseline),
                "tar": {name: rate.tar for name, rate in rates.items()},
                "tar_mean": {name: rate.tar for name, rate in baseline.items()},
                "resolved": all(rate.resolved for rate in rates.values()),
            }
            runs.write_json(self.run / runs.CONFIG, self.description)
            self.state["done"] = True
            self._checkpoint()
        self.team.wait()


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


def _board(run: Path, step: int) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(run / "tensorboard"), purge_step=step + 1)


def _fingerprint(data: TrainData) -> str:
    """Changes with the features, the labels or the rows; reads a thousand rows only."""
    digest = hashlib.sha256(repr((data.features.shape, data.rows.size, data.embedder)).encode())
    some = data.rows[:: max(1, data.rows.size // 1000)]
    digest.update(np.ascontiguousarray(data.features[some]).tobytes())
    for labels in (data.subject, data.medium, data.kind):
        digest.update(labels.codes.tobytes())
        digest.update("\0".join(labels.names).encode())
    return digest.hexdigest()
