"""What a run of an embedder leaves behind, and how it is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faceset.errors import InputError, ModelFileError
from faceset.training import backbones, runs
from faceset.training.backbones import Backbone

KIND = "embedder"


@dataclass(frozen=True, slots=True)
class EmbedderResult:
    """The outcome of :func:`faceset.training.embedder.train_embedder`.

    Attributes:
        backbone: with the best parameters that validation found, ready for use, on the CPU.
        run: the folder.
        steps: steps done.
        best_step: after which the best parameters were found; 0: before any.
        score: of the best, see ``score`` of :class:`~faceset.training.embedder.config.EmbedderConfig`.
        threshold: cosine at FAR 1e-3 of single faces of people held out; None: too few of them.
        threshold_source: where the threshold comes from, or why there is none.
        figures: everything that was measured of the best parameters.
        teacher: the same figures of the teacher; empty without one.
        train, validation, left_out: the people (without names, the media) of each part.
    """

    backbone: Backbone
    run: Path
    steps: int
    best_step: int
    score: float
    threshold: float | None
    threshold_source: str
    figures: dict[str, float]
    teacher: dict[str, float]
    train: tuple[str, ...]
    validation: tuple[str, ...]
    left_out: tuple[str, ...]


def load_embedder(run: Path | str) -> tuple[Backbone, dict[str, Any]]:
    """The trained backbone of a run in eval mode, on the CPU, and its ``config.json``.

    Raises:
        ModelFileError: the run is of another kind, incomplete or damaged.
    """
    config = runs.read_config(run, KIND)
    path = Path(run) / runs.MODEL
    tensors, _ = runs.read_tensors(path)
    try:
        backbone = backbones.from_config(config["backbone"])
        backbone.crop = config["preprocessing"]["crop"]
        backbone.load_state_dict(tensors)
    except (KeyError, RuntimeError, TypeError, AttributeError, InputError) as error:
        reason = " ".join(line.strip() for line in str(error).splitlines()[:2])
        raise ModelFileError(f"{path} and {runs.CONFIG} do not belong together ({reason}); train again") from error
    return backbone.eval(), config
