"""What every detector promises, and what their adapters share."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from faceset.errors import InputError
from faceset.types import Face, Image

Options = TypeVar("Options")


@runtime_checkable
class Detector(Protocol):
    """Finds faces in pictures.

    One detector may be used by many threads at once; it answers each as it would alone.
    """

    @property
    def name(self) -> str:
        """Short name, as :func:`faceset.detection.get` takes it."""
        ...

    @property
    def scheme(self) -> str | None:
        """Landmark scheme its faces carry; None where it finds boxes only."""
        ...

    def detect(self, images: Sequence[Image]) -> list[list[Face]]:
        """Find the faces of several pictures.

        Args:
            images: RGB uint8 (H, W, 3) each; sizes may differ.

        Returns:
            One list a picture, in the order given: its faces, highest score first (equal scores from left to right),
            empty where there is none. Boxes and landmarks are in pixels of that picture.

        Raises:
            InputError: something in ``images`` is no such picture.
        """
        ...


def make_options(kind: type[Options], who: str, given: Mapping[str, Any]) -> Options:
    """Build an options dataclass from keywords.

    Raises:
        InputError: a keyword is not among its fields, or a value is refused.
    """
    known = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise InputError(f"{who} has no option {', '.join(unknown)}; its options are {', '.join(known)}")
    return kind(**given)


def check_range(who: str, name: str, value: float, low: float, high: float) -> None:
    """Refuse an option outside ``low`` to ``high`` (both allowed).

    Raises:
        InputError: it is outside, NaN or no number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise InputError(f"{name} of {who} must be a number from {low:g} to {high:g}, but got {value!r}")


def in_order(faces: Iterable[Face]) -> list[Face]:
    """Faces by falling score, equal scores from left to right."""
    return sorted(faces, key=lambda face: (-face.score, face.box))
