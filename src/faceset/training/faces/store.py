"""Aligned faces on disk: padded crops by geometry, and whose they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from faceset.alignment import geometry
from faceset.errors import FaceStoreError, InputError
from faceset.feature_table import Labels
from faceset.training.faces import records
from faceset.training.faces.padding import centre, padded_size
from faceset.training.faces.report import PrepareReport
from faceset.training.faces.search import crops_file
from faceset.types import Floats

if TYPE_CHECKING:
    from faceset.embedding import Embedder
    from faceset.training.faces.search import Progress

Rows = npt.NDArray[np.int64] | npt.NDArray[np.bool_] | slice


class FaceStore:
    """The faces of :func:`faceset.training.faces.prepare`, read only. Safe to share between threads.

    Args:
        folder: of the store.
        faces: what is in it.

    Attributes:
        folder: as given.
        fingerprint: 16 hex digits that name these faces; for the settings of a run.
        report: what was found, and what was not.
        settings: how.
    """

    def __init__(self, folder: Path, faces: records.Records) -> None:
        self.folder, self._faces = folder, faces
        self.fingerprint: str = faces.fingerprint
        self.report: PrepareReport = faces.report
        self.settings: dict[str, Any] = dict(faces.settings)
        self._open: dict[str, npt.NDArray[np.uint8]] = {}

    @classmethod
    def open(cls, folder: Path | str) -> FaceStore:
        """The store in a folder.

        Raises:
            FaceStoreError: there is none, or it is damaged, foreign or newer.
        """
        store = cls(Path(folder), records.read(Path(folder)))
        for name in store.geometries:
            store.padded(name)  # a file cut short is found now, not an hour later
        return store

    def __len__(self) -> int:
        return len(self._faces)

    def __reduce__(self) -> tuple[Any, ...]:
        return FaceStore.open, (self.folder,)

    @property
    def geometries(self) -> tuple[str, ...]:
        """Names of the geometries whose crops are there, sorted."""
        return tuple(sorted(path.stem.removeprefix("crops-") for path in self.folder.glob("crops-*.npy")))

    @property
    def subject(self) -> Labels:
        """(M,) the person of each face; an empty name where the pictures have no labels."""
        return self._faces.subject

    @property
    def medium(self) -> Labels:
        """(M,) picture, video or folder of frames."""
        return self._faces.medium

    @property
    def files(self) -> tuple[str, ...]:
        """(M,) the file of each face."""
        return tuple(self._faces.file.names[code] for code in self._faces.file.codes)

    @property
    def frame(self) -> npt.NDArray[np.int64]:
        """(M,) number of the frame within the medium."""
        return self._faces.frame

    @property
    def score(self) -> Floats:
        """(M,) of the detector."""
        return self._faces.score

    @property
    def box(self) -> Floats:
        """(M, 4) xyxy pixels of the picture."""
        return self._faces.box

    def landmarks(self, scheme: str) -> Floats:
        """(M, P, 2) pixels of the picture.

        Raises:
            InputError: the store has none of that scheme.
        """
        if scheme not in self._faces.landmarks:
            raise InputError(f"{self.folder} has landmarks of {', '.join(self._faces.landmarks)}, but not {scheme!r}")
        return self._faces.landmarks[scheme]

    def padded(self, name: str) -> npt.NDArray[np.uint8]:
        """The padded crops (M, H + 2p, W + 2p, 3) of a geometry: a read-only memory map.

        Raises:
            InputError: an unknown geometry.
            FaceStoreError: it was not prepared, or its file is damaged.
        """
        if name not in self._open:
            path = crops_file(self.folder, geometry(name).name)
            found = map_array(path, (len(self), *padded_size(name), 3), np.uint8, self._missing(name))
            self._open[name] = np.asarray(found)
        return self._open[name]

    def crop(self, name: str, rows: Rows) -> npt.NDArray[np.uint8]:
        """The crops (n, H, W, 3) of some faces: those of :func:`faceset.alignment.align_face`, byte for byte."""
        return np.ascontiguousarray(centre(self.padded(name)[rows], geometry(name).size))

    def teacher(self, embedder: Embedder, flip: bool = True, progress: Progress | None = None) -> Floats:
        """The raw features (M, 2, D) of each crop and of its mirror image, computed once and kept in the store.

        Args:
            embedder: its crops must be there.
            flip: False: (M, 1, D), of the crop alone.
            progress: called with faces done, faces in all, and faces done.

        Raises:
            FaceStoreError: its crops are not there, or the disk refuses.
        """
        from faceset.training.faces.teacher import features

        return features(self, embedder, flip, progress)

    def _missing(self, name: str) -> str:
        have = ", ".join(self.geometries) or "none"
        return f"{self.folder} has no crops {name} (it has {have}); prepare it again with that geometry too"


def map_array(path: Path, shape: tuple[int, ...], dtype: npt.DTypeLike, missing: str) -> npt.NDArray[Any]:
    """A read-only memory map of an ``.npy`` file that must be of that shape.

    Raises:
        FaceStoreError: ``missing`` where there is no file; or it is damaged or foreign.
    """
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise FaceStoreError(missing) from error
    except (OSError, ValueError, EOFError) as error:
        raise FaceStoreError(f"{path} is damaged ({error}); delete it and prepare it again") from error
    if not isinstance(found, np.ndarray) or found.shape != shape or found.dtype != np.dtype(dtype):
        raise FaceStoreError(
            f"{path} is {getattr(found, 'dtype', '')} {getattr(found, 'shape', '')}, but must be {np.dtype(dtype)} "
            f"{shape}; delete it and prepare it again"
        )
    return found
