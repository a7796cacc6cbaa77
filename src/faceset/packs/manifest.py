"""A manifest: what a model file is, what goes into it, and who may use it. On disk a flat TOML file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faceset import settings
from faceset.errors import InputError, LicenceError, ModelError

CROP_SIZES = {"arcface112": (112, 112), "sphere112x96": (112, 96), "dlib150": (150, 150)}
"""Height and width in pixels of the crops that networks were published for; see :func:`crop_size` for the others."""

SIZED_CROPS = {"arcface": 112, "dlib": 150}
"""Families of square crops of any side, and the side they were published with: ``arcface224``, ``dlib96``."""
SMALLEST_CROP, LARGEST_CROP = 32, 448
CROPS = f"{', '.join(CROP_SIZES)}, arcface<N>, dlib<N> (N x N pixels, N from {SMALLEST_CROP} to {LARGEST_CROP})"
"""The names of crops in words, for messages."""

ROLES = ("embedder", "detector", "quality")
COMMERCIAL = ("yes", "no", "unknown")
COLOURS = ("RGB", "BGR")

_SIZED = re.compile(rf"({'|'.join(SIZED_CROPS)})([1-9][0-9]{{1,2}})")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One model. Every field is a key of the TOML file; fields with a default may be left out there.

    Attributes:
        id: short name: letters, digits, ``.``, ``_`` and ``-``, at most 64 characters.
        role: ``embedder``, ``detector`` or ``quality``.
        licence: licence of the weights, in words.
        commercial: ``yes``, ``no`` or ``unknown``: whether the publisher allows commercial use of the weights.
        file: name of the weight file; it lies beside the manifest, or inside ``package``.
        sha256: of the weight file, 64 lower-case hex digits; an embedder needs it.
        source_sha256: of the published weights that ``file`` was rebuilt from, where those decide the model id (an
            embedder of a package that was put into a pack); else empty.
        url: where ``file`` can be fetched, http or https.
        bytes: size of the weight file; 0 = not known.
        package: installed Python package that brings the weights; then there is no ``url``.
        converter: version of the code that rebuilds the weights as ONNX; 0 = the file is used as it is.
        crop: crop geometry an embedder takes (:func:`crop_size`).
        colour: channel order the model takes, ``RGB`` or ``BGR``.
        mean, std: three numbers each, in the model's channel order: it is fed ``(x - mean) / std`` with x in 0..255.
        width: length D of the feature.
        output: name of the output to use; empty = the first.
        threshold: cosine from which two single faces count as one person; None = not known.
        threshold_source: where the threshold comes from; given exactly when ``threshold`` is.
        notes: anything a user should know.
        data: what the model was trained on.
        aggregator: name of the aggregator's ONNX file beside an embedder's manifest; see :mod:`faceset.packs.pack`.
        aggregator_sha256: of that file; given exactly when ``aggregator`` is.
        calibration: name of a file of ``faceset calibrate`` beside the manifest, for this embedder and aggregator.

    Raises:
        ModelError: a field has an impossible value, or fields contradict each other.
    """

    id: str
    role: str
    licence: str
    commercial: str
    file: str = ""
    sha256: str = ""
    source_sha256: str = ""
    url: str = ""
    bytes: int = 0
    package: str = ""
    converter: int = 0
    crop: str = ""
    colour: str = ""
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    width: int = 0
    output: str = ""
    threshold: float | None = None
    threshold_source: str = ""
    notes: str = ""
    data: str = ""
    aggregator: str = ""
    aggregator_sha256: str = ""
    calibration: str = ""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _typed(self, field.name, getattr(self, field.name)))
        check_name(self.id, "id")
        self._one_of("role", ROLES)
        self._one_of("commercial", COMMERCIAL)
        if not self.licence.strip():
            raise self._bad("licence is empty; write what is known, or 'not stated'")
        for key in ("file", "aggregator", "calibration"):
            name = getattr(self, key)
            if name and (Path(name).name != name or "\\" in name or name.startswith(".")):
                raise self._bad(f"{key} must be a plain file name, but is {name!r}")
        for key in ("sha256", "source_sha256", "aggregator_sha256"):
            if (digest := getattr(self, key)) and not _SHA256.fullmatch(digest):
                raise self._bad(f"{key} must be 64 lower-case hex digits, but is {digest!r}")
        if self.bytes < 0 or self.converter < 0 or self.width < 0:
            raise self._bad("bytes, converter and width must be >= 0")
        if self.url and self.package:
            raise self._bad("url and package exclude each other: weights come from one of them")
        if self.url and not (self.url.startswith(("https://", "http://")) and self.sha256 and self.file):
            raise self._bad("url must be http or https, and needs file and sha256 beside it")
        if min(map(abs, self.std)) == 0:
            raise self._bad("std must not be 0")
        if (self.threshold is None) != (not self.threshold_source):
            raise self._bad("threshold and threshold_source come together: a threshold without a source is folklore")
        if self.threshold is not None and not -1 <= self.threshold <= 1:
            raise self._bad(f"threshold is a cosine in -1..1, but is {self.threshold}")
        if self.crop or self.role == "embedder":
            self._check_crop()
        if self.colour or self.role == "embedder":
            self._one_of("colour", COLOURS)
        if self.role == "embedder" and not (self.sha256 and self.file and self.width):
            raise self._bad("an embedder needs file, sha256 and width")
        self._check_pack()

    @property
    def files(self) -> tuple[str, ...]:
        """Names of everything that lies beside the manifest."""
        return tuple(name for name in (self.file, self.aggregator, self.calibration) if name)

    @property
    def model_id(self) -> str:
        """``<id>:<16 hex digits>``: a digest of everything that decides the numbers an embedder gives.

        These are the source weights, the converter, the output, the crop, the colour order, mean and std; never a
        generated ONNX file, whose bytes vary with the ``onnx`` version.
        """
        parts = [
            self.source_sha256 or self.sha256,
            self.converter,
            self.output,
            self.crop,
            self.colour,
            *self.mean,
            *self.std,
        ]
        return f"{self.id}:{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]}"

    def replace(self, **changes: Any) -> Manifest:
        """A copy with some fields changed, checked again."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain values; fields that hold their default are left out."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if getattr(self, f.name) != f.default}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    def to_toml(self) -> str:
        """The text of the manifest file."""
        return "".join(f"{key} = {_toml(value)}\n" for key, value in self.to_dict().items())

    def _check_crop(self) -> None:
        try:
            crop_size(self.crop)
        except InputError as e:
            raise self._bad(f"crop must be one of {CROPS}, but is {self.crop!r}") from e

    def _check_pack(self) -> None:
        if bool(self.aggregator) != bool(self.aggregator_sha256):
            raise self._bad("aggregator and aggregator_sha256 come together")
        if (self.aggregator or self.calibration) and (self.role != "embedder" or self.url or self.package):
            raise self._bad("aggregator and calibration lie beside an embedder's file, without url and package")
        if self.source_sha256 and (self.role != "embedder" or self.package):
            raise self._bad("source_sha256 is for the file of an embedder that was rebuilt, without package")
        if len(set(self.files)) != len(self.files):
            raise self._bad(f"file, aggregator and calibration are different files, but are {', '.join(self.files)}")

    def _one_of(self, field: str, allowed: tuple[str, ...]) -> None:
        if getattr(self, field) not in allowed:
            raise self._bad(f"{field} must be one of {', '.join(allowed)}, but is {getattr(self, field)!r}")

    def _bad(self, reason: str) -> ModelError:
        return ModelError(f"manifest of {self.id!r}: {reason}")


def sized_crop(name: str) -> tuple[str, int] | None:
    """Family and side in pixels of a crop of :data:`SIZED_CROPS`; None of any other name.

    >>> sized_crop("arcface224"), sized_crop("sphere112x96")
    (('arcface', 224), None)
    """
    found = _SIZED.fullmatch(name)
    if found is None or not SMALLEST_CROP <= int(found[2]) <= LARGEST_CROP:
        return None
    return found[1], int(found[2])


def crop_size(name: str) -> tuple[int, int]:
    """Height and width in pixels of the crop geometry of that name; its points are in :mod:`faceset.alignment`.

    >>> crop_size("sphere112x96"), crop_size("dlib96")
    ((112, 96), (96, 96))

    Raises:
        InputError: there is none.
    """
    if name in CROP_SIZES:
        return CROP_SIZES[name]
    sized = sized_crop(name)
    if sized is None:
        raise InputError(f"no crop geometry is called {name!r}; there are {CROPS}")
    return sized[1], sized[1]


def manifest_from_dict(values: Mapping[str, Any], where: str) -> Manifest:
    """A manifest from plain values; ``where`` names their source in messages.

    Raises:
        ModelError: an unknown key, a missing one, or a value that cannot be.
    """
    known = {f.name: f.default is dataclasses.MISSING for f in dataclasses.fields(Manifest)}
    if unknown := sorted(set(values) - set(known)):
        raise ModelError(f"{where}: unknown key {', '.join(unknown)}; the keys are {', '.join(known)}")
    if missing := [name for name, needed in known.items() if needed and name not in values]:
        raise ModelError(f"{where}: missing key {', '.join(missing)}")
    try:
        return Manifest(**values)
    except ModelError as e:
        raise ModelError(f"{where}: {e}") from e


def read_toml(path: Path) -> dict[str, Any]:
    """The values of a TOML file.

    Raises:
        ModelError: it cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise ModelError(f"manifest {path} cannot be read: {e.strerror or e}") from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise ModelError(f"manifest {path} is no TOML file ({e}); docs/packs.md shows what one looks like") from e


