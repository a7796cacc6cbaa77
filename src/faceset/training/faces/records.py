"""The faces of a store without their pixels: whose they are, where they lie, how they were found. One ``.npz`` file.

Names are kept as UTF-8 with a NUL after each, the rest as arrays; nothing is pickled. The file is written last, so
that a store which has one is whole.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from faceset.errors import FaceStoreError
from faceset.feature_table import Labels
from faceset.training.faces.report import PrepareReport
from faceset.types import LANDMARK_SCHEMES, Floats
from faceset.writing import write_whole

FILE = "faces.npz"
FORMAT = 1
"""Version of the format that is written; newer ones are refused."""
_NAMES = ("subject", "medium", "file")
_NUMBERS = {"frame": ("int64", ()), "score": ("float32", ()), "box": ("float32", (4,))}


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """M faces.

    Attributes:
        subject, medium, file: (M,) person; picture, video or folder of frames; the file itself, below the root.
        frame: (M,) number of the frame within the medium.
        score: (M,) of the detector.
        box: (M, 4) xyxy pixels.
        landmarks: scheme -> (M, P, 2) pixels.
        media: names of all media that were looked at, sorted.
        settings: how the faces were found.
        report: what was found.
    """

    subject: Labels
    medium: Labels
    file: Labels
    frame: npt.NDArray[np.int64]
    score: Floats
    box: Floats
    landmarks: Mapping[str, Floats]
    media: tuple[str, ...]
    settings: Mapping[str, Any]
    report: PrepareReport

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change with any face, name or setting."""
        digest = hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode())
        for name, values in sorted(_arrays(self).items()):
            digest.update(f"\0{name}\0".encode() + np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()[:16]


def write(folder: Path, records: Records) -> None:
    """Write the file, whole or not at all.

    Raises:
        FaceStoreError: the disk refuses.
    """
    header = {"faceset face store": FORMAT, "settings": dict(records.settings), "report": records.report.to_dict()}
    arrays: dict[str, Any] = {"header": _bytes(json.dumps(header, sort_keys=True)), **_arrays(records)}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    try:
        write_whole(folder / FILE, buffer.getvalue())
    except OSError as error:
        raise FaceStoreError(f"{folder} cannot be written ({error}); choose a place with room and rights") from error


def read(folder: Path) -> Records:
    """Read the file of a store.

    Raises:
        FaceStoreError: missing, damaged, foreign, or of a newer version.
    """
    path = folder / FILE
    cure = f"delete {folder} and prepare it again"
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
        header = json.loads(bytes(arrays.pop("header")))
        version = header["faceset face store"]
        if version > FORMAT:
            raise FaceStoreError(f"{path} has version {version} of the format, newer than {FORMAT}; upgrade faceset")
        return _records(header, arrays)
    except FileNotFoundError as error:
        raise FaceStoreError(f"{folder} holds no prepared faces (no {FILE}); prepare them first") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise FaceStoreError(f"{path} is damaged, or no file of a face store ({reason}); {cure}") from error


def _records(header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Records:
    """Raise ValueError for numbers that no writer of ours makes."""
    M = len(arrays["frame"])
    columns: dict[str, Any] = {}
    for name, (dtype, shape) in _NUMBERS.items():
        columns[name] = _checked(name, arrays[name], dtype, (M, *shape))
    for name in _NAMES:
        names = _names(arrays[f"{name}_names"])
        codes = _checked(name, arrays[f"{name}_codes"], "int32", (M,))
        if M and not (codes.min() >= 0 and codes.max() < len(names)):
            raise ValueError(f"{name} has a number without a name")
        columns[name] = Labels(codes, names)
    points = {
        scheme: _checked(scheme, arrays[f"landmarks_{scheme}"], "float32", (M, LANDMARK_SCHEMES[scheme], 2))
        for scheme in sorted(LANDMARK_SCHEMES)
        if f"landmarks_{scheme}" in arrays
    }
    if not points:
        raise ValueError("it has no landmarks")
    return Records(
        **columns,
        landmarks=points,
        media=_names(arrays["media"]),
        settings=dict(header["settings"]),
        report=PrepareReport.from_dict(header["report"]),
    )


def _checked(name: str, values: npt.NDArray[Any], dtype: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    if values.dtype != np.dtype(dtype) or values.shape != shape:
        raise ValueError(f"{name} is {values.dtype} {values.shape}, but must be {dtype} {shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} has values that are not finite")
    return values


def _arrays(records: Records) -> dict[str, npt.NDArray[Any]]:
    arrays: dict[str, npt.NDArray[Any]] = {name: getattr(records, name) for name in _NUMBERS}
    for name in _NAMES:
        labels: Labels = getattr(records, name)
        arrays[f"{name}_codes"], arrays[f"{name}_names"] = labels.codes, _joined(labels.names)
    arrays["media"] = _joined(records.media)
    return arrays | {f"landmarks_{scheme}": points for scheme, points in records.landmarks.items()}


def _bytes(text: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(text.encode(), np.uint8)


def _joined(names: tuple[str, ...]) -> npt.NDArray[np.uint8]:
    return _bytes("".join(f"{name}\0" for name in names))


def _names(values: npt.NDArray[np.uint8]) -> tuple[str, ...]:
    return tuple(bytes(values).decode().split("\0")[:-1])
