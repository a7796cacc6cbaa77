"""kill -9 in the middle of enrolling: what was acknowledged is there, whole, and nothing else.

A commit and the word that it was done cannot be one act: a process may die between the two. What holds is that the
commit comes first, so that an acknowledged person is there; that people come one by one, so that at most the one in
flight is there without having been acknowledged; and that whoever asks again for that one is told.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from gallery_faces import check_whole, faces

from faceset.gallery import Gallery, doctor
from faceset.types import FaceSet

TESTS = Path(__file__).parent
KEY = "00112233445566778899aabbccddeeff0123456789abcdef0f1e2d3c4b5a6978"

ENROLS = """
import sys
from faceset.errors import DuplicateMediaError
from faceset.gallery import Gallery
from gallery_faces import MEAN, faces
path, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with Gallery(path) as gallery:
    for i in range(first, last):
        sets = [faces(i, f"{i}a.mp4", count=8, crops=True), faces(i, f"{i}b.mp4", count=5)]
        try:
            gallery.add(f"person {i:03}", sets, aggregator=MEAN, keep_crops=True)
        except DuplicateMediaError:  # it was in flight when the last process died, and had been committed
            assert i == first
        print(i, flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system knows no kill -9")
@pytest.mark.parametrize(
    ("key", "people", "between"), [("", 200, (20, 45)), (KEY, 40, (8, 14))], ids=["plain", "encrypted"]
)
def test_killed_at_any_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, people: int, between: tuple[int, int]
) -> None:
    monkeypatch.setenv("FACESET_KEY", key)
    path = tmp_path / "people.db"
    rng = random.Random(5)
    acknowledged: list[int] = []
    kills = in_flight = 0
    while len(acknowledged) < people:
        before = len(acknowledged)
        process = subprocess.Popen(
            [sys.executable, "-c", ENROLS, str(path), str(before), str(people)],
            cwd=TESTS, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        gap, moment = 0.0, time.perf_counter()
        for _ in range(rng.randrange(*between)):
            line = process.stdout.readline()
            if not line:
                break
            acknowledged.append(int(line))
            gap, moment = time.perf_counter() - moment, time.perf_counter()
        time.sleep(rng.uniform(0, min(gap, 0.5)))  # anywhere within the next enrolment
        os.kill(process.pid, signal.SIGKILL)
        rest, errors = process.communicate(timeout=60)
        assert not errors
        acknowledged += [int(line) for line in rest.splitlines()]
        assert acknowledged == list(range(len(acknowledged)))
        kills += process.returncode == -signal.SIGKILL
        with Gallery(path, create=False) as gallery:
            held = [p.name for p in gallery.people()]
            some = len(acknowledged) - 1
            for stored, given in zip(
                gallery.features(f"person {some:03}"),
                sorted(_sets(some), key=lambda s: s.digest),
                strict=True,
            ):
                np.testing.assert_array_equal(stored.features, given.features)
        assert held[: len(acknowledged)] == [f"person {i:03}" for i in acknowledged]
        assert held[len(acknowledged) :] in ([], [f"person {len(acknowledged):03}"])
        in_flight += len(held) - len(acknowledged)
        check_whole(path)
        assert doctor.examine(path) == []
    assert kills >= 3
    assert in_flight <= kills
    assert held == [f"person {i:03}" for i in range(people)]  # all in all: every one, once, no other


def _sets(number: int) -> list[FaceSet]:
    return [faces(number, f"{number}a.mp4", count=8, crops=True), faces(number, f"{number}b.mp4", count=5)]


def test_a_commit_waits_for_the_disk(tmp_path: Path) -> None:
    """synchronous = FULL: a power cut, which no test here can make, must not take back what was acknowledged either."""
    with Gallery(tmp_path / "people.db") as gallery:
        assert gallery._database._statement("PRAGMA synchronous") == (2,)
        assert gallery._database._statement("PRAGMA journal_mode") == ("wal",)
