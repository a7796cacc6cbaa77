"""Where calibrations are: in a file given, in the user's folder, in a pack of models, or in the package."""

from __future__ import annotations

import importlib.resources
import re
from functools import cache
from pathlib import Path

from faceset import settings
from faceset.calibration import files
from faceset.calibration.records import Calibration
from faceset.errors import CalibrationError
from faceset.packs.pack import stored_pack_of


def file_name(model_id: str, aggregator: str) -> str:
    """The name of the file of an embedder and an aggregator, in the user's folder and in the package.

    >>> file_name("dlib-resnet:aae79f", "anchored:80dc")
    'dlib-resnet_aae79f--anchored_80dc.json'
    """
    return "--".join(re.sub(r"[^A-Za-z0-9.+-]", "_", part) for part in (model_id, aggregator)) + ".json"


def user_path(model_id: str, aggregator: str) -> Path:
    """Where `faceset calibrate` writes, and `verify` and `identify` look first."""
    return settings.calibrations_dir() / file_name(model_id, aggregator)


def of_user(model_id: str, aggregator: str) -> Calibration | None:
    """The user's own calibration; None where there is none.

    Raises:
        CalibrationError: the file is damaged, or holds another embedder or aggregator than its name says.
    """
    path = user_path(model_id, aggregator)
    if not path.is_file():
        return None
    found = files.load(path)
    if (found.model_id, found.aggregator) != (model_id, aggregator):
        raise CalibrationError(
            f"{path} was made for embedder {found.model_id} and aggregator {found.aggregator}, which its name does not "
            "say; move it away and calibrate anew"
        )
    return found


def of_pack(path: Path | None, model_id: str, aggregator: str) -> Calibration | None:
    """The calibration of a pack; None where it has none, or one of another embedder or aggregator.

    Args:
        path: of the file; None: that of the imported pack of the embedder.
        model_id: id of the embedder.
        aggregator: full name of the aggregator.

    Raises:
        CalibrationError: the file is damaged.
        ModelFileError: the imported pack is damaged.
    """
    if path is None:
        pack = stored_pack_of(model_id)
        path = None if pack is None else pack.calibration
    if path is None:
        return None
    found = files.load(path)
    return found if (found.model_id, found.aggregator) == (model_id, aggregator) else None


@cache
def shipped(model_id: str, aggregator: str) -> Calibration | None:
    """The calibration that comes with the package; None where there is none."""
    name = file_name(model_id, aggregator)
    resource = importlib.resources.files("faceset.calibration") / "shipped" / name
    if not resource.is_file():
        return None
    found = files.parse(resource.read_bytes(), name)
    return found if (found.model_id, found.aggregator) == (model_id, aggregator) else None
