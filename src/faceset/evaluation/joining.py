"""Which rows of a feature table make which template, in an order that depends on names and faces alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from faceset.aggregation.base import NORMS
from faceset.errors import FeatureTableError, InputError
from faceset.evaluation.trials import FaceList, Ints, TemplateList
from faceset.feature_table import FeatureTable, canonical_order


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """The rows of a table that belong to those of the F entries of a face list that are part of some template.

    Attributes:
        rank: (F,) position of each entry among the sorted names of the table's media; -1 where the table lacks it, and
            for entries that are part of no template.
        first, count: (F,) ``rows[first[f]:first[f] + count[f]]`` are the rows of entry f.
        rows: (K,) numbers of rows of the table: sorted within an entry by frame, track, box and the vector's bytes.
        counts: ``entries`` that are part of a template, ``missing_entries``, ``zero_vectors``, ``degraded_rows``,
            ``unscored_rows``, ``other_rows``.
    """

    rank: Ints
    first: Ints
    count: Ints
    rows: Ints
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class Sets:
    """The faces of T templates, sorted by the templates' ids.

    Attributes:
        order: (T,) number that each template has in the protocol.
        place: (T,) the inverse: where the protocol's template stands here.
        offsets: (T + 1,) template t has ``rows[offsets[t]:offsets[t + 1]]``, sorted by entry; possibly nothing.
        rows: (M,) rows of the table.
        media: (M,) medium of each face.
    """

    order: Ints
    place: Ints
    offsets: Ints
    rows: Ints
    media: Ints

    @property
    def sizes(self) -> Ints:
        """(T,) faces of each template."""
        return np.diff(self.offsets)


def join(faces: FaceList, templates: TemplateList, table: FeatureTable, *, missing: str = "miss") -> Joined:
    """Find the rows of every entry. Degraded copies and vectors of length zero are left out and counted.

    Args:
        faces: of the protocol.
        templates: those that are evaluated; entries of others, such as those of a training side, may be missing.
        table: its ``medium`` names the entries.
        missing: what an entry without a row is: ``miss``, counted, or ``error``.

    Raises:
        FeatureTableError: more than half of the entries have no row (a table of something else), any with
            ``missing="error"``, or a vector too long to be an embedding.
        InputError: another word for ``missing``.
    """
    if missing not in ("miss", "error"):
        raise InputError(f"missing must be 'miss' or 'error', but got {missing!r}")
    code_of = {name: code for code, name in enumerate(table.medium.names)}
    used = np.zeros(len(faces), dtype=bool)
    used[templates.entries] = True
    rank = np.array([code_of.get(name, -1) for name in faces.names], dtype=np.int64)
    rank[~used] = -1
    known = np.zeros(len(table.medium.names), dtype=bool)
    known[rank[rank >= 0]] = True
    wanted = known[table.medium.codes] if known.size else np.zeros(len(table), dtype=bool)
    clean = ~table.degraded
    _check_norms(table, wanted & clean)
    usable = table.norm >= NORMS[0]
    kept = np.flatnonzero(wanted & clean & usable)
    rows = kept[canonical_order(table, kept)]
    per_code = np.bincount(table.medium.codes[rows], minlength=known.size).astype(np.int64)
    starts = np.cumsum(per_code) - per_code
    here = rank >= 0
    first, count = np.zeros(rank.size, np.int64), np.zeros(rank.size, np.int64)
    first[here], count[here] = starts[rank[here]], per_code[rank[here]]
    gone = np.flatnonzero(used & (count == 0))
    entries = int(np.count_nonzero(used))
    _check_missing(faces, table, gone, entries, missing)
    counts = {
        "entries": entries,
        "missing_entries": gone.size,
        "zero_vectors": int(np.count_nonzero(wanted & clean & ~usable)),
        "degraded_rows": int(np.count_nonzero(wanted & ~clean)),
        "unscored_rows": int(np.count_nonzero(table.score[rows] == 0)),
        "other_rows": int(np.count_nonzero(~wanted)),
    }
    return Joined(rank, first, count, rows, counts)


def sets_of(joined: Joined, templates: TemplateList) -> Sets:
    """The faces of every template, in canonical order: templates by id, entries by name, then as :func:`join` does."""
    T = len(templates)
    order = np.argsort(np.array(templates.ids, dtype=str), kind="stable").astype(np.int64)
    place = np.empty(T, np.int64)
    place[order] = np.arange(T)
    owner = place[np.repeat(np.arange(T), templates.sizes)]  # (R,)
    sorted_entries = np.lexsort((templates.media, joined.rank[templates.entries], owner))
    entries = templates.entries[sorted_entries]
    count = joined.count[entries]
    ends = np.cumsum(count)
    total = int(ends[-1]) if ends.size else 0
    within = np.arange(total) - np.repeat(ends - count, count)
    rows = joined.rows[np.repeat(joined.first[entries], count) + within]
    sizes = np.zeros(T, np.int64)
    np.add.at(sizes, owner[sorted_entries], count)
    return Sets(
        order=order,
        place=place,
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        rows=rows,
        media=np.repeat(templates.media[sorted_entries], count),
    )


def _check_norms(table: FeatureTable, wanted: npt.NDArray[np.bool_]) -> None:
    wrong = np.flatnonzero(wanted & ~(table.norm <= NORMS[1]))
    if wrong.size:
        name = table.medium.names[table.medium.codes[wrong[0]]]
        raise FeatureTableError(
            f"the feature of {name!r} has length {table.norm[wrong[0]]:.3g}, but embeddings are around 1 to 100; "
            "extract it again"
        )


def _check_missing(faces: FaceList, table: FeatureTable, gone: Ints, entries: int, missing: str) -> None:
    if 2 * gone.size <= entries and (missing == "miss" or gone.size == 0):
        return
    asked = ", ".join(repr(faces.names[i]) for i in gone[:3])
    held = ", ".join(repr(name) for name in table.medium.names[:3]) or "nothing"
    cure = (
        "extract features for this protocol with the same root"
        if 2 * gone.size > entries
        else "extract them, or let them count as failures to enrol (--missing miss)"
    )
    raise FeatureTableError(
        f"{gone.size} of {entries} entries of the protocol have no usable row in the feature table; missing are "
        f"{asked}, the table has {held}; {cure}"
    )
