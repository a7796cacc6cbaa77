"""Weight files that come inside installed packages, found without importing those packages.

Importing them would be wrong: ``face_recognition_models`` imports ``pkg_resources``, which new setuptools no longer
has, and ``mtcnn`` imports TensorFlow.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import NamedTuple

from faceset.errors import ModelFileError


class InstalledFile(NamedTuple):
    """A file inside an installed package and the bytes it must have; unpack it into :func:`installed_file`."""

    package: str
    relative: str
    sha256: str


DLIB_RESNET = InstalledFile(
    "face_recognition_models",
    "models/dlib_face_recognition_resnet_model_v1.dat",
    "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
)
DLIB_POINTS = InstalledFile(
    "face_recognition_models",
    "models/shape_predictor_5_face_landmarks.dat",
    "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
)
MTCNN_PNET = InstalledFile(
    "mtcnn", "assets/weights/pnet.lz4", "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5"
)
MTCNN_RNET = InstalledFile(
    "mtcnn", "assets/weights/rnet.lz4", "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee"
)
MTCNN_ONET = InstalledFile(
    "mtcnn", "assets/weights/onet.lz4", "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3"
)


def installed_file(package: str, relative: str, sha256: str) -> Path:
    """Path of a file inside an installed package, after checking its bytes.

    Args:
        package: import name of a top-level package; it is located, never imported.
        relative: path of the file inside the package's folder, with ``/``.
        sha256: hex digest the file must have.

    Raises:
        ModelFileError: the package is not installed, or the file is missing, unreadable or has other bytes.
    """
    cure = f"reinstall it: pip install --force-reinstall --no-deps {package}"
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):  # a broken finder, or a module already loaded without a spec
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise ModelFileError(f"package {package!r}, which holds {relative}, is not installed; {cure}")
    tried = [Path(folder) / relative for folder in spec.submodule_search_locations]
    path = next((p for p in tried if p.is_file()), None)
    if path is None:
        raise ModelFileError(f"{tried[0]} is missing from the installed package {package!r}; {cure}")
    found = file_sha256(path)
    if found != sha256:
        raise ModelFileError(
            f"{path} is damaged or from another version of {package!r}: its sha256 is {found}, not {sha256}; {cure}"
        )
    return path


def file_sha256(path: Path) -> str:
    """Hex sha256 of a file.

    Raises:
        ModelFileError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as e:
        raise ModelFileError(f"{path} cannot be read ({e.strerror or e}); check the path and its permissions") from e
