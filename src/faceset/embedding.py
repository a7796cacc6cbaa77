"""Aligned crops -> features: one ONNX Runtime session, the preprocessing taken from the manifest, batched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from faceset.alignment import Geometry, geometry
from faceset.errors import InputError, ModelError, ModelFileError
from faceset.packs.image_model import ImageModel
from faceset.packs.manifest import Manifest, check_commercial
from faceset.packs.store import resolve
from faceset.types import Floats, Image

DEFAULT = "dlib-resnet"
"""The embedder that is always there."""


class Embedder:
    """One embedding network, ready to run. Safe to share between threads.

    Args:
        manifest: what the network takes and gives; its role is ``embedder``.
        path: its ONNX file.

    Attributes:
        manifest: as given.
        model_id: id of the features (:attr:`faceset.packs.manifest.Manifest.model_id`).
        width: length D of a feature.
        geometry: the crop it takes.

    Raises:
        ModelError: the manifest is of another role.
        ModelFileError: the file cannot be run, or does not fit its manifest.
        LicenceError: FACESET_COMMERCIAL forbids it.
    """

    def __init__(self, manifest: Manifest, path: str | Path) -> None:
        if manifest.role != "embedder":
            raise ModelError(f"model {manifest.id!r} is of role {manifest.role}, but an embedder is needed here")
        check_commercial(manifest)
        self.manifest = manifest
        self.model_id = manifest.model_id
        self.width = manifest.width
        self.geometry: Geometry = geometry(manifest.crop)
        self._model = ImageModel(Path(path), self.geometry.size, what=f"embedder {manifest.id}", output=manifest.output)
        self._mean = np.array(manifest.mean, np.float32)
        self._scale = np.float32(1) / np.array(manifest.std, np.float32)
        self._plain = not self._mean.any() and bool((self._scale == 1).all())

    @classmethod
    def load(cls, name: str | Path = DEFAULT) -> Embedder:
        """The embedder of that name, or of the manifest (``.toml``) at that path.

        Raises:
            ModelError: nothing of that name is here; the message says how to get it.
        """
        return cls(*resolve(name, role="embedder"))

    def embed(self, crops: Sequence[Image] | npt.NDArray[np.uint8]) -> Floats:
        """Raw features of crops, their norm kept.

        Args:
            crops: RGB uint8 (height, width, 3) each, of the size of :attr:`geometry`, or one array of them.

        Returns:
            float32 (n, D), in the order of the crops; a crop gives the same numbers whatever it is batched with.

        Raises:
            InputError: a crop has another shape or type.
            ModelError: the network gives NaN, infinity or another width.
        """
        features = np.empty((len(crops), self.width), np.float32)
        step = self._model.batch
        for start in range(0, len(crops), step):
            found = self._model.run(self._network_input(crops[start : start + step], start))
            if found.shape[1] != self.width:
                raise ModelFileError(
                    f"embedder {self.manifest.id!r} gives {found.shape[1]} numbers a face, but its manifest says "
                    f"{self.width}; correct the manifest or import the model again"
                )
            features[start : start + step] = found
        return features

    def _network_input(self, crops: Sequence[Image] | npt.NDArray[np.uint8], first: int) -> Floats:
        """Crops as (n, 3, height, width) float32 as the manifest says; ``first`` is the number of the first one."""
        height, width = self.geometry.size
        planes = np.empty((len(crops), 3, height, width), np.float32)
        order = slice(None, None, -1) if self.manifest.colour == "BGR" else slice(None)
        for i, crop in enumerate(crops):
            if not isinstance(crop, np.ndarray) or crop.dtype != np.uint8 or crop.shape != (height, width, 3):
                found = f"{crop.dtype} {crop.shape}" if isinstance(crop, np.ndarray) else type(crop).__name__
                raise InputError(
                    f"crop {first + i} must be RGB uint8 {(height, width, 3)} for geometry {self.geometry.name!r}, but "
                    f"is {found}; make crops with faceset.alignment.align"
                )
            planes[i] = crop.transpose(2, 0, 1)[order]
        if not self._plain:
            planes -= self._mean[:, None, None]
            planes *= self._scale[:, None, None]
        return planes
