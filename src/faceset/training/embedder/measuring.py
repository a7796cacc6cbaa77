"""Everything that is measured of a student as it learns, and the threshold that goes with it in the end."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from faceset.embedding import Embedder
from faceset.errors import InputError
from faceset.metrics import Rate
from faceset.training.backbones import Backbone
from faceset.training.embedder.config import EmbedderConfig
from faceset.training.embedder.held_out import FARS, HeldOut, embed
from faceset.training.embedder.lfw import LfwPairs
from faceset.training.embedder.people import Parts
from faceset.training.embedder.targets import Targets
from faceset.training.faces import FaceStore
from faceset.types import Floats


class Measuring:
    """The faces held out, and what is asked of them.

    Args:
        store: the faces.
        split: who is held out.
        crop: geometry of the student.
        config: the settings.
        teacher: None: there is none.
        features: (M, 2, W) of the teacher; None without one.
        targets: what the student is to answer; None where no teacher teaches.
        pairs: of LFW; None: not measured.
        device: where to compute.

    Raises:
        InputError: ``config.score`` cannot be measured here, or nothing can.
    """

    def __init__(
        self,
        store: FaceStore,
        split: Parts,
        crop: str,
        config: EmbedderConfig,
        teacher: Embedder | None,
        features: npt.NDArray[np.float32] | None,
        targets: Targets | None,
        pairs: LfwPairs | None,
        device: torch.device,
    ) -> None:
        self._store, self._crop, self._teacher, self._pairs, self._device = store, crop, teacher, pairs, device
        self._held_out = HeldOut.of(split.people, store.medium, split.split.validation, config.validation_faces)
        rows = self._held_out.rows
        self.teaches, self._targets = targets is not None, targets
        self._known = None if features is None else np.asarray(features[rows, 0], np.float32)
        self._goal = None if targets is None or self._known is None or not rows.size else targets(self._known)
        some = np.random.default_rng(0).normal(size=(rows.size, 2)).astype(np.float32)
        possible = {
            "tar": bool(rows.size) and self._held_out.single(some) is not None,
            "teacher": self._goal is not None,
            "lfw": pairs is not None,
        }
        names = [name for name, there in possible.items() if there]
        if not names:
            raise InputError(
                "nothing can be validated: that takes two people held out, and two pictures of one of them; here "
                f"{'is' if self._held_out.people == 1 else 'are'} {self._held_out.people}, by a hash of the names; add "
                "people, or a teacher"
            )
        if config.score and config.score not in names:
            raise InputError(f"score {config.score!r} cannot be measured here; {' and '.join(names)} can")
        self._score = config.score or names[0]

    def embed(self, backbone: Backbone, rows: npt.NDArray[np.int64]) -> Floats:
        """(n, D) features of faces of the store."""
        return _finite(embed(backbone, self._store, self._crop, rows, self._device))

    def figures(self, backbone: Backbone, precision: str = "fp32", *, as_taught: bool = True) -> dict[str, float]:
        """Names and values, the same names at each call.

        Args:
            backbone: in eval mode.
            precision: see :mod:`faceset.training.device`.
            as_taught: whether its features are to be like the targets; those of a whitened student are not.
        """
        features = embed(backbone, self._store, self._crop, self._held_out.rows, self._device, precision)
        return self._figures(backbone, features, precision, as_taught)

    def _figures(self, backbone: Backbone, features: Floats, precision: str, as_taught: bool) -> dict[str, float]:
        found = self._of(features)
        if as_taught and self._goal is not None and self._targets is not None:
            found["teacher"], found["teacher/centred"] = self._targets.alike(features, self._goal)
        if self._pairs is not None:
            pictures = embed(backbone, self._pairs.store, self._crop, self._pairs.rows, self._device, precision)
            found["lfw"] = self._pairs.accuracy(_finite(pictures)).mean
        return found

    def score(self, figures: dict[str, float]) -> float:
        """The one figure by which the best parameters are chosen."""
        if self._score == "tar":
            return float(np.mean([figures[f"tar/single/{far:g}"] for far in FARS]))
        return figures["teacher/centred" if self._score == "teacher" else self._score]

    def result(self, backbone: Backbone, *, as_taught: bool = True) -> dict[str, Any]:
        """Figures of the student and of its teacher, and the threshold; ``as_taught`` as in :meth:`figures`."""
        features = embed(backbone, self._store, self._crop, self._held_out.rows, self._device)
        single = self._held_out.single(_finite(features)) if features.size else None
        value, source = threshold(None if single is None else single.rates[-1], self._held_out.people)
        return {
            "threshold": value,
            "threshold_source": source,
            "score_is": self._score,
            "figures": self._figures(backbone, features, "fp32", as_taught),
            "teacher": {} if self._known is None else self._of(self._known) | self._lfw_of_teacher(),
            "held_out_faces": int(self._held_out.rows.size),
        }

    def _of(self, features: Floats) -> dict[str, float]:
        found: dict[str, float] = {}
        if not features.size:
            return found
        for name, measured in (
            ("single", self._held_out.single(_finite(features))),
            ("sets", self._held_out.sets(features)),
        ):
            if measured is not None:
                found |= measured.figures(name)
        return found

    def _lfw_of_teacher(self) -> dict[str, float]:
        if self._pairs is None or self._teacher is None:
            return {}
        store = self._pairs.store
        if self._teacher.geometry.name not in store.geometries:
            return {}
        features = np.asarray(store.teacher(self._teacher)[self._pairs.rows, 0], np.float32)
        return {"lfw": self._pairs.accuracy(features).mean}


def threshold(rate: Rate | None, people: int) -> tuple[float | None, str]:
    """The threshold of single faces and where it comes from; None and why, where there are too few comparisons."""
    if rate is None:
        return None, f"none: {people} people held out are too few to compare"
    counts = f"{rate.impostors} comparisons of two people, {rate.genuine} of one, among {people} people held out"
    if not rate.resolved:
        return None, f"none: {counts} are too few for FAR {rate.far:g}"
    return min(1.0, rate.threshold), f"FAR {rate.far:g} of single faces: {counts}; TAR {rate.tar:.3f}"


def _finite(features: Floats) -> Floats:
    if not np.isfinite(features).all():
        raise InputError(
            "the student's features are not finite any more; the checkpoint of the last validation stays. Take a lower "
            "learning_rate, a longer warmup or clip, in another folder"
        )
    return features
