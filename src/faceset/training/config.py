"""Settings of a training run. A misspelt key is an error, never a silent default."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from faceset.errors import InputError

OPTIMISERS = ("adamw", "rmsprop")
SCHEDULES = ("constant", "cosine")
PRECISIONS = ("auto", "fp32", "bf16")
COMPILE = ("auto", "on", "off")


@dataclass(frozen=True, slots=True)
class SetConfig:
    """How face sets are drawn.

    Attributes:
        subjects: people in one batch.
        sets: most sets of one person in a batch; they share no medium, so a person gives at most as many as they have
            media.
        min_faces, max_faces: size N of a set, drawn evenly on a logarithmic scale.
        max_media: most media one set comes from.
        clean: share of sets without a degraded face.
        degraded: share of sets with degraded faces only; the others have any share of them, evenly.
        several: share of the people of a batch who have two media or more, and so give pairs of one person; where
            either kind is scarce, the other fills up.
    """

    subjects: int = 96
    sets: int = 2
    min_faces: int = 2
    max_faces: int = 16
    max_media: int = 3
    clean: float = 0.25
    degraded: float = 0.25
    several: float = 0.7

    def __post_init__(self) -> None:
        at_least(self, 1, "sets", "min_faces", "max_media")
        at_least(self, 2, "subjects")
        shares(self, "clean", "degraded", "several")
        if self.max_faces < self.min_faces:
            raise InputError(f"max_faces must be at least min_faces = {self.min_faces}, but got {self.max_faces}")
        if self.clean + self.degraded > 1.0:
            raise InputError(f"clean + degraded are shares of all sets, but add up to {self.clean + self.degraded}")


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """One training run.

    Attributes:
        aggregator: name in :mod:`faceset.training.aggregators`.
        options: of the aggregator.
        loss: name in :mod:`faceset.training.losses`.
        loss_options: of the loss.
        sets: how sets are drawn.
        optimiser: ``rmsprop`` or ``adamw``.
        learning_rate: > 0, reached after the warm-up.
        weight_decay: >= 0; it pulls to zero, except what a start at a closed form has set.
        schedule: ``cosine`` (down to zero at the last step) or ``constant``.
        warmup: steps over which the learning rate rises from zero.
        steps: batches.
        average: share kept of the running mean of the parameters at each step, 0 for none; the mean is what is
            validated and kept.
        validate_every: steps between two validations; every one also leaves a checkpoint.
        patience: validations without a better result after which training ends; 0: never.
        far: the target FAR of validation.
        kinds: one centroid of unrecognisable faces for each kind of degradation, where the aggregator takes centroids.
        max_strength: faces that were degraded more are left out of training (validation keeps them); None: all are in.
        seed: of everything that is drawn.
    """

    aggregator: str = "nan"
    options: Mapping[str, Any] = field(default_factory=dict)
    loss: str = "verification"
    loss_options: Mapping[str, Any] = field(default_factory=dict)
    sets: SetConfig = field(default_factory=SetConfig)
    optimiser: str = "rmsprop"
    learning_rate: float = 1e-3
    weight_decay: float = 1e-5
    schedule: str = "cosine"
    warmup: int = 20
    steps: int = 600
    average: float = 0.0
    validate_every: int = 50
    patience: int = 0
    far: float = 1e-3
    kinds: bool = False
    max_strength: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(self, 1, "steps", "validate_every")
        at_least(self, 0, "warmup", "patience", "seed", "weight_decay")
        shares(self, "far", "average")
        for name, known in (("optimiser", OPTIMISERS), ("schedule", SCHEDULES)):
            if getattr(self, name) not in known:
                raise InputError(f"{name} must be one of {', '.join(known)}, but got {getattr(self, name)!r}")
        if self.learning_rate <= 0.0 or self.average >= 1.0 or self.far <= 0.0:
            raise InputError("learning_rate and far must be > 0, and average must be < 1")
        if self.max_strength is not None and not self.max_strength >= 0.0:
            raise InputError(f"max_strength must be at least 0, but got {self.max_strength!r}")

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        return rate_at(step, self.steps, self.learning_rate, self.warmup, self.schedule)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**dataclasses.asdict(self), "options": dict(self.options), "loss_options": dict(self.loss_options)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainConfig:
        """The configuration with these values, defaults for the rest.

        Raises:
            InputError: a key that there is not, or a value out of range.
        """
        plain = dict(known(cls, values))
        if "sets" in plain and not isinstance(plain["sets"], SetConfig):
            plain["sets"] = SetConfig(**known(SetConfig, plain["sets"]))
        return cls(**plain)


def rate_at(step: int, steps: int, peak: float, warmup: int, schedule: str) -> float:
    """Learning rate of a step, counted from 0: rising over ``warmup`` steps, then along ``schedule`` to the end.

    >>> [rate_at(step, 4, 1.0, 1, "cosine") for step in (0, 2)]
    [0.5, 0.5]
    """
    rise = min(1.0, (step + 1) / (warmup + 1))
    fall = 0.5 * (1.0 + math.cos(math.pi * step / steps)) if schedule == "cosine" else 1.0
    return peak * rise * fall


def known(cls: type[Any], values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The values again.

    Raises:
        InputError: a key that is no field of ``cls``.
    """
    names = [f.name for f in dataclasses.fields(cls)]
    unknown = sorted(set(values) - set(names))
    if unknown:
        raise InputError(f"{cls.__name__} has no setting {', '.join(unknown)}; it has {', '.join(names)}")
    return values


def at_least(config: object, least: int, *names: str) -> None:
    """Raises InputError where a setting of these names is below ``least``."""
    for name in names:
        if getattr(config, name) < least:
            raise InputError(f"{name} must be at least {least}, but got {getattr(config, name)!r}")


def shares(config: object, *names: str) -> None:
    """Raises InputError where a setting of these names is not in 0..1."""
    for name in names:
        if not 0.0 <= getattr(config, name) <= 1.0:
            raise InputError(f"{name} must be in 0..1, but got {getattr(config, name)!r}")
