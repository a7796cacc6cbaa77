"""An array on disk that grows by rows, survives a kill, and ends as an ordinary ``.npy`` file."""

from __future__ import annotations

import math
import os
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from faceset.errors import FaceStoreError

_HEADER = 256  # bytes: room for any number of rows, so that the header can be written again in its place


class GrowingArray:
    """Rows of one shape, appended to ``.<name>.part`` beside the target until :meth:`publish` renames it.

    Rows that an earlier process wrote whole are there again; a row cut off by a kill is dropped.

    Args:
        path: the target, ``*.npy``.
        shape: of one row.
        dtype: of the numbers.

    Raises:
        FaceStoreError: the disk refuses.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        self.path, self._shape, self._dtype = path, shape, np.dtype(dtype)
        self._row = math.prod(shape) * self._dtype.itemsize
        self._part = path.with_name(f".{path.name}.part")
        self.rows = 0
        try:
            self._part.touch()
            self._file = self._part.open("r+b")
            self._file.seek(0)
            written = self._part.stat().st_size
            if written >= _HEADER and self._same(self._file.read(_HEADER)):
                self.rows = (written - _HEADER) // self._row
            self.truncate(self.rows)
        except OSError as error:
            raise self._refused(error) from error

    def __enter__(self) -> GrowingArray:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; its rows stay for the next time."""
        self._file.close()

    def append(self, rows: npt.NDArray[np.generic]) -> None:
        """Add rows (n, *shape)."""
        values = np.ascontiguousarray(rows, self._dtype).reshape(-1, *self._shape)
        try:
            self._file.write(values.tobytes())
            self._file.flush()
        except OSError as error:
            raise self._refused(error) from error
        self.rows += len(values)

    def truncate(self, rows: int) -> None:
        """Keep the first ``rows`` (at most as many as there are)."""
        self.rows = min(rows, self.rows)
        self._file.truncate(_HEADER + self.rows * self._row)
        self._file.seek(0)
        self._file.write(self._header(self.rows))
        self._file.seek(0, os.SEEK_END)

    def publish(self) -> None:
        """Make it the target: whole, and on the disk."""
        try:
            self._file.seek(0)
            self._file.write(self._header(self.rows))
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._part.replace(self.path)
        except OSError as error:
            raise self._refused(error) from error

    def _same(self, header: bytes) -> bool:
        """Whether a header is of rows like these."""
        text = self._header(0)
        return (
            header[:10] == text[:10]
            and header.partition(b"'shape': ")[0] == text.partition(b"'shape': ")[0]
            and (header.partition(b", ")[2].rstrip().endswith(text.partition(b"(0")[2].rstrip()))
        )

    def _header(self, rows: int) -> bytes:
        """Format 1.0 of NumPy's files: magic, version, length, then a literal, padded with spaces."""
        text = f"{{'descr': {self._dtype.str!r}, 'fortran_order': False, 'shape': {(rows, *self._shape)}, }}"
        return b"\x93NUMPY\x01\x00" + (_HEADER - 10).to_bytes(2, "little") + text.ljust(_HEADER - 11).encode() + b"\n"

    def _refused(self, error: OSError) -> FaceStoreError:
        return FaceStoreError(
            f"{self.path} cannot be written ({error.strerror or error}); choose a place with room and rights"
        )
