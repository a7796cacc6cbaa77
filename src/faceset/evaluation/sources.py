"""Where features come from: a feature table, or the rows that other projects publish as one ``.npy`` file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from faceset.aggregation.ragged import lengths
from faceset.errors import EmbedderMismatchError, FeatureTableError, InputError
from faceset.evaluation.trials import Experiment, FaceList
from faceset.feature_table import CLEAN, FeatureTable, Labels
from faceset.packs.installed import file_sha256


def load(path: Path | str, experiments: Sequence[Experiment], *, model_id: str | None = None) -> FeatureTable:
    """The features for some experiments.

    Args:
        path: a feature table (a Parquet file, or a folder of parts), or a ``.npy`` file of (F, D) numbers whose rows
            are the faces of the protocol in the order of its files, which is how features for IJB-B and IJB-C are
            passed on. Such a file stays on disk and is read where it is needed; its detector scores are those that the
            protocol states, 1 where it states none.
        experiments: of one protocol; a ``.npy`` file needs them to have the same faces.
        model_id: the embedder that made the features. A ``.npy`` file does not say; without a name it is called
            ``npy:`` and the first 16 digits of the SHA-256 of the file.

    Raises:
        FeatureTableError: the file is missing, damaged, or does not fit the faces of the protocol.
        EmbedderMismatchError: the table is of another embedder than ``model_id``.
        InputError: no experiment.
    """
    if not experiments:
        raise InputError("there is nothing to evaluate: no experiment was given")
    path = Path(path)
    if path.suffix == ".npy":
        return _from_array(path, _one_list(path, experiments), model_id)
    from faceset import features

    table = features.read(path)
    if model_id is not None and model_id != table.embedder:
        raise EmbedderMismatchError(
            f"{path} holds features of embedder {table.embedder!r}, not of {model_id!r}; "
            "extract the features with that embedder, or leave the name out"
        )
    return table


def _one_list(path: Path, experiments: Sequence[Experiment]) -> FaceList:
    faces = experiments[0].faces
    for other in experiments[1:]:
        if other.faces is not faces and other.faces.names != faces.names:
            raise FeatureTableError(
                f"{path} has one row a face, but the parts of {other.protocol} list different faces; evaluate one part "
                "at a time, or give a feature table, which names its faces"
            )
    return faces


def _from_array(path: Path, faces: FaceList, model_id: str | None) -> FeatureTable:
    try:
        array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise FeatureTableError(f"there is no file {path}; give the features of the protocol's faces") from error
    except (OSError, ValueError, EOFError) as error:
        raise FeatureTableError(f"{path} is no .npy file of numbers or is damaged ({error}); copy it again") from error
    F = len(faces)
    if array.ndim != 2 or array.dtype.kind != "f" or array.shape[1] == 0:
        raise FeatureTableError(
            f"{path} must hold floating-point numbers of shape ({F}, D), but has {array.dtype} {array.shape}"
        )
    if array.shape[0] != F:
        raise FeatureTableError(
            f"{path} has {array.shape[0]} rows, but the protocol lists {F} faces; one row a face is needed, in the "
            "order of the protocol's files"
        )
    with np.errstate(over="ignore"):  # what single precision cannot hold becomes infinite, and is refused below
        vectors = array if array.dtype == np.float32 else np.asarray(array, dtype=np.float32)
    blank = np.full((F, 1), np.nan, np.float32)
    scores = np.ones(F) if faces.scores is None else faces.scores
    return FeatureTable(
        embedder=model_id or f"npy:{file_sha256(path)[:16]}",
        vectors=vectors,
        subject=Labels(np.zeros(F, np.int32), ("",)),
        medium=Labels.of(faces.names),
        kind=Labels(np.zeros(F, np.int32), (CLEAN,)),
        strength=np.zeros(F, np.float32),
        track=np.zeros(F, np.int32),
        frame=np.zeros(F, np.int64),
        time=np.zeros(F),
        box=np.broadcast_to(blank, (F, 4)),
        landmarks=np.broadcast_to(blank[:, :, None], (F, 5, 2)),
        score=scores.astype(np.float32),
        norm=_norms(path, vectors),
        settings={"file": path.name, "rows": F, "order": "faces of the protocol"},
    )


def _norms(path: Path, vectors: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    norms: npt.NDArray[np.float32] = lengths(vectors).astype(np.float32)
    wrong = np.flatnonzero(~np.isfinite(norms))
    if wrong.size:
        raise FeatureTableError(
            f"{path} holds NaN or infinity in row {wrong[0]} (counted from 0) and {wrong.size - 1} other rows; a face "
            "that could not be embedded is a row of zeros, which counts as a failure to enrol"
        )
    return norms
