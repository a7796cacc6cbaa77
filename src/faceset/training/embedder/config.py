"""Settings of the training of an embedder. A misspelt key is an error, never a silent default."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from faceset.errors import InputError
from faceset.training.config import COMPILE, PRECISIONS, SCHEDULES, at_least, known, rate_at, shares
from faceset.training.faces import AugmentConfig

HEADS = {"softmax": "classification", "arcface": "angular", "cosface": "cosface"}
"""Heads for classification, and their names in :mod:`faceset.training.losses`."""
OPTIMISERS = ("adamw", "sgd")
DISTANCES = ("mse", "cosine")
VIEWS = ("stored", "plain", "same")
MIRRORS = ("own", "mean", "straight")
SCORES = ("tar", "teacher", "lfw")


@dataclass(frozen=True, slots=True)
class DistilConfig:
    """How a student learns the features of a teacher; no name of a person is looked at.

    The target of a face with the teacher's feature ``t`` is ``P (t - centre)``.

    Attributes:
        weight: >= 0, of this part of the loss; 0: no teacher.
        loss: ``mse``: mean squared distance of the student's raw feature to the target, over that of the best constant
            answer, so that 1 is an answer that knows nothing of the face; ``cosine``: mean of
            1 - cos(student, target).
        centre: whether the mean of the teacher's features over the training faces is taken off first. The student's
            vectors then live in a space of their own, never to be compared with the teacher's, and how far a face is
            from the mean counts for nothing in a cosine.
        whiten: 0..1: what a target has along principal direction i is divided by the root mean square of that to the
            power ``whiten``; 0 leaves cosines as they are, 1 makes all directions count the same.
        relational: >= 0, weight of the mean squared difference between the cosines of the batch among students and
            among targets (after Park et al., "Relational Knowledge Distillation", CVPR 2019).
        views: what the teacher looks at. ``stored``: the face as it was found, once; ``plain``: in every step, the
            student's face before colour, damage and shift, which mixed and bent faces need; ``same``: with all of
            them (Beyer et al., "Knowledge distillation: a good teacher is patient and consistent", CVPR 2022).
        mirror: target of a mirrored face, with ``stored``: ``own`` feature of the mirror image, ``straight`` one, or
            the ``mean`` of both, for the straight face too.
    """

    weight: float = 1.0
    loss: str = "mse"
    centre: bool = False
    whiten: float = 0.0
    relational: float = 0.0
    views: str = "stored"
    mirror: str = "own"

    def __post_init__(self) -> None:
        at_least(self, 0, "weight", "relational")
        shares(self, "whiten")
        _one_of(self, loss=DISTANCES, views=VIEWS, mirror=MIRRORS)


@dataclass(frozen=True, slots=True)
class EmbedderConfig:
    """One training run of an embedder: by the names of people (``head``), by a teacher (``distil``), or by both.

    Attributes:
        backbone: name in :mod:`faceset.training.backbones`.
        options: of the backbone.
        dim: width D of the feature.
        size: side of the crop in pixels; 0: the backbone's own.
        crop: geometry of the crop; empty: the backbone's own for that size.
        head: ``softmax``, ``arcface`` or ``cosface`` over the training people; empty: none.
        head_options: ``scale``; ``margin_rad`` (radians) of arcface, ``margin`` (of the cosine) of cosface.
        head_weight: > 0, of this part of the loss.
        label_smoothing: 0..1, of the head.
        least: pictures a person must have to be one of the head's classes.
        distil: how the teacher teaches, where there is one.
        augment: what happens to a face before the student sees it.
        batch: faces in a step, over all processes.
        epochs: passes over the training faces; used where ``steps`` is 0.
        steps: batches; 0: as ``epochs`` says.
        optimiser: ``adamw`` or ``sgd`` (momentum 0.9, Nesterov).
        learning_rate: > 0, reached after the warm-up.
        weight_decay: >= 0, of kernels and matrices; norms and biases have none.
        schedule: ``cosine`` (down to zero at the last step) or ``constant``.
        warmup: steps over which the learning rate rises from zero.
        average: share kept of the running mean of the parameters at each step, 0 for none; the mean is what is
            validated and kept.
        clip: greatest norm of the gradient; 0: any.
        freeze: first steps in which all but the backbone's last stage stands still, its normalisation too.
        whiten: 0..1, power of the whitening that is folded into the last layer after the last step
            (:mod:`faceset.training.embedder.whitening`); 0: none.
        precision, compile: see :mod:`faceset.training.device`.
        sync_bn: batch normalisation over the faces of all processes (GPUs only); else each process over its own.
        validate_every: steps between two validations; every one also leaves a checkpoint.
        patience: validations without a better result after which training ends; 0: never.
        score: by what the best parameters are chosen: ``tar``, the mean of TAR at FAR 1e-2 and 1e-3 of single faces of
            people held out; ``teacher``, the mean cosine to the teacher's targets, of what is not common to all
            faces; ``lfw``, the accuracy on its pairs; empty: the first of the three that can be measured.
        validation_faces: faces at most that are validated with.
        workers: threads that prepare faces; 0: one less than there are cores, at least one.
        seed: of everything that is drawn.
    """

    backbone: str = "googlenet"
    options: Mapping[str, Any] = field(default_factory=dict)
    dim: int = 128
    size: int = 0
    crop: str = ""
    head: str = ""
    head_options: Mapping[str, Any] = field(default_factory=dict)
    head_weight: float = 1.0
    label_smoothing: float = 0.0
    least: int = 2
    distil: DistilConfig = field(default_factory=DistilConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    batch: int = 64
    epochs: float = 30.0
    steps: int = 0
    optimiser: str = "adamw"
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    schedule: str = "cosine"
    warmup: int = 100
    average: float = 0.99
    clip: float = 0.0
    freeze: int = 0
    whiten: float = 0.0
    precision: str = "auto"
    compile: str = "auto"
    sync_bn: bool = False
    validate_every: int = 500
    patience: int = 0
    score: str = ""
    validation_faces: int = 4000
    workers: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(self, 1, "dim", "validate_every")
        at_least(self, 2, "batch", "least", "validation_faces")
        at_least(self, 0, "size", "steps", "weight_decay", "warmup", "clip", "freeze", "patience", "workers", "seed")
        shares(self, "average", "label_smoothing", "whiten")
        _one_of(self, head=("", *HEADS), optimiser=OPTIMISERS, schedule=SCHEDULES, score=("", *SCORES))
        _one_of(self, precision=PRECISIONS, compile=COMPILE)
        if not (self.learning_rate > 0.0 and self.head_weight > 0.0 and self.average < 1.0):
            raise InputError("learning_rate and head_weight must be > 0, and average must be < 1")
        if self.steps == 0 and not self.epochs > 0.0:
            raise InputError(f"epochs must be > 0 where steps is 0, but got {self.epochs!r}")
        if not self.head and (self.head_options or self.label_smoothing):
            raise InputError("head_options and label_smoothing need a head: softmax, arcface or cosface")
        if "label_smoothing" in self.head_options:
            raise InputError("label_smoothing is a setting of its own, not one of head_options")

    def planned(self, steps_per_epoch: int) -> EmbedderConfig:
        """The same with ``steps`` worked out from ``epochs``."""
        return self if self.steps else dataclasses.replace(self, steps=max(1, round(self.epochs * steps_per_epoch)))

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0; ``steps`` must be given."""
        return rate_at(step, self.steps, self.learning_rate, self.warmup, self.schedule)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        plain = dataclasses.asdict(self)
        return plain | {"options": dict(self.options), "head_options": dict(self.head_options)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EmbedderConfig:
        """The configuration with these values, defaults for the rest.

        Raises:
            InputError: a key that there is not, or a value out of range.
        """
        plain = dict(known(cls, values))
        if "distil" in plain and not isinstance(plain["distil"], DistilConfig):
            plain["distil"] = DistilConfig(**known(DistilConfig, plain["distil"]))
        if "augment" in plain and not isinstance(plain["augment"], AugmentConfig):
            plain["augment"] = AugmentConfig.from_dict(plain["augment"])
        return cls(**plain)


def _one_of(config: object, **words: tuple[str, ...]) -> None:
    for name, allowed in words.items():
        if getattr(config, name) not in allowed:
            shown = ", ".join(word or "(empty)" for word in allowed)
            raise InputError(f"{name} must be one of {shown}, but got {getattr(config, name)!r}")
