"""How alike two templates are, and from which score on they count as one person."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from faceset.errors import EmbedderMismatchError, EmptySetError, ThresholdError
from faceset.types import Floats, Template

GIVEN = "given by the caller"


@dataclass(frozen=True, slots=True)
class Threshold:
    """The score from which on two templates are taken for one person.

    Attributes:
        value: cosine similarity in -1..1; accept when ``score >= value``.
        source: where it comes from, in words for people.
        far: the FAR it was calibrated for; None when that is not known.
        fpir: the FPIR of a search it was calibrated for; None when that is not known.
    """

    value: float
    source: str
    far: float | None = None
    fpir: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.value) and -1 <= self.value <= 1):
            raise ThresholdError(f"a threshold is a cosine in -1..1, but got {self.value!r} ({self.source})")
        if not self.source:
            raise ThresholdError("a threshold without a source is folklore; say where it comes from")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, under the names every answer uses."""
        return {
            "threshold": round(self.value, 6),
            "threshold_source": self.source,
            "far": self.far,
            "fpir": self.fpir,
        }


def threshold_for(manifest_threshold: float | None, source: str | None, override: float | None) -> Threshold:
    """The caller's threshold where given, else the one in the embedder's manifest.

    Args:
        manifest_threshold: from the manifest; None where nobody has measured one.
        source: where the manifest has it from.
        override: what the caller asks for, or None.

    Raises:
        ThresholdError: neither is known, or the one in use is no cosine.
    """
    if override is not None:
        return Threshold(float(override), GIVEN)
    if manifest_threshold is None:
        raise ThresholdError(
            "no threshold is known for this embedder; pass threshold= (on the command line --threshold), a cosine in "
            "-1..1 measured on pictures like yours, or measure one with `faceset calibrate`"
        )
    return Threshold(float(manifest_threshold), source or "manifest of the embedder, origin not stated")


def similarity(a: Template, b: Template) -> float:
    """Cosine similarity of two templates, in -1..1, higher = same person.

    Raises:
        EmbedderMismatchError: they are of two embedders, or of two widths.
    """
    _check_same_embedder(a, b)
    return float(np.clip(a.vector.astype(np.float64) @ b.vector.astype(np.float64), -1.0, 1.0))


def similarity_matrix(rows: Sequence[Template], columns: Sequence[Template] | None = None) -> Floats:
    """Cosine similarities of every template in ``rows`` with every one in ``columns``.

    Args:
        rows: A templates.
        columns: B templates; None: ``rows`` again.

    Returns:
        (A, B) float32 in -1..1.

    Raises:
        EmptySetError: no templates on one side.
        EmbedderMismatchError: templates of two embedders, or of two widths.
    """
    columns = rows if columns is None else columns
    if not rows or not columns:
        raise EmptySetError(f"need templates on both sides, but got {len(rows)} and {len(columns)}")
    for other in (*rows, *columns):
        _check_same_embedder(rows[0], other)
    left = np.stack([t.vector for t in rows])
    right = np.stack([t.vector for t in columns])
    scores: Floats = np.clip(left @ right.T, -1.0, 1.0)
    return scores


def _check_same_embedder(a: Template, b: Template) -> None:
    if a.model_id != b.model_id:
        raise EmbedderMismatchError(
            f"templates of two embedders cannot be compared: {a.model_id!r} and {b.model_id!r}; make both with the same"
        )
    if a.vector.shape != b.vector.shape:
        raise EmbedderMismatchError(
            f"templates of widths {a.vector.size} and {b.vector.size} cannot be compared, though both name the "
            f"embedder {a.model_id!r}; make both anew"
        )
