"""The feature table on disk (Parquet), so that training and evaluation never read pictures.

A table is one file, or a folder with one part per medium. A part is written beside its place and renamed, so a process
killed at any moment leaves whole parts only, and a second run goes on where the first stopped. The order of rows does
not depend on the order of writing: parts are read in the order of their names, which are hashes of their media.

Schema metadata: ``faceset.table`` (the version of this format), ``faceset.embedder``, ``faceset.scheme`` (of the
landmarks) and ``faceset.settings`` (JSON: how the features were made). ``docs/training.md`` lists the columns.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from faceset.errors import EmbedderMismatchError, FeatureTableError, MissingExtraError
from faceset.feature_table import (
    CLEAN,
    NAMES,
    SCALARS,
    FeatureRow,
    FeatureSets,
    FeatureTable,
    Labels,
    table_of,
)
from faceset.types import LANDMARK_SCHEMES

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ModuleNotFoundError as error:
    raise MissingExtraError(
        f"feature tables need pyarrow ({error}); install an extra that brings it: pip install 'faceset[evaluate]', "
        "or 'faceset[train]'"
    ) from error

__all__ = [
    "CLEAN",
    "VERSION",
    "FeatureRow",
    "FeatureSets",
    "FeatureTable",
    "Labels",
    "TableWriter",
    "merge",
    "read",
    "table_of",
    "write",
]

VERSION = 1
"""Version of the format that is written; newer ones are refused."""

_SUFFIX = ".parquet"
_ROWS = 8192  # rows of one row group: what is held besides the result while reading


class TableWriter:
    """Fills a folder with one part per medium.

    Args:
        folder: made when it is missing; parts that are there are kept.
        embedder: id of the embedder.
        width: D.
        scheme: name of the landmark scheme.
        settings: how the features are made; anything that JSON can hold.

    Raises:
        EmbedderMismatchError: the parts in the folder are of another embedder.
        FeatureTableError: they were made with other settings, or cannot be read.
    """

    def __init__(
        self,
        folder: Path | str,
        embedder: str,
        *,
        width: int,
        scheme: str = "arcface5",
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder = Path(folder)
        self._empty = table_of([], embedder, width=width, scheme=scheme, settings=settings)
        if self.folder.is_file():
            raise FeatureTableError(f"{self.folder} is a file, but parts are added to a folder; choose another name")
        self.folder.mkdir(parents=True, exist_ok=True)
        for left in self.folder.glob(".*.tmp"):
            left.unlink()
        part = next(self.folder.glob(f"*{_SUFFIX}"), None)
        if part is not None:
            with _opened(part) as file:
                self._check(_metadata(file.schema_arrow, part), file.schema_arrow, part)

    def _check(self, found: dict[str, Any], schema: Any, part: Path) -> None:
        mine = self._empty
        if found["embedder"] != mine.embedder:
            raise EmbedderMismatchError(
                f"{self.folder} holds features of embedder {found['embedder']!r}, but these are of {mine.embedder!r}; "
                "write to another folder"
            )
        same = json.loads(json.dumps(dict(mine.settings))) == found["settings"] and mine.scheme == found["scheme"]
        if not same or schema.field("vector").type.list_size != mine.vectors.shape[1]:
            raise FeatureTableError(
                f"{self.folder} was begun with other settings ({part.name} has {found['settings']}, these are "
                f"{dict(mine.settings)}); go on with the same settings or write to another folder"
            )

    def path(self, medium: str) -> Path:
        """Where the part of that medium is, or will be."""
        return self.folder / (hashlib.sha256(medium.encode()).hexdigest()[:32] + _SUFFIX)

    def has(self, medium: str) -> bool:
        """Whether the part of that medium is there, and so complete."""
        return self.path(medium).is_file()

    def add(self, medium: str, rows: list[FeatureRow]) -> None:
        """Write the part of one medium; no rows (no face was found) make an empty part, so that it is not done again.

        Raises:
            FeatureTableError: a row is of another medium, or the disk refuses.
            InputError: vectors that do not fit.
        """
        if any(r.medium != medium for r in rows):
            raise FeatureTableError(f"the part of medium {medium!r} can hold rows of that medium only")
        e = self._empty
        table = table_of(rows, e.embedder, width=e.vectors.shape[1], scheme=e.scheme, settings=e.settings)
        _write(self.path(medium), table)


def write(path: Path | str, table: FeatureTable) -> None:
    """Write a whole table as one file, beside its place first, then renamed.

    Raises:
        FeatureTableError: the disk refuses.
    """
    _write(Path(path), table)


def read(path: Path | str) -> FeatureTable:
    """Read a table: one file, or a folder of parts.

    Besides the result, only a few thousand rows are held at a time.

    Raises:
        FeatureTableError: missing, damaged, foreign, or of a newer version.
        EmbedderMismatchError: the parts of a folder are of several embedders.
    """
    path = Path(path)
    parts = sorted(path.glob(f"*{_SUFFIX}")) if path.is_dir() else [path]
    if not parts:
        raise FeatureTableError(f"{path} holds no part of a feature table (*{_SUFFIX}); extract features into it first")
    headers = []
    for part in parts:
        with _opened(part) as file:
            schema = file.schema_arrow
            header = _metadata(schema, part)
            headers.append((file.metadata.num_rows, {**header, "width": schema.field("vector").type.list_size}))
    first = headers[0][1]
    for part, (_, header) in zip(parts, headers, strict=True):
        if header["embedder"] != first["embedder"]:
            raise EmbedderMismatchError(
                f"{part} is of embedder {header['embedder']!r}, but {parts[0].name} of {first['embedder']!r}; "
                "one table holds the features of one embedder"
            )
        if header != first:
            raise FeatureTableError(f"{part} was made with other settings than {parts[0].name}; extract it again")
    return _fill(parts, sum(rows for rows, _ in headers), first)


def merge(folder: Path | str, path: Path | str) -> FeatureTable:
    """Write all parts of a folder as one file, which reads faster than many; the table is returned too.

    Raises:
        FeatureTableError: as :func:`read` and :func:`write`.
    """
    table = read(folder)
    write(path, table)
    return table


def _fill(parts: list[Path], M: int, header: dict[str, Any]) -> FeatureTable:
    D, P = header["width"], LANDMARK_SCHEMES[header["scheme"]]
    numbers: dict[str, Any] = {name: np.empty(M, dtype) for name, dtype in SCALARS.items()}
    lists: dict[str, Any] = {"vector": np.empty((M, D), np.float32), "box": np.empty((M, 4), np.float32)}
    lists["landmarks"] = np.empty((M, 2 * P), np.float32)
    codes: dict[str, Any] = {name: np.empty(M, np.int32) for name in NAMES}
    known: dict[str, dict[str, int]] = {name: {} for name in NAMES}
    at = 0
    for part in parts:
        start = at
        with _opened(part, read_dictionary=list(NAMES)) as file:
            try:
                for batch in file.iter_batches(batch_size=_ROWS):
                    here = slice(at, at + batch.num_rows)
                    for name, out in numbers.items():
                        out[here] = batch.column(name).to_numpy()
                    for name, out in lists.items():
                        out[here] = batch.column(name).flatten().to_numpy().reshape(batch.num_rows, out.shape[1])
                    for name in NAMES:
                        column = batch.column(name)
                        ids = known[name]
                        mapped = [ids.setdefault(value, len(ids)) for value in column.dictionary.to_pylist()]
                        codes[name][here] = np.array(mapped, np.int32)[column.indices.to_numpy()]
                    _check(lists["vector"][here], numbers["score"][here], numbers["norm"][here], part, at - start)
                    at += batch.num_rows
            except (pa.ArrowException, OSError, KeyError, ValueError, TypeError, AttributeError) as error:
                raise FeatureTableError(f"{part} is damaged ({error}); extract it again") from error
    names: dict[str, Any] = {name: _sorted_labels(codes[name], known[name]) for name in NAMES}
    return FeatureTable(
        embedder=header["embedder"],
        vectors=lists["vector"],
        box=lists["box"],
        landmarks=lists["landmarks"].reshape(M, P, 2),
        scheme=header["scheme"],
        settings=header["settings"],
        **names,
        **numbers,
    )


def _check(vectors: Any, score: Any, norm: Any, part: Path, first: int) -> None:
    """Refuse numbers that no writer of ours makes; ``first`` is the number, within the part, of the first row."""
    with np.errstate(over="ignore", invalid="ignore"):
        length = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
        wrong = {
            "a vector with NaN or infinity": ~np.isfinite(length),
            "a detector score that is no number of 0 or more": ~(np.isfinite(score) & (score >= 0)),
            "a norm that is not the length of its vector": ~(np.abs(norm - length) <= 1e-3 * length),
        }
    for what, rows in wrong.items():
        if rows.any():
            raise FeatureTableError(f"{part} holds {what} in row {first + int(np.argmax(rows))}; extract it again")


def _sorted_labels(codes: Any, known: dict[str, int]) -> Labels:
    names = sorted(known)
    rank = np.empty(len(names), np.int32)
    rank[[known[name] for name in names]] = np.arange(len(names))
    return Labels(rank[codes] if len(names) else codes, tuple(names))


def _opened(part: Path, **options: Any) -> Any:
    try:
        return pq.ParquetFile(part, pre_buffer=False, page_checksum_verification=True, **options)
    except FileNotFoundError as error:
        raise FeatureTableError(f"there is no feature table {part}; extract features into it first") from error
    except (pa.ArrowException, OSError) as error:
        raise FeatureTableError(f"{part} is no Parquet file or is damaged ({error}); extract it again") from error


def _metadata(schema: Any, part: Path) -> dict[str, Any]:
    """Embedder, scheme and settings; raise when this is some other file."""
    found = {k.decode(): v.decode() for k, v in (schema.metadata or {}).items() if k.startswith(b"faceset.")}
    version = found.get("faceset.table", "")
    if not version.isdigit():
        raise FeatureTableError(f"{part} is not a feature table of faceset; give a file that `faceset extract` wrote")
    if int(version) > VERSION:
        raise FeatureTableError(
            f"{part} has version {version} of the format, newer than {VERSION}, the newest that is known here; "
            "upgrade faceset"
        )
    missing = {"vector", "box", "landmarks", *NAMES, *SCALARS} - set(schema.names)
    if missing or not {"faceset.embedder", "faceset.scheme", "faceset.settings"} <= set(found):
        raise FeatureTableError(f"{part} lacks {', '.join(sorted(missing)) or 'metadata'}; extract it again")
    try:
        settings = json.loads(found["faceset.settings"])
    except (ValueError, RecursionError):
        settings = None
    if not isinstance(settings, dict):
        raise FeatureTableError(f"{part} is damaged (its settings are no JSON object); extract it again")
    if found["faceset.scheme"] not in LANDMARK_SCHEMES:
        raise FeatureTableError(
            f"{part} has landmarks of scheme {found['faceset.scheme']!r}, but known are "
            f"{', '.join(sorted(LANDMARK_SCHEMES))}; extract it again"
        )
    kind = schema.field("vector").type
    if not pa.types.is_fixed_size_list(kind):
        raise FeatureTableError(f"{part} is damaged (its vectors are {kind}, no list of fixed size); extract it again")
    return {"embedder": found["faceset.embedder"], "scheme": found["faceset.scheme"], "settings": settings}


def _write(path: Path, table: FeatureTable) -> None:
    P = LANDMARK_SCHEMES[table.scheme]
    columns: dict[str, Any] = {}
    for name in NAMES:
        labels: Labels = getattr(table, name)
        columns[name] = pa.array(labels.names, pa.string()).take(pa.array(labels.codes))
    for name, dtype in SCALARS.items():
        columns[name] = pa.array(getattr(table, name).astype(dtype, copy=False))
    widths = {"vector": (table.vectors, table.vectors.shape[1]), "box": (table.box, 4)}
    widths["landmarks"] = (table.landmarks, 2 * P)
    for name, (values, width) in widths.items():
        flat = np.ascontiguousarray(values, np.float32).reshape(-1)
        columns[name] = pa.FixedSizeListArray.from_arrays(pa.array(flat), width)
    metadata = {
        "faceset.table": str(VERSION),
        "faceset.embedder": table.embedder,
        "faceset.scheme": table.scheme,
        "faceset.settings": json.dumps(dict(table.settings), sort_keys=True),
    }
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(
            pa.table(columns).replace_schema_metadata(metadata),
            temporary,
            row_group_size=_ROWS,
            use_dictionary=list(NAMES),
            compression="zstd",
            write_page_checksum=True,
        )
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise FeatureTableError(f"{path} cannot be written ({error}); choose a place with room and rights") from error
