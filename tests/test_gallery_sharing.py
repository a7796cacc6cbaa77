"""Threads, processes, forks and interruptions: nothing lost, nothing half done."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from gallery_faces import MEAN, check_whole, faces, probe

from faceset.gallery import Gallery

TESTS = Path(__file__).parent


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=TESTS,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return output


ENROL = """
import sys, time
from pathlib import Path
from faceset.gallery import Gallery
from gallery_faces import MEAN, faces, probe
path, number, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
with Gallery(path) as gallery:
    for i in range(count):
        gallery.add(f"only {number}", [faces(number, f"{number}-{i}")], aggregator=MEAN)
        gallery.add("everybody's", [faces(99, f"common {number}-{i}")], aggregator=MEAN)
        found = gallery.search([probe(number), probe(99)], 1)
        assert [c[0].name for c in found] == [f"only {number}", "everybody's"], found
"""


def test_processes_enrol_at_once(tmp_path: Path) -> None:
    """Three processes make one gallery and enrol different people and the same person; a fourth watches."""
    path, count = tmp_path / "people.db", 6
    processes = []
    for number in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", ENROL, str(path), str(number), str(count)],
            cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        processes.append(process)
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    with Gallery(path) as gallery:
        seen = 0
        while any(p.poll() is None for p in processes):
            now = sum(p.faces for p in gallery.people())
            assert now >= seen
            seen = now
            time.sleep(0.02)
        for process in processes:
            finish(process)
        assert [(p.name, len(p.media)) for p in gallery.people()] == [
            ("everybody's", 3 * count), *((f"only {n}", count) for n in range(3)),
        ]  # fmt: skip
        found = gallery.search([probe(n) for n in range(3)], 1)
        assert [c[0].name for c in found] == [f"only {n}" for n in range(3)]
        with Gallery(tmp_path / "alone.db") as alone:
            everything = [faces(99, f"common {n}-{i}") for n in range(3) for i in range(count)]
            alone.add("everybody's", everything, aggregator=MEAN)
            np.testing.assert_array_equal(alone.template("everybody's").vector, gallery.template("everybody's").vector)
    check_whole(path)


RACE = """
import sys
from faceset.errors import DuplicateMediaError
from faceset.gallery import Gallery
from gallery_faces import MEAN, faces
with Gallery(sys.argv[1]) as gallery:
    for i in range(20):
        try:
            gallery.add(sys.argv[2], [faces(1, f"{i}.mp4")], aggregator=MEAN)
        except DuplicateMediaError:
            continue
"""


def test_two_processes_race_for_the_same_files(tmp_path: Path) -> None:
    path = tmp_path / "people.db"
    for process in [start(RACE, path, name) for name in ("left", "right", "left")]:
        finish(process)
    with Gallery(path) as gallery:
        digests = [m.digest for p in gallery.people() for m in p.media]
    assert len(digests) == len(set(digests)) == 20
    check_whole(path)


def test_eight_threads_give_what_one_gives(tmp_path: Path) -> None:
    with Gallery(tmp_path / "one.db") as one, Gallery(tmp_path / "eight.db") as eight:
        work = [(f"p{i % 5}", i) for i in range(40)]
        for name, i in work:
            one.add(name, [faces(i % 5, f"{i}.mp4")], aggregator=MEAN)

        def enrol(job: tuple[str, int]) -> None:
            name, i = job
            eight.add(name, [faces(i % 5, f"{i}.mp4")], aggregator=MEAN)
            assert eight.search([probe(i % 5)], 1)[0][0].name == name

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(enrol, work))
            expected = [one.search([probe(i)], 3) for i in range(64)]
            found = list(pool.map(lambda i: eight.search([probe(i)], 3), range(64)))
        assert found == expected
        for i in range(5):
            np.testing.assert_array_equal(one.template(f"p{i}").vector, eight.template(f"p{i}").vector)
    check_whole(tmp_path / "eight.db")


def test_threads_search_while_people_come_and_go(tmp_path: Path) -> None:
    """Names and vectors never get out of step, whatever happens beside."""
    with Gallery(tmp_path / "people.db") as gallery:
        for i in range(6):
            gallery.add(f"p{i}", [faces(i, f"{i}.mp4")], aggregator=MEAN)
        stop = threading.Event()

        def look(i: int) -> int:
            looks = 0
            while not stop.is_set():
                assert gallery.search([probe(i)], 1)[0][0].name == f"p{i}"
                looks += 1
            return looks

        with ThreadPoolExecutor(7) as pool:
            looking = [pool.submit(look, i) for i in range(1, 6)]
            try:
                for turn in range(6):
                    gallery.forget("p0")
                    gallery.add("q", [faces(7, f"q{turn}")], aggregator=MEAN)
                    gallery.add("p0", [faces(0, "0.mp4")], aggregator=MEAN)
                    gallery.forget("q")
            finally:
                stop.set()
            assert all(job.result() > 0 for job in looking)


FORK = """
import os, sys
from faceset.gallery import Gallery
from gallery_faces import MEAN, faces, probe
gallery = Gallery(sys.argv[1])
gallery.add("parent", [faces(1, "1.mp4")], aggregator=MEAN)
gallery.search([probe(1)])
children = []
for number in range(3):
    child = os.fork()
    if child == 0:
        try:
            assert gallery._database.engine.pool.checkedin() == 0  # no connection came along
            for i in range(5):
                gallery.add(f"child {number}", [faces(10 + number, f"{number}-{i}")], aggregator=MEAN)
            assert gallery.search([probe(1)], 1)[0][0].name == "parent"
            gallery.close()
            os._exit(0)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
    children.append(child)
for i in range(5):
    gallery.add("parent", [faces(1, f"p{i}.mp4")], aggregator=MEAN)
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
print(sorted((p.name, len(p.media)) for p in gallery.people()))
assert gallery.search([probe(12)], 1)[0][0].name == "child 2"
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_gallery_that_is_open_during_a_fork(tmp_path: Path) -> None:
    output = finish(start(FORK, tmp_path / "people.db"))
    assert output.strip() == "[('child 0', 5), ('child 1', 5), ('child 2', 5), ('parent', 6)]"
    check_whole(tmp_path / "people.db")


LOOP = """
import itertools, sys
from faceset.gallery import Gallery
from gallery_faces import MEAN, faces
with Gallery(sys.argv[1]) as gallery:
    first = sum(len(p.media) for p in gallery.people())
    print("open", flush=True)
    for i in itertools.count(first):
        gallery.add(f"p{i % 3}", [faces(i % 3, f"{i}.mp4", count=100)], aggregator=MEAN)
        print(i, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX knows them")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL] if sys.platform != "win32" else [])
def test_interrupted_in_the_middle_of_enrolling(tmp_path: Path, number: signal.Signals) -> None:
    """Over and over: every enrolment that was reported is there, at most one more, and every person is whole."""
    path = tmp_path / "people.db"
    rng = random.Random(int(number))
    total = 0
    for _ in range(3):
        process = start(LOOP, path)
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        time.sleep(rng.uniform(0.1, 0.5))
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
        assert process.returncode != 0
        assert "KeyboardInterrupt" in errors or number != signal.SIGINT
        reported = [int(line) for line in output.split()]
        with Gallery(path) as gallery:
            held = sum(len(p.media) for p in gallery.people())
        assert total + len(reported) <= held <= total + len(reported) + 1
        total = held
    check_whole(path)
    assert total > 0
