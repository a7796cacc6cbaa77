"""A table in the making: what is there already, the parts beside it, and how they become one."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from faceset.errors import EmbedderMismatchError, FeatureTableError
from faceset.extraction import found as notes
from faceset.extraction.found import ExtractReport, Note
from faceset.extraction.joining import join
from faceset.feature_table import FeatureRow, FeatureTable
from faceset.pipeline import Pipeline


class Job:
    """One run towards a table; parts are gathered in ``<output>.parts``.

    Args:
        output: the table, ``*.parquet``.
        pipeline: detector, landmarker, embedder.
        settings: how features are made.

    Attributes:
        done: media that the table holds, or that gave no row before.

    Raises:
        EmbedderMismatchError: the table that is there is of another embedder.
        FeatureTableError: it is of other settings, damaged, or no file.
    """

    def __init__(self, output: Path, pipeline: Pipeline, settings: dict[str, Any]) -> None:
        if output.is_dir():
            raise FeatureTableError(f"{output} is a folder; name a file, such as {output / 'features.parquet'}")
        self._output, self._settings, self._embedder = output, settings, pipeline.embedder
        self._parts = output.with_name(output.name + ".parts")
        self._old = _finished(output, pipeline, settings) if output.exists() else None
        self.done: set[str] = set()
        if self._old is not None:
            self.done = {*self._old.medium.names, *_empty(notes.from_settings(self._old.settings))}
        self._writer: Any = None

    def finished(self, keys: Sequence[str]) -> FeatureTable | None:
        """The table, where it holds all of these media; leftovers of a kill are removed."""
        if self._old is None or not self.done.issuperset(keys):
            return None
        shutil.rmtree(
            self._parts, ignore_errors=True
        )  # a kill may have come between the table and the end of its parts
        return self._old

    def waiting(self, keys: Sequence[str]) -> set[str]:
        """Those of the media that are to be done; opens the parts.

        Raises:
            EmbedderMismatchError: the parts that are there are of another embedder.
            FeatureTableError: they are of other settings, or the disk refuses.
        """
        from faceset.features import TableWriter

        try:
            self._parts.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FeatureTableError(
                f"{self._parts} cannot be made ({error}); choose a place with room and rights"
            ) from error
        e = self._embedder
        self._writer = TableWriter(
            self._parts, e.model_id, width=e.width, scheme=e.geometry.scheme, settings=self._settings
        )
        return {key for key in keys if key not in self.done and not self._writer.has(key)}

    def add(self, medium: str, rows: Sequence[FeatureRow], note: Note) -> None:
        """Write the part of one medium.

        Raises:
            FeatureTableError: the disk refuses.
        """
        if note:
            notes.append(self._parts, medium, note)  # before the part, which says that all is done
        self._writer.add(medium, list(rows))

    def finish(self, rule: str = "") -> FeatureTable:
        """Join the parts and what was there to one file; ``rule`` is that of faces which were placed.

        Raises:
            FeatureTableError: the disk refuses.
        """
        from faceset.features import read, write

        table, seen = read(self._parts), notes.read(self._parts)
        if self._old is not None:
            table, seen = join(self._old, table), {**seen, **notes.from_settings(self._old.settings)}
        placed = {notes.RULE: rule} if any(note.fallback for note in seen.values()) else {}
        table = replace(table, settings={**self._settings, **placed, notes.KEY: notes.to_settings(seen)})
        write(self._output, table)
        shutil.rmtree(self._parts, ignore_errors=True)
        return table


def report(
    table: FeatureTable, *, done_before: int, added: int = 0, rule: str = "", missing: Sequence[str] = ()
) -> ExtractReport:
    """What is in a table; see :class:`ExtractReport`. ``rule`` is that of the faces which were placed."""
    seen = notes.from_settings(table.settings)
    clean = len(table) - int(np.count_nonzero(table.degraded))
    return ExtractReport(
        media=len(table.medium.names) + len(_empty(seen)),
        done_before=done_before,
        added=added,
        people=len(table.subject.names),
        faces=clean,
        degraded=len(table) - clean,
        without_face=[name for note in seen.values() for name in note.without_face],
        failed=[sentence for note in seen.values() for sentence in note.failed],
        fallback=[name for note in seen.values() for name in note.fallback],
        fallback_rule=rule,
        missing=list(missing),
    )


def _finished(output: Path, pipeline: Pipeline, settings: dict[str, Any]) -> FeatureTable:
    """The table that is there; raise when it cannot be gone on with."""
    from faceset.features import read

    cure = "write to another file, or delete that one"
    try:
        table = read(output)
    except FeatureTableError as error:
        raise FeatureTableError(f"{output} is there and cannot be added to: {error} ({cure})") from error
    embedder = pipeline.embedder
    if table.embedder != embedder.model_id:
        raise EmbedderMismatchError(
            f"{output} holds features of embedder {table.embedder!r}, but these would be of {embedder.model_id!r}; "
            f"{cure}"
        )
    before = {key: value for key, value in table.settings.items() if key not in (notes.KEY, notes.RULE)}
    if before != settings:
        keys = sorted(key for key in {*before, *settings} if before.get(key) != settings.get(key))
        differences = "; ".join(f"{key} was {before.get(key)!r} and is now {settings.get(key)!r}" for key in keys)
        raise FeatureTableError(f"{output} was made with other settings: {differences}; {cure}")
    return table


def _empty(seen: dict[str, Note]) -> set[str]:
    return {medium for medium, note in seen.items() if note.empty}
