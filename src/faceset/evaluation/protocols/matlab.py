"""Matrices of whole numbers from a MATLAB file."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from faceset.errors import ProtocolError
from faceset.evaluation.protocols.lines import FETCH, read_bytes
from faceset.evaluation.trials import Ints, ProtocolFile


@dataclass(frozen=True, slots=True, eq=False)
class Matrices:
    """What was read.

    Attributes:
        name: of the file, relative to the root of the protocol.
        sha256: of its bytes.
        rows: name of a matrix -> its rows, (R, columns), R > 0.
    """

    name: str
    sha256: str
    rows: dict[str, Ints]

    def error(self, matrix: str, row: int, problem: str, cure: str = FETCH) -> ProtocolError:
        """To be raised for a row, from 0, of a matrix; the message counts from 1."""
        return ProtocolError(f"{self.name}, row {row + 1} of matrix {matrix}: {problem}; {cure}")

    def record(self) -> ProtocolFile:
        """What goes into the signature."""
        return ProtocolFile(self.name, self.sha256, sum(map(len, self.rows.values())))


def read_matrices(root: Path, name: str, required: Sequence[str], optional: Sequence[str], columns: int) -> Matrices:
    """Matrices of whole numbers from 0 to 2^31 - 1.

    Raises:
        ProtocolError: the file is missing or damaged, lacks a matrix, or one is empty, has other columns or other
            values.
    """
    data = read_bytes(root, name)
    found = _load(root / name, name, (*required, *optional))
    if missing := [matrix for matrix in required if matrix not in found]:
        raise ProtocolError(f"{name} has no matrix {', '.join(missing)}; {FETCH}")
    rows = {
        matrix: _whole(name, matrix, found[matrix], columns) for matrix in (*required, *optional) if matrix in found
    }
    return Matrices(name, hashlib.sha256(data).hexdigest(), rows)


def _load(path: Path, name: str, matrices: Sequence[str]) -> dict[str, Any]:
    from scipy.io import loadmat

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # such as a variable twice, of which the last would be taken in silence
            return dict(loadmat(path, variable_names=list(matrices)))
    except NotImplementedError:
        raise ProtocolError(f"{name} is of MATLAB 7.3; save it anew with save(..., '-v7')") from None
    except Exception as error:  # damaged bytes end in whatever the reader stumbles over
        raise ProtocolError(f"{name} is no MATLAB file or is damaged ({error}); {FETCH}") from error


def _whole(name: str, matrix: str, values: Any, columns: int) -> Ints:
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iuf" or values.ndim != 2:
        raise ProtocolError(f"{name}: {matrix} is no matrix of numbers; {FETCH}")
    if values.shape[0] == 0 or values.shape[1] != columns:
        raise ProtocolError(f"{name}: matrix {matrix} has shape {values.shape}, but must be (rows, {columns}); {FETCH}")
    numbers = values.astype(np.float64)
    wrong = np.argwhere(~((numbers >= 0) & (numbers < 2**31) & (numbers == np.floor(numbers))))
    if wrong.size:
        row, column = wrong[0]
        value = values[row, column]
        raise ProtocolError(f"{name}, row {row + 1} of matrix {matrix}: {value} is no number of a list; {FETCH}")
    return numbers.astype(np.int64)
