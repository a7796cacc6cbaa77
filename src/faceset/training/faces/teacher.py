"""Features of a teacher for all faces of a store, computed once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from faceset.training.faces.growing import GrowingArray
from faceset.training.faces.store import map_array
from faceset.types import Floats

if TYPE_CHECKING:
    from faceset.embedding import Embedder
    from faceset.training.faces.search import Progress
    from faceset.training.faces.store import FaceStore

CHUNK = 256
"""Faces between two writes."""


def features(store: FaceStore, embedder: Embedder, flip: bool, progress: Progress | None) -> Floats:
    """See :meth:`faceset.training.faces.store.FaceStore.teacher`. A kill loses 256 faces of work at most."""
    views = 2 if flip else 1
    shape = (views, embedder.width)
    both = _file(store.folder, embedder, 2)
    if not flip and both.exists():
        return _read(both, store, (2, embedder.width))[:, :1]
    path = _file(store.folder, embedder, views)
    if not path.exists():
        name = embedder.geometry.name
        store.padded(name)  # says what to do when it is not there
        with GrowingArray(path, shape, np.float32) as rows:
            while rows.rows < len(store):
                crops = store.crop(name, slice(rows.rows, rows.rows + CHUNK))
                seen = [embedder.embed(crops), *([embedder.embed(crops[:, :, ::-1])] if flip else [])]
                rows.append(np.stack(seen, axis=1))
                if progress is not None:
                    progress(rows.rows, len(store), rows.rows)
            rows.publish()
    return _read(path, store, shape)


def _file(folder: Path, embedder: Embedder, views: int) -> Path:
    mirrored = "-mirrored" if views == 2 else ""
    return folder / f"features-{embedder.model_id.replace(':', '-')}{mirrored}.npy"


def _read(path: Path, store: FaceStore, shape: tuple[int, ...]) -> Floats:
    found: Floats = map_array(path, (len(store), *shape), np.float32, f"{path} is gone; compute it again")
    return found
