"""Writes made-up files in the form in which InsightFace distributes IJB-B and IJB-C, of any size up to the real one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

IJBC = {"templates": 23124, "faces": 469375, "subjects": 3531, "pairs": 15658489}
"""The size of IJB-C: 1:1 of 15,658,489 pairs; 1:N of 19,593 probes, G1 of 1,772 and G2 of 1,759 subjects."""


@dataclass(frozen=True, slots=True, eq=False)
class MadeIjb:
    """What was written.

    Attributes:
        names: (F,) of the faces, in the order of the lines.
        ids: (T,) of the templates; the first ones are the gallery, one for each subject, the others are probes.
        subject: (T,) number of the person of each template.
        template: (F,) number of the template of each face.
        media: (F,) number of the medium.
        first, second: (P,) numbers of templates.
        same: (P,) bool.
        g1: number of gallery templates in G1; the others are in G2.
    """

    names: tuple[str, ...]
    ids: Ints
    subject: Ints
    template: Ints
    media: Ints
    first: Ints
    second: Ints
    same: npt.NDArray[np.bool_]
    g1: int


def write_insightface(
    root: Path,
    templates: int,
    faces: int,
    subjects: int,
    pairs: int,
    seed: int = 0,
    *,
    edition: str = "ijbc",
    one_to_many: bool = True,
    points: bool = True,
) -> MadeIjb:
    """Write ``root/meta``: faces, pairs, five points with scores, and the three lists of 1:N.

    As in the real files, each subject has one gallery template, every pair is a gallery template against a probe, and
    each probe meets its own subject's once. Set sizes are skewed: half of the templates hold few faces.

    Args:
        root: made where it is missing.
        templates: T, of which ``subjects`` are the gallery.
        faces: F >= T.
        subjects: S.
        pairs: P, at least T - S and at most (T - S) * S.
        seed: of the random choices.
        edition: ``ijbc`` (G1, G2) or ``ijbb`` (S1, S2).
        one_to_many: whether to write the lists of 1:N.
        points: whether to write the five points and scores.
    """
    rng = np.random.default_rng(seed)
    probes = templates - subjects
    ids = np.cumsum(rng.integers(1, 16, templates))  # with gaps: those of IJB-C go up to 187,955
    subject = np.concatenate([np.arange(subjects), np.arange(probes) % subjects])
    subject[subjects:] = rng.permutation(subject[subjects:])
    template = _faces(rng, templates, faces)
    # A medium of a template is on average three faces; numbers are in no order, as in the real files.
    starts = np.r_[True, (np.diff(template) > 0) | (rng.random(faces - 1) < 1 / 3)]
    media = rng.permutation(100_000 + 3 * int(starts.sum()))[: int(starts.sum())][np.cumsum(starts) - 1]
    names = tuple(f"{i}.jpg" for i in range(1, faces + 1))
    first, second = _pairs(rng, subject, subjects, pairs)
    same = subject[first] == subject[second]
    g1 = -(-subjects // 2) + (6 if subjects > 1000 else 0)
    made = MadeIjb(names, ids, subject, template, media, first, second, same, g1)
    meta = root / "meta"
    meta.mkdir(parents=True, exist_ok=True)
    with open(meta / f"{edition}_face_tid_mid.txt", "w", encoding="ascii") as file:
        file.writelines(f"{n} {t} {m}\n" for n, t, m in zip(names, ids[template].tolist(), media.tolist(), strict=True))
    _write_integers(meta / f"{edition}_template_pair_label.txt", (ids[first], ids[second], same.astype(np.int64)))
    if points:
        _write_points(meta / f"{edition}_name_5pts_score.txt", names, rng)
    if one_to_many:
        _write_lists(meta, edition, made, subjects)
    return made


def _faces(rng: np.random.Generator, templates: int, faces: int) -> Ints:
    """(F,) the template of each face: each template has one at least."""
    share = np.minimum(rng.pareto(1.2, templates), 20) + 0.02
    extra = rng.multinomial(faces - templates, share / share.sum())
    return np.repeat(np.arange(templates), extra + 1)


def _pairs(rng: np.random.Generator, subject: Ints, subjects: int, pairs: int) -> tuple[Ints, Ints]:
    """Every genuine pair and random others, none twice, in the order of the gallery."""
    probes = subject.size - subjects
    if not probes <= pairs <= probes * subjects:
        raise ValueError(
            f"{probes} probes and {subjects} subjects make {probes} to {probes * subjects} pairs, not {pairs}"
        )
    chosen = np.zeros(subjects * probes, dtype=bool)
    chosen[subject[subjects:] * probes + np.arange(probes)] = True
    while (missing := pairs - int(np.count_nonzero(chosen))) > 0:
        chosen[rng.integers(0, chosen.size, missing)] = True
    keys = np.flatnonzero(chosen)
    return keys // probes, keys % probes + subjects


def _write_integers(path: Path, columns: tuple[Ints, ...], block: int = 200_000) -> None:
    table = np.stack(columns, axis=1)
    line = " ".join(["%d"] * len(columns)) + "\n"
    with open(path, "w", encoding="ascii") as file:
        for start in range(0, len(table), block):
            part = table[start : start + block]
            file.write(line * len(part) % tuple(part.ravel().tolist()))


def _write_points(path: Path, names: Iterable[str], rng: np.random.Generator) -> None:
    around = np.array([46.060, 62.026, 87.785, 60.323, 68.851, 77.656, 52.162, 99.875, 86.450, 98.648])
    with open(path, "w", encoding="ascii") as file:
        for name in names:
            points = (around + rng.normal(0, 3, 10)).tolist()
            score = 0.1 if rng.random() < 0.01 else 1 - 0.1 * rng.random() ** 4
            file.write(" ".join([name, *(f"{value:.3f}" for value in (*points, score))]) + "\n")


def _write_lists(meta: Path, edition: str, made: MadeIjb, subjects: int) -> None:
    first, second = ("G1", "G2") if edition == "ijbc" else ("S1", "S2")
    gallery = made.template < subjects
    for name, rows in (
        (f"gallery_{first}", gallery & (made.template < made.g1)),
        (f"gallery_{second}", gallery & (made.template >= made.g1)),
        ("probe_mixed", ~gallery),
    ):
        with open(meta / f"{edition}_1N_{name}.csv", "w", encoding="ascii") as file:
            file.write("TEMPLATE_ID,SUBJECT_ID,FILENAME,SIGHTING_ID,FACE_X,FACE_Y,FACE_WIDTH,FACE_HEIGHT\n")
            for row in np.flatnonzero(rows).tolist():
                template = int(made.template[row])
                file.write(f"{made.ids[template]},{made.subject[template] + 1},img/{row + 1}.jpg,{row},10,20,80,90\n")