def read_manifest(path: Path) -> Manifest:
    """The manifest in a TOML file; raises ModelError."""
    return manifest_from_dict(read_toml(path), str(path))


def check_name(name: str, what: str = "name") -> str:
    """Return ``name`` when it can name a model (and its folder) on every system.

    Raises:
        ModelError: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise ModelError(
            f"{what} {name!r} cannot name a model: use letters, digits, '.', '_' and '-', at most 64 of them"
        )
    return name


def check_commercial(manifest: Manifest) -> None:
    """Refuse the model when only commercial use is allowed here and its licence does not plainly allow that.

    Raises:
        LicenceError: FACESET_COMMERCIAL is set and ``commercial`` is not ``yes``.
    """
    if settings.commercial_only() and manifest.commercial != "yes":
        raise LicenceError(
            f"model {manifest.id!r} is refused because FACESET_COMMERCIAL is set: commercial use of its weights is "
            f"{'forbidden' if manifest.commercial == 'no' else 'not known to be allowed'} "
            f"(licence: {manifest.licence}); take another model (see `faceset models list`) or unset it"
        )


def _typed(manifest: Manifest, name: str, value: object) -> object:
    """``value`` in the type of its field; raises ModelError."""

    def number(v: object) -> float:
        if isinstance(v, bool) or not isinstance(v, (int, float)) or not math.isfinite(v):
            raise ModelError(f"manifest of {manifest.id!r}: {name} must be finite numbers, but got {v!r}")
        return float(v)

    if name in ("mean", "std"):
        if not isinstance(value, (list, tuple)) or len(value) != 3:
            raise ModelError(f"manifest of {manifest.id!r}: {name} must be three numbers, but is {value!r}")
        return tuple(number(v) for v in value)
    if name == "threshold":
        return None if value is None else number(value)
    wanted = int if name in ("bytes", "converter", "width") else str
    if isinstance(value, bool) or not isinstance(value, wanted):
        kind = "a whole number" if wanted is int else "text"
        raise ModelError(f"manifest of {manifest.id!r}: {name} must be {kind}, but is {value!r}")
    return value


def _toml(value: object) -> str:
    if isinstance(value, str):
        # A JSON string is a TOML basic string, except that TOML also wants DEL escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list):
        return f"[{', '.join(_toml(v) for v in value)}]"
    return repr(value)
