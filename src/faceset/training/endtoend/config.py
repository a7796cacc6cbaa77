"""Settings of an end-to-end run. A misspelt key is an error, never a silent default."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from faceset.errors import InputError
from faceset.training.config import (
    COMPILE,
    OPTIMISERS,
    PRECISIONS,
    SCHEDULES,
    SetConfig,
    TrainConfig,
    at_least,
    known,
    rate_at,
    shares,
)
from faceset.training.faces import AugmentConfig

CHECKPOINTS = ("none", "stages", "chunks")
GENTLE = AugmentConfig(rotation_rad=0.05, scale=0.04, shift=0.02, high=1.0, colour=0.1, grey=0.05, erase=0.0)
"""Crops vary about as much as landmarks do; how bad a face is, the sets say."""


@dataclass(frozen=True, slots=True)
class EndToEndConfig:
    """One end-to-end run: the aggregator alone on features of the CNN as it is, then both together.

    Attributes:
        aggregator: name in :mod:`faceset.training.aggregators`.
        options: of the aggregator.
        loss: name in :mod:`faceset.training.losses`.
        loss_options: of the loss.
        crop: geometry of the crops; empty: the backbone's own.
        frozen_steps: batches of the first stage, in which the CNN stands still; 0: the aggregator starts untrained.
        frozen_rate: learning rate of the first stage.
        frozen_sets: how its sets are drawn; they cost little, since features are computed once.
        copies: degraded copies of each face whose features the first stage and validation use. With one, a set has
            few different bad faces to choose among, and validation takes better features for better templates.
        steps: batches of the second stage, in which both learn; 0: none.
        sets: how its sets are drawn; a batch is about ``subjects * sets * (max_faces - min_faces) / log(max / min)``
            faces, all of which go through the CNN.
        augment: what happens to a face of the second stage; its degradations only to faces drawn as degraded.
        optimiser: ``adamw`` or ``rmsprop``, of the second stage.
        learning_rate: > 0, of aggregator and loss in the second stage, reached after the warm-up.
        cnn_rate: >= 0, factor from ``learning_rate`` to that of the CNN. An adaptive optimiser moves every weight by
            about the rate at each step, whatever its gradient; weights of dlib's network are small (6e-3 in the
            median), and at 1e-4 it forgets within 30 steps what it knew.
        weight_decay: >= 0, of matrices and kernels.
        schedule: ``cosine`` or ``constant``.
        warmup: steps over which the learning rate rises from zero.
        average: share kept of the running mean of the parameters at each step, 0 for none; the mean is what is
            validated and kept.
        keep: >= 0, weight of the squared distance of the unit feature of each face to that of the same face as it was
            found, by the CNN as it was at first. So the CNN does not forget what few people cannot teach (Li and
            Hoiem, arXiv:1606.09282). A degraded face is so drawn to what it was before, which makes single faces
            better, and takes from the aggregator a sign by which it tells bad faces.
        anchor: >= 0, pull of the CNN back to where it started: ``anchor / 2 * |w - w0|^2`` is added to the loss
            (L2-SP, Li et al., arXiv:1802.01483). Few people are easily learnt by heart.
        blends: shares of the way from the start to the end; networks there are measured after the last step, and the
            best of all is kept (Wortsman et al., arXiv:2109.01903).
        clip: largest norm of the gradient; 0: any.
        chunk, checkpoint, batch_statistics: see :class:`faceset.training.endtoend.network.EndToEnd`.
        precision, compile: of the CNN, see :mod:`faceset.training.device`.
        validate_every: steps between two validations; every one also leaves a checkpoint.
        validation_people: people at most that are validated with.
        patience: validations without a better result after which training ends; 0: never.
        far: the target FAR of validation.
        workers: threads that prepare pictures.
        seed: of everything that is drawn.
    """

    aggregator: str = "nan"
    options: Mapping[str, Any] = field(default_factory=dict)
    loss: str = "contrast"
    loss_options: Mapping[str, Any] = field(default_factory=dict)
    crop: str = ""
    frozen_steps: int = 300
    frozen_rate: float = 1e-2
    frozen_sets: SetConfig = field(default_factory=SetConfig)
    copies: int = 5
    steps: int = 200
    sets: SetConfig = field(default_factory=lambda: SetConfig(subjects=24, max_faces=6))
    augment: AugmentConfig = field(default_factory=lambda: GENTLE)
    optimiser: str = "adamw"
    learning_rate: float = 1e-3
    cnn_rate: float = 0.01
    weight_decay: float = 0.0
    schedule: str = "cosine"
    warmup: int = 20
    average: float = 0.95
    keep: float = 20.0
    anchor: float = 0.0
    blends: tuple[float, ...] = (0.5,)
    clip: float = 1.0
    chunk: int = 32
    checkpoint: str = "chunks"
    batch_statistics: bool = False
    precision: str = "auto"
    compile: str = "off"
    validate_every: int = 50
    validation_people: int = 1500
    patience: int = 0
    far: float = 1e-3
    workers: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(
            self, 0, "frozen_steps", "copies", "steps", "cnn_rate", "weight_decay", "warmup", "keep", "anchor", "clip"
        )
        at_least(self, 0, "patience", "seed")
        at_least(self, 1, "validate_every", "workers")
        at_least(self, 4, "validation_people")
        shares(self, "average", "far")
        words = (("optimiser", OPTIMISERS), ("schedule", SCHEDULES), ("precision", PRECISIONS), ("compile", COMPILE))
        for name, allowed in words:
            if getattr(self, name) not in allowed:
                raise InputError(f"{name} must be one of {', '.join(allowed)}, but got {getattr(self, name)!r}")
        if min(self.learning_rate, self.frozen_rate, self.far) <= 0.0 or self.average >= 1.0:
            raise InputError("learning_rate, frozen_rate and far must be > 0, and average must be < 1")
        object.__setattr__(self, "blends", tuple(float(b) for b in self.blends))
        if not all(0.0 < b < 1.0 for b in self.blends):
            raise InputError(f"blends are shares between 0 and 1, both excluded, but got {self.blends}")
        if self.augment.mix or self.augment.shape:
            raise InputError(
                "augment.mix and augment.shape make another face of a face, which belongs to nobody; set 0"
            )
        check_memory(self.chunk, self.checkpoint, self.batch_statistics)

    def rate(self, step: int) -> float:
        """Learning rate of a step of the second stage, counted from 0."""
        return rate_at(step, max(1, self.steps), self.learning_rate, self.warmup, self.schedule)

    def frozen(self) -> TrainConfig:
        """The first stage as settings of :func:`faceset.training.fit`."""
        return TrainConfig(
            aggregator=self.aggregator,
            options=self.options,
            loss=self.loss,
            loss_options=self.loss_options,
            sets=self.frozen_sets,
            learning_rate=self.frozen_rate,
            steps=max(1, self.frozen_steps),
            validate_every=min(max(1, self.frozen_steps), 75),
            far=self.far,
            seed=self.seed,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        plain = dataclasses.asdict(self) | {"augment": self.augment.to_dict()}
        return plain | {
            "options": dict(self.options),
            "loss_options": dict(self.loss_options),
            "blends": [*self.blends],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EndToEndConfig:
        """The configuration with these values, defaults for the rest.

        Raises:
            InputError: a key that there is not, or a value out of range.
        """
        plain = dict(known(cls, values))
        for name in ("sets", "frozen_sets"):
            if name in plain and not isinstance(plain[name], SetConfig):
                plain[name] = SetConfig(**known(SetConfig, plain[name]))
        if "augment" in plain and not isinstance(plain["augment"], AugmentConfig):
            plain["augment"] = AugmentConfig.from_dict(plain["augment"])
        return cls(**plain)


def check_memory(chunk: int, checkpoint: str, batch_statistics: bool) -> None:
    """Refuse what does not go together.

    Raises:
        InputError: see :class:`faceset.training.endtoend.network.EndToEnd`.
    """
    if chunk < 0:
        raise InputError(f"chunk is a number of faces, or 0 for all at once, but got {chunk}")
    if checkpoint not in CHECKPOINTS:
        raise InputError(f"checkpoint must be one of {', '.join(CHECKPOINTS)}, but got {checkpoint!r}")
    if batch_statistics and (chunk or checkpoint != "none"):
        raise InputError(
            "batch statistics need all faces at once and nothing computed twice: set chunk to 0 and checkpoint to "
            "none, or leave batch_statistics off"
        )
