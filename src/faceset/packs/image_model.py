"""An ONNX graph that takes pictures of one size and gives one vector each."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from faceset import settings
from faceset.errors import ModelError, ModelFileError
from faceset.packs.cuda import on_gpu
from faceset.packs.session import open_session
from faceset.types import Floats


class ImageModel:
    """A graph ``(n, 3, height, width) float32 -> (n, D) float32``, run in batches of a bounded size.

    Safe to share between threads.

    Args:
        path: the ONNX file.
        size: height and width the pictures will have.
        what: what the model is, for messages.
        output: name of the output to use; empty = the first.

    Raises:
        InputError: FACESET_DEVICE names a device that cannot be used.
        ModelFileError: the file cannot be run, or its graph is of another kind.
    """

    def __init__(self, path: Path, size: tuple[int, int], *, what: str, output: str = "") -> None:
        self._what = f"{what} ({path.name})"
        self._session = open_session(path, what=what)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1:
            raise ModelFileError(f"{self._what} takes {len(inputs)} inputs, but an image model takes one")
        shape, kind = inputs[0].shape, inputs[0].type
        fits = len(shape) == 4 and all(
            not isinstance(have, int) or have == want for have, want in zip(shape[1:], (3, *size), strict=True)
        )
        if kind != "tensor(float)" or not fits:
            raise ModelFileError(
                f"{self._what} takes {kind} {shape}, but this crop is tensor(float) ['n', 3, {size[0]}, {size[1]}]; "
                "choose the crop the model was made for"
            )
        names = [o.name for o in outputs]
        if output and output not in names:
            raise ModelFileError(f"{self._what} has no output {output!r}; its outputs are {', '.join(names)}")
        self._input = inputs[0].name
        self._output = output or names[0]
        self._size = size
        self._fixed = shape[0] if isinstance(shape[0], int) and shape[0] > 0 else None
        # On the CPU more than 32 bring no speed and take more memory; a GPU wants more to be busy.
        self.batch = self._fixed or settings.batch()
        """Number of pictures that go through the graph at once."""
        if on_gpu(self._session):  # cuDNN is loaded by the first run; whatever is wrong with it shows here
            self.run(np.zeros((1, 3, *size), np.float32))

    def run(self, pictures: Floats) -> Floats:
        """Vectors (n, D) of pictures (n, 3, height, width), n between 1 and :attr:`batch`.

        Raises:
            ModelError: the graph fails, gives something else than one vector a picture, or gives NaN or infinity.
        """
        n = pictures.shape[0]
        if self._fixed is not None and n < self._fixed:
            pictures = np.concatenate([pictures, np.zeros((self._fixed - n, *pictures.shape[1:]), np.float32)])
        try:
            (found,) = self._session.run([self._output], {self._input: pictures})
        except Exception as e:  # ONNX Runtime raises a dozen unrelated types
            raise ModelError(f"{self._what} failed on pictures {pictures.shape}: {str(e).strip()[:300]}") from e
        if not isinstance(found, np.ndarray) or found.ndim < 2 or found.shape[0] != pictures.shape[0]:
            shape = getattr(found, "shape", type(found).__name__)
            raise ModelError(f"{self._what} gives {shape} for {pictures.shape[0]} pictures, not one vector for each")
        vectors: Floats = found.reshape(found.shape[0], -1)[:n].astype(np.float32, copy=False)
        if not np.isfinite(vectors).all():
            raise ModelError(
                f"{self._what} gives NaN or infinity; the file is damaged, or mean or std in its manifest is wrong"
            )
        return vectors

    def probe(self) -> int:
        """Run on noise and return the width D.

        Raises:
            ModelFileError: the output does not depend on the picture, or is no vector of at least 2 numbers.
        """
        noise = np.random.default_rng(0).uniform(0, 255, (2, 3, *self._size)).astype(np.float32)
        try:
            first, second = self.run(noise[:1]), self.run(noise[1:])
        except ModelError as e:
            raise ModelFileError(str(e)) from e
        if first.shape[1] < 2:
            raise ModelFileError(f"{self._what} gives {first.shape[1]} number a picture, but a feature is a vector")
        if np.array_equal(first, second):
            raise ModelFileError(f"{self._what} gives the same vector for different pictures; it is no embedder")
        return int(first.shape[1])
