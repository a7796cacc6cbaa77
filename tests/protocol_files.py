"""Small files in the official forms of the protocols, and damage to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from pathlib import Path

from faceset.evaluation.trials import Verification

STRANGE = ("0", "1", "2", "7", "a", "Z", "_", "-", "+", ".", "/", " ", "\t", ",", "\n", "é", "\uff11", "\u00a0", "\x00")
"""What a character of a field is turned into; the full-width digit is one that ``int`` takes."""


def write_lines(path: Path, lines: Sequence[str], end: str = "\n", last: bool = True) -> Path:
    """The lines as bytes, each with its line end; ``last``: the last one too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((end.join(lines) + (end if last else "")).encode())
    return path


def lfw_lines(folds: int = 10, each: int = 300) -> list[str]:
    """A list in the form of ``pairs.txt``, of made-up people no two folds share."""
    lines = [f"{folds}\t{each}"]
    for fold in range(folds):
        people = [f"Person_{fold}_{k}" for k in range(each + 1)]
        lines += [f"{person}\t1\t{2 + k % 11}" for k, person in enumerate(people[:each])]
        lines += [f"{a}\t{1 + k % 13}\t{b}\t1" for k, (a, b) in enumerate(pairwise(people))]
    return lines


def ytf_lines(folds: int = 10, each: int = 250, header: bool = True) -> list[str]:
    """A list in the form of ``splits.txt``, of made-up people no two folds share, with 4 videos each."""
    lines = ["split number, pair number, first name, second name, is same"] if header else []
    for fold in range(1, folds + 1):
        people = [f"Person_{fold}_{k}" for k in range(each + 1)]
        videos = list(combinations(range(4), 2))
        same = [(f"{p}/{a}", f"{p}/{b}", 1) for p in people for a, b in videos][:each]
        different = [(f"{p}/{k % 4}", f"{q}/0", 0) for k, (p, q) in enumerate(pairwise(people))]
        for number, (first, second, label) in enumerate(same + different, 1):
            lines.append(f"{fold}, {number}, {first}, {second}, {label}")
    return lines


def one_character_edits(text: str) -> Iterator[str]:
    """Every text with one character of ``text`` left out, one put in anywhere, or one replaced, by :data:`STRANGE`."""
    for at in range(len(text) + 1):
        for new in STRANGE:
            yield text[:at] + new + text[at:]
            if at < len(text) and text[at] != new:
                yield text[:at] + new + text[at + 1 :]
        if at < len(text):
            yield text[:at] + text[at + 1 :]


def trials_of(asked: Verification) -> list[tuple[object, ...]]:
    """Every trial by name: fold, label, and the two templates with subjects, in no order. Sorted."""
    ids, subject = asked.templates.ids, asked.templates.subject
    trials = []
    for at in range(asked.same.size):
        pair = sorted((ids[t], subject.names[subject.codes[t]]) for t in (asked.first[at], asked.second[at]))
        trials.append((-1 if asked.folds is None else int(asked.folds[at]), bool(asked.same[at]), *pair))
    return sorted(trials)
