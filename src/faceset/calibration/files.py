"""Calibrations on disk: one JSON file each; the layout is in ``docs/formats.md``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from faceset.calibration.records import Calibration, FarPoint, FpirPoint, SizeClass, SizePair
from faceset.errors import CalibrationError, InputError
from faceset.writing import write_whole

FORMAT = "faceset calibration"
VERSION = 1
_CURE = "make it anew with `faceset calibrate`"


def to_text(calibration: Calibration) -> str:
    """The text of the file; the same calibration gives the same bytes."""
    values = {"format": FORMAT, "version": VERSION, **calibration.to_dict()}
    lines = [f" {json.dumps(key)}: {_text(value)}" for key, value in values.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _text(value: Any) -> str:
    """Lists of objects with one object a line, a list of points inside them the same."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(f"  {_object(v)}" for v in value) + "\n ]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _object(value: dict[str, Any]) -> str:
    parts = []
    for key, inner in value.items():
        if key == "points":
            rows = ",\n".join(f"    {json.dumps(p, allow_nan=False)}" for p in inner)
            parts.append(f"{json.dumps(key)}: [\n{rows}\n  ]")
        else:
            parts.append(f"{json.dumps(key)}: {json.dumps(inner, ensure_ascii=False, allow_nan=False)}")
    return "{" + ", ".join(parts) + "}"


def save(calibration: Calibration, path: str | os.PathLike[str]) -> None:
    """Write a calibration, beside its place first, then renamed; its folder must be there.

    Raises:
        CalibrationError: the file cannot be written.
    """
    path = Path(path)
    try:
        write_whole(path, to_text(calibration).encode())
    except OSError as error:
        raise CalibrationError(
            f"{path} cannot be written ({error.strerror or error}); free some space or choose another place"
        ) from error


def load(path: str | os.PathLike[str]) -> Calibration:
    """Read what :func:`save` wrote.

    Raises:
        CalibrationError: the file is missing, damaged, something else, of a newer version, or holds thresholds that
            fall where they must rise.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CalibrationError(f"{path} cannot be read ({error.strerror or error}); check the name") from error
    return parse(data, str(path))


def parse(data: bytes, name: str) -> Calibration:
    """The calibration in the bytes of a file; see :func:`load`."""
    try:
        values = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise CalibrationError(f"{name} is no JSON, or a damaged one ({error}); {_CURE}") from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise CalibrationError(f"{name} is not a faceset calibration; {_CURE}")
    version = values.get("version")
    if type(version) is not int or version < 1:
        raise CalibrationError(f"{name} is a damaged calibration (version {version!r}); {_CURE}")
    if version > VERSION:
        raise CalibrationError(f"{name} has version {version}, but this faceset reads up to {VERSION}; upgrade faceset")
    try:
        return _calibration({k: v for k, v in values.items() if k not in ("format", "version")})
    except (KeyError, TypeError, ValueError) as error:  # InputError is a ValueError
        raise CalibrationError(f"{name} is a damaged calibration ({error}); {_CURE}") from error


def _calibration(values: dict[str, Any]) -> Calibration:
    _keys(values, set(Calibration.__slots__), "the calibration")
    versions = values["versions"]
    if not isinstance(versions, dict) or not all(isinstance(v, str) for v in versions.values()):
        raise InputError("versions must be texts by name")
    return Calibration(
        model_id=_name(values, "model_id"),
        aggregator=_name(values, "aggregator"),
        source=_name(values, "source"),
        people=_count(values, "people"),
        media=_count(values, "media"),
        faces=_count(values, "faces"),
        classes=tuple(_class(v) for v in _list(values, "classes")),
        pairs=tuple(_pair(v) for v in _list(values, "pairs")),
        searches=tuple(_search(v) for v in _list(values, "searches")),
        seed=_count(values, "seed"),
        resamples=_count(values, "resamples"),
        versions=versions,
    )


def _class(value: Any) -> SizeClass:
    if not isinstance(value, list) or len(value) != 2:
        raise InputError(f"a size class is two numbers, but got {value!r}")
    low, high = value
    if type(low) is not int or (high is not None and type(high) is not int):
        raise InputError(f"a size class is two numbers, but got {value!r}")
    return SizeClass(low, high)


def _pair(values: Any) -> SizePair:
    _keys(values, set(SizePair.__slots__), "a size pair")
    pairs = {}
    for name in ("sizes", "people"):
        found = values[name]
        if not isinstance(found, list) or len(found) != 2 or any(type(v) is not int or v < 0 for v in found):
            raise InputError(f"{name} of a size pair are two whole numbers, but got {found!r}")
        pairs[name] = (found[0], found[1])
    return SizePair(
        sizes=pairs["sizes"],
        people=pairs["people"],
        people_pairs=_count(values, "people_pairs"),
        genuine=_count(values, "genuine"),
        impostors=_count(values, "impostors"),
        points=tuple(_far(v) for v in _list(values, "points")),
    )


def _far(values: Any) -> FarPoint:
    _keys(values, set(FarPoint.__slots__), "a point")
    tar = None if values["tar"] is None else _number(values, "tar")
    if tar is not None and not 0.0 <= tar <= 1.0:
        raise InputError(f"tar must be in 0..1, but got {tar!r}")
    far, threshold, low, high = (_number(values, name) for name in ("far", "threshold", "low", "high"))
    return FarPoint(far, threshold, low, high, tar, _flag(values, "resolved"), _name(values, "rule"))


def _search(values: Any) -> FpirPoint:
    _keys(values, set(FpirPoint.__slots__), "a search")
    fpir, threshold, low, high = (_number(values, name) for name in ("fpir", "threshold", "low", "high"))
    return FpirPoint(_count(values, "gallery"), fpir, threshold, low, high, _flag(values, "resolved"))


def _keys(values: Any, wanted: set[str], what: str) -> None:
    if not isinstance(values, dict):
        raise InputError(f"{what} must be an object, but got {type(values).__name__}")
    if set(values) != wanted:
        missing, strange = sorted(wanted - set(values)), sorted(set(values) - wanted)
        raise InputError(f"{what} lacks {missing} and has unknown {strange}")


def _name(values: Mapping[str, Any], key: str) -> str:
    value = values[key]
    if not isinstance(value, str) or not value:
        raise InputError(f"{key} must be a text, but got {value!r}")
    return value


def _count(values: Mapping[str, Any], key: str) -> int:
    value = values[key]
    if type(value) is not int or value < 0:
        raise InputError(f"{key} must be a whole number >= 0, but got {value!r}")
    return value


def _number(values: Mapping[str, Any], key: str) -> float:
    value = values[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{key} must be a number, but got {value!r}")
    return float(value)


def _flag(values: Mapping[str, Any], key: str) -> bool:
    value = values[key]
    if not isinstance(value, bool):
        raise InputError(f"{key} must be true or false, but got {value!r}")
    return value


def _list(values: Mapping[str, Any], key: str) -> list[Any]:
    value = values[key]
    if not isinstance(value, list):
        raise InputError(f"{key} must be a list, but got {type(value).__name__}")
    return value
