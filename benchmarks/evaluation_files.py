"""Made-up benchmarks at full size: the official files of IJB-C and YTF, and features for their faces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from faceset import features
from faceset.feature_table import CLEAN, FeatureTable, Labels

EMBEDDER = "made-up"
_BLOCK = 500_000  # lines written at a time


class Size(NamedTuple):
    """How large an IJB-C is made."""

    faces: int = 469_375
    first_gallery: int = 1_772
    second_gallery: int = 1_759
    probes: int = 19_593
    pairs: int = 15_658_489
    width: int = 512

    @property
    def templates(self) -> int:
        """All templates: one of each gallery subject, and the probes."""
        return self.first_gallery + self.second_gallery + self.probes


class Ijbc(NamedTuple):
    """Where the files are."""

    root: Path
    table: Path
    array: Path


def write_ijbc(folder: Path, size: Size, seed: int = 0) -> Ijbc:
    """The meta files in the form of InsightFace, and the same features as a table and as ``.npy``.

    Every pair is a gallery template against a probe; each probe is of one gallery subject and meets it once. Features
    are a direction of the subject and noise, so that scores spread as real ones do.
    """
    rng = np.random.default_rng(seed)
    S, T = size.first_gallery + size.second_gallery, size.templates
    who = np.concatenate([np.arange(S), rng.permutation(np.arange(size.probes) % S)])  # (T,)
    ids = np.cumsum(rng.integers(1, 16, T))
    share = np.minimum(rng.pareto(1.2, T), 20) + 0.02
    counts = 1 + rng.multinomial(size.faces - T, share / share.sum())
    template = np.repeat(np.arange(T), counts)
    media = np.cumsum(np.r_[True, (np.diff(template) > 0) | (rng.random(size.faces - 1) < 1 / 3)]) + 70_000
    meta = folder / "meta"
    meta.mkdir(parents=True)
    faces = [f"{i}.jpg {ids[t]} {m}\n" for i, (t, m) in enumerate(zip(template, media, strict=True), 1)]
    (meta / "ijbc_face_tid_mid.txt").write_text("".join(faces), encoding="ascii")
    scores = np.round(rng.random(size.faces), 3)
    points = "46.060 62.026 87.785 60.323 68.851 85.925 51.532 103.060 86.343 98.648"
    lines = [f"{i}.jpg {points} {s:.3f}\n" for i, s in enumerate(scores, 1)]
    (meta / "ijbc_name_5pts_score.txt").write_text("".join(lines), encoding="ascii")
    with (meta / "ijbc_template_pair_label.txt").open("w", encoding="ascii") as file:
        file.writelines(_pair_lines(rng, who, ids, S, size))
    header = "TEMPLATE_ID,SUBJECT_ID,FILENAME\n"
    cuts = {"gallery_G1": (0, size.first_gallery), "gallery_G2": (size.first_gallery, S), "probe_mixed": (S, T)}
    for name, (low, high) in cuts.items():
        rows = [f"{ids[t]},{who[t]},img/{t}.jpg\n" for t in range(low, high)]
        (meta / f"ijbc_1N_{name}.csv").write_text(header + "".join(rows), encoding="ascii")
    vectors = _vectors(rng, who[template], S, size.width)
    table = _table([f"{i}.jpg" for i in range(1, size.faces + 1)], np.zeros(size.faces, np.int64), vectors, scores)
    found = Ijbc(folder, folder / "features.parquet", folder / "features.npy")
    features.write(found.table, table)
    np.save(found.array, vectors)
    return found


def write_ytf(folder: Path, videos: int, people: int, frames: int, width: int, seed: int = 0) -> tuple[Path, Path]:
    """``splits.txt`` in the official form and a table with the frames of every video: root and table."""
    rng = np.random.default_rng(seed)
    owner = np.sort(np.concatenate([np.arange(people), 2 * rng.integers(0, people // 2, videos - people)]))
    names = [f"Person_{p:04}/{v}" for p, v in zip(owner, _within(owner), strict=True)]
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["split number, pair number, first name, second name, is same\n"]
    fold = np.arange(people) * 10 // people
    for split in range(10):
        here = np.flatnonzero(fold[owner] == split)
        pairs = [(a, b) for i, a in enumerate(here) for b in here[i + 1 :]]
        same = np.array([owner[a] == owner[b] for a, b in pairs])
        chosen = [rng.choice(np.flatnonzero(same == y), 250, replace=False) for y in (True, False)]
        for number, k in enumerate(np.concatenate(chosen), 1):
            a, b = pairs[k]
            lines.append(f"{split + 1}, {number}, {names[a]}, {names[b]}, {int(same[k])}\n")
    (folder / "splits.txt").write_text("".join(lines), encoding="ascii")
    share = np.minimum(rng.pareto(2.0, videos) + 0.5, 30)
    counts = 48 + rng.multinomial(frames - 48 * videos, share / share.sum())
    video = np.repeat(np.arange(videos), counts)
    vectors = _vectors(rng, owner[video], people, width)
    table = _table([names[v] for v in video], _within(video), vectors, np.round(rng.random(frames), 3))
    features.write(folder / "features.parquet", table)
    return folder, folder / "features.parquet"


def _pair_lines(rng: np.random.Generator, who: np.ndarray, ids: np.ndarray, S: int, size: Size) -> Iterator[str]:
    probes = size.probes
    chosen = np.zeros(S * probes, dtype=bool)
    chosen[who[S:] * probes + np.arange(probes)] = True
    while (missing := size.pairs - int(np.count_nonzero(chosen))) > 0:
        chosen[rng.integers(0, chosen.size, missing)] = True
    keys = np.flatnonzero(chosen)
    for low in range(0, keys.size, _BLOCK):
        first, second = np.divmod(keys[low : low + _BLOCK], probes)
        same = (who[first] == who[second + S]).astype(int)
        rows = zip(ids[first].tolist(), ids[second + S].tolist(), same.tolist(), strict=True)
        yield "".join([f"{a} {b} {y}\n" for a, b, y in rows])


def _vectors(rng: np.random.Generator, who: np.ndarray, people: int, width: int) -> np.ndarray:
    centres = rng.standard_normal((people, width), dtype=np.float32)
    vectors = np.empty((who.size, width), np.float32)
    for low in range(0, who.size, 8192):
        part = who[low : low + 8192]
        noise = rng.standard_normal((part.size, width), dtype=np.float32)
        vectors[low : low + 8192] = centres[part] + 2.5 * noise
    return vectors


def _table(names: list[str], frames: np.ndarray, vectors: np.ndarray, scores: np.ndarray) -> FeatureTable:
    M = len(names)
    return FeatureTable(
        embedder=EMBEDDER,
        vectors=vectors,
        subject=Labels(np.zeros(M, np.int32), ("",)),
        medium=Labels.of(names),
        kind=Labels(np.zeros(M, np.int32), (CLEAN,)),
        strength=np.zeros(M, np.float32),
        track=np.zeros(M, np.int32),
        frame=frames.astype(np.int64),
        time=frames / 25,
        box=np.zeros((M, 4), np.float32),
        landmarks=np.full((M, 5, 2), np.nan, np.float32),
        score=scores.astype(np.float32),
        norm=np.linalg.norm(vectors, axis=1),
    )


def _within(owner: np.ndarray) -> np.ndarray:
    """Numbers from 0 within each run of equal owners."""
    starts = np.flatnonzero(np.r_[True, np.diff(owner) != 0])
    return np.arange(owner.size) - np.repeat(starts, np.diff(np.r_[starts, owner.size]))
