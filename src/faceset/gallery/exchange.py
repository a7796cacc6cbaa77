"""The format of an exported gallery: a folder with ``people.json`` and ``faces.parquet`` (``docs/formats.md``)."""

from __future__ import annotations

from typing import Any

from faceset.errors import MissingExtraError

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ModuleNotFoundError as error:
    raise MissingExtraError(
        f"exporting and importing galleries needs pyarrow ({error}); install the extra that brings it: "
        "pip install 'faceset[train]'"
    ) from error

__all__ = ["FACES", "FORMAT", "KINDS", "PEOPLE", "VERSION", "pa", "pq", "schema"]

FORMAT = "faceset gallery"
VERSION = 1
"""Version of the format that is written; newer ones are refused."""
PEOPLE, FACES = "people.json", "faces.parquet"
KINDS = ("still", "video", "stream", "array", "template")
"""Where faces may come from (:class:`faceset.gallery.records.MediaEntry`)."""


def schema(width: int, export: str, model_id: str) -> Any:
    """Schema of ``faces.parquet`` for features of ``width`` D.

    ``export`` is the random id that both files bear, so that halves of two exports are not mixed.
    """
    number, text = pa.int64(), pa.string()

    def needed(name: str, kind: Any) -> Any:
        return pa.field(name, kind, nullable=False)

    columns = [
        needed("person", text),
        needed("medium", text),
        *(needed(name, number) for name in ("track", "shot", "frame")),
        needed("time", pa.float64()),
        needed("box", pa.list_(pa.field("element", pa.float64(), nullable=False), 4)),
        needed("score", pa.float64()),
        pa.field("scheme", text),
        pa.field("landmarks", pa.list_(pa.field("element", pa.float32(), nullable=False))),
        needed("norm", pa.float64()),
        needed("feature", pa.list_(pa.field("element", pa.float32(), nullable=False), width)),
        pa.field("crop", pa.binary()),
    ]
    metadata = {
        "faceset.gallery": str(VERSION),
        "faceset.export": export,
        "faceset.embedder": model_id,
    }
    return pa.schema(columns, metadata=metadata)
