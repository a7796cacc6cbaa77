"""The type ``vector`` of pgvector as bytes: the same little-endian float32 that an SQLite gallery stores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.types import UserDefinedType

_HEADER = 4
"""Bytes before the numbers in the binary form of a vector: its width and 16 unused bits."""


class PgVector(UserDefinedType[bytes]):
    """A column of pgvector. Written and read bit for bit."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Without a width, which is known at the first enrolment only."""
        return "vector"

    def bind_expression(self, bindvalue: sa.BindParameter[bytes]) -> sa.ColumnElement[bytes]:
        """The text form; the server turns it into a vector."""
        return sa.cast(bindvalue, PgVector())

    def bind_processor(self, dialect: sa.Dialect) -> Callable[[Any], Any]:
        """Bytes as the text form."""
        # A float32 survives the text, because it is written with the digits of a float64.
        return lambda data: f"[{','.join(map(repr, np.frombuffer(data, dtype='<f4').tolist()))}]"

    def column_expression(self, colexpr: sa.ColumnElement[Any]) -> sa.ColumnElement[bytes]:
        """The binary form, which is far quicker to read than the text."""
        return sa.func.vector_send(colexpr, type_=_Binary)


class _FromBinary(sa.types.TypeDecorator[bytes]):
    impl = sa.LargeBinary
    cache_ok = True

    def process_result_value(self, value: bytes | None, dialect: sa.Dialect) -> bytes | None:
        return None if value is None else np.frombuffer(value, dtype=">f4", offset=_HEADER).astype("<f4").tobytes()


_Binary = _FromBinary()
