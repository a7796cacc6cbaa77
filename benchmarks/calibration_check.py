"""What FAR and FPIR the shipped thresholds have on people they were not fitted on: YouTube Faces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from faceset import aggregation, metrics
from faceset.aggregation import Aggregator
from faceset.bootstrap import draw_subjects
from faceset.calibration import Calibration, lookup, openset
from faceset.feature_table import FeatureTable
from faceset.types import Floats

Ints = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]
DRAWS = 20
"""Times that templates are drawn anew; figures are means over them."""
RESAMPLES = 500
FARS = (1e-2, 1e-3)
GALLERIES = (10, 30, 100)
FPIRS = (1e-1, 1e-2)


def media_of(table: FeatureTable) -> list[list[Ints]]:
    """Rows of each medium of each person."""
    out: list[list[Ints]] = []
    for person in range(len(table.subject.names)):
        rows = np.flatnonzero(table.subject.codes == person)
        media = table.medium.codes[rows]
        out.append([rows[media == m] for m in np.unique(media)])
    return out


def templates(table: FeatureTable, aggregator: Aggregator, sets: list[Ints]) -> Floats:
    """(T, D)."""
    rows = np.concatenate(sets)
    offsets = np.concatenate([[0], np.cumsum([s.size for s in sets])])
    return aggregator(table.vectors[rows], offsets, media=table.medium.codes[rows], quality=table.score[rows]).templates


Draw = Callable[[np.random.Generator, list[Ints]], Ints]
SETS: dict[str, Draw] = {
    "one frame": lambda rng, media: rng.choice(np.concatenate(media), 1),
    "one video (3 frames)": lambda rng, media: media[rng.integers(len(media))],
    "two videos (6 frames)": lambda rng, media: np.concatenate(
        [media[i] for i in rng.choice(len(media), 2, replace=False)]
    ),
    "all videos (9 to 12 frames)": lambda rng, media: np.concatenate(media),
}
PAIRS = (
    ("one frame", "one frame"),
    ("one frame", "one video (3 frames)"),
    ("one frame", "all videos (9 to 12 frames)"),
    ("one video (3 frames)", "one video (3 frames)"),
    ("one video (3 frames)", "all videos (9 to 12 frames)"),
    ("two videos (6 frames)", "two videos (6 frames)"),
    ("all videos (9 to 12 frames)", "all videos (9 to 12 frames)"),
)


def sizes_text(table: FeatureTable, aggregator: Aggregator) -> str:
    """Thresholds at FAR 0.001 of templates of so many videos with so many frames each."""
    media = media_of(table)
    lines = ["| videos | 1 frame of each | 2 frames | 3 frames |", "|---|---|---|---|"]
    for videos in (1, 2, 3):
        cells = []
        for frames in (1, 2, 3):
            rng, found = np.random.default_rng([0, videos, frames]), []
            for _ in range(DRAWS):
                sets = []
                for mine in media:
                    enough = [m for m in mine if m.size >= frames]
                    if len(enough) >= videos:
                        chosen = rng.choice(len(enough), videos, replace=False)
                        sets.append(np.concatenate([rng.choice(enough[i], frames, replace=False) for i in chosen]))
                vectors = templates(table, aggregator, sets).astype(np.float64)
                found.append((vectors @ vectors.T)[np.triu_indices(len(vectors), 1)])
            scores = np.concatenate(found)
            cells.append(f"{metrics.tar_at_far(scores[:1], scores, 1e-3).threshold:.4f}")
        lines.append(f"| {videos} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def figures(table: FeatureTable, calibrations: Mapping[str, Calibration]) -> str:
    """The tables of realised FAR and FPIR."""
    media = media_of(table)
    weights = draw_subjects(len(media), RESAMPLES, 0).astype(np.float64)
    lines = ["| aggregator | templates | " + " | ".join(f"at FAR {far:g}" for far in FARS) + " | TAR there |"]
    lines.append("|---" * (len(FARS) + 3) + "|")
    for name, made in calibrations.items():
        aggregator = aggregation.get(name, model_id=table.embedder)
        for first, second in PAIRS:
            shares = _shares(table, aggregator, made, media, first, second)
            lines.append(f"| {name} | {first}, {second} | " + " | ".join(_cells(shares, weights)) + " |")
    lines += ["", "| aggregator | people in the gallery | " + " | ".join(f"at FPIR {p:g}" for p in FPIRS) + " |"]
    lines.append("|---" * (len(FPIRS) + 2) + "|")
    for name, made in calibrations.items():
        aggregator = aggregation.get(name, model_id=table.embedder)
        for row in _searches(table, aggregator, made, media):
            lines.append(f"| {name} | {row} |")
    return "\n".join(lines)


MIXTURES = (
    ("2 clean and 5 mildly degraded frames", 2, 5, 0.5),
    ("2 clean and 5 degraded frames", 2, 5, 1.0),
    ("5 degraded frames", 0, 5, 1.0),
)
"""Name, clean frames, degraded frames, and their largest strength."""


def degraded_text(table: FeatureTable, calibrations: Mapping[str, Calibration]) -> str:
    """Realised FAR and TAR of sets of one video that hold degraded frames; ``table`` with its degraded rows."""
    lines = ["| aggregator | each template | " + " | ".join(f"at FAR {far:g}" for far in FARS) + " | TAR there |"]
    lines.append("|---" * (len(FARS) + 3) + "|")
    for name, made in calibrations.items():
        aggregator = aggregation.get(name, model_id=table.embedder)
        for label, clean, degraded, strength in MIXTURES:
            found = [_mixed(table, aggregator, clean, degraded, strength, seed) for seed in range(DRAWS // 4)]
            impostor, genuine = (np.concatenate([pair[i] for pair in found]) for i in (0, 1))
            size = clean + degraded
            levels = [lookup.for_pair(made, (size, size), far, "x").value for far in FARS]
            cells = [f"{(impostor >= level).mean():.4f}" for level in levels]
            cells.append(", ".join(f"{(genuine >= level).mean():.3f}" for level in levels))
            lines.append(f"| {name} | {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _mixed(
    table: FeatureTable, aggregator: Aggregator, clean: int, degraded: int, strength: float, seed: int
) -> tuple[Doubles, Doubles]:
    """Scores of two videos of two people, and of one person."""
    rng, sets, who = np.random.default_rng([2, seed]), [], []
    bad = table.degraded & (table.strength <= strength)
    for media in media_of(table):
        for rows in media:
            good, worse = rows[~table.degraded[rows]], rows[bad[rows]]
            if good.size >= clean and worse.size >= degraded:
                chosen = rng.choice(good, clean, replace=False), rng.choice(worse, degraded, replace=False)
                sets.append(np.concatenate(chosen))
                who.append(int(table.subject.codes[rows[0]]))
    vectors, person = templates(table, aggregator, sets).astype(np.float64), np.array(who)
    first, second = np.triu_indices(person.size, 1)
    scores, same = (vectors @ vectors.T)[first, second], person[first] == person[second]
    return scores[~same], scores[same]


def _shares(
    table: FeatureTable, aggregator: Aggregator, made: Calibration, media: list[list[Ints]], first: str, second: str
) -> tuple[list[Doubles], list[Doubles]]:
    """For each FAR: (P, P) share of the draws accepted for each two people, and (P,) for each one person."""
    P = len(media)
    impostor, genuine = [np.zeros((P, P)) for _ in FARS], [np.zeros(P) for _ in FARS]
    rng = np.random.default_rng(0)
    for _ in range(DRAWS):
        left, right, mate = [], [], []
        for mine in media:
            left.append(SETS[first](rng, mine))
            right.append(SETS[second](rng, mine))
            used = set(table.medium.codes[left[-1]])  # a mate shares no video
            others = [m for m in mine if table.medium.codes[m[0]] not in used]
            mate.append(np.concatenate(others) if others else None)
        a, b = (templates(table, aggregator, sets).astype(np.float64) for sets in (left, right))
        scores = a @ b.T
        whom = [i for i, m in enumerate(mate) if m is not None]
        own = np.full(P, np.nan)
        if whom:
            c = templates(table, aggregator, [mate[i] for i in whom]).astype(np.float64)
            own[whom] = np.einsum("td,td->t", a[whom], c)
        for f, far in enumerate(FARS):
            level = _levels(made, far, [s.size for s in left], [s.size for s in right])
            impostor[f] += (scores >= level) / DRAWS
            limits = [0.0 if m is None else lookup.for_pair(made, (s.size, m.size), far, "x").value
                      for s, m in zip(left, mate, strict=True)]  # fmt: skip
            genuine[f] += np.where(np.isnan(own), np.nan, own >= np.array(limits)) / DRAWS
    return impostor, genuine


def _levels(made: Calibration, far: float, rows: list[int], columns: list[int]) -> Doubles:
    """(A, B) thresholds for templates of so many faces."""
    known = {(a, b): lookup.for_pair(made, (a, b), far, "x").value for a in set(rows) for b in set(columns)}
    return np.array([[known[a, b] for b in columns] for a in rows])


def _cells(shares: tuple[list[Doubles], list[Doubles]], weights: Doubles) -> Iterator[str]:
    impostor, genuine = shares
    for share in impostor:
        other = 1.0 - np.eye(len(share))
        point = (share * other).sum() / other.sum()
        draws = np.einsum("ri,ij,rj->r", weights, share * other, weights, optimize=True)
        draws /= np.einsum("ri,ij,rj->r", weights, other, weights, optimize=True)
        low, high = np.quantile(draws, [0.025, 0.975])
        yield f"{point:.4f} ({low:.4f}-{high:.4f})"
    there = [g[~np.isnan(g)] for g in genuine]
    yield ", ".join(f"{g.mean():.3f}" for g in there) if there[0].size else "-"


def _searches(table: FeatureTable, aggregator: Aggregator, made: Calibration, media: list[list[Ints]]) -> Iterator[str]:
    """One video of a stranger searched for among people enrolled with all but one of their videos."""
    rng: Any = np.random.default_rng(1)
    found: dict[tuple[int, float], list[float]] = {}
    for _ in range(DRAWS):
        left = [int(rng.integers(len(mine))) for mine in media]
        probes = [mine[i] for mine, i in zip(media, left, strict=True)]
        enrolled = [np.concatenate([m for j, m in enumerate(mine) if j != i])
                    for mine, i in zip(media, left, strict=True)]  # fmt: skip
        a, b = (templates(table, aggregator, sets).astype(np.float64) for sets in (probes, enrolled))
        scores = a @ b.T
        for n in GALLERIES:
            for p in FPIRS:
                known = {
                    (x, y): lookup.for_search(made, (x, y), n, p, "x").value
                    for x in {s.size for s in probes}
                    for y in {s.size for s in enrolled}
                }
                level = np.array([[known[s.size, t.size] for t in enrolled] for s in probes])
                found.setdefault((n, p), []).append(openset.fpir(scores - level, n, 0.0))
    for n in GALLERIES:
        yield f"{n} | " + " | ".join(f"{np.mean(found[n, p]):.4f}" for p in FPIRS)
