"""The queue in front of the recogniser, and whose batch is read next."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

pytest.importorskip("fastapi", reason="the extra `service` is not installed")

import service_media
from starlette.requests import Request

import faceset
from faceset.errors import MediaError
from faceset.service.meters import Meters
from faceset.service.problems import Problem
from faceset.service.recognising import Recognising
from faceset.service.turns import Turns
from faceset.service.uploads import Upload, as_source

T = TypeVar("T")
WAIT = 30.0  # seconds after which a test gives up; none of them measures time


def with_recognising(folder: Path, test: Callable[[Recognising], Awaitable[T]], **changes: object) -> T:
    async def main() -> T:
        config = service_media.config(folder, **changes)
        async with Recognising(config, Meters()) as recognising:
            return await test(recognising)

    return asyncio.run(main())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT):
        while not condition():
            await asyncio.sleep(0.005)


def test_first_come_first_served_and_no_more_than_the_queue_holds(tmp_path: Path) -> None:
    async def test(recognising: Recognising) -> None:
        go, order = threading.Event(), []

        def call(name: int) -> Callable[[faceset.Recognizer], int]:
            def work(_: faceset.Recognizer) -> int:
                assert go.wait(WAIT)
                order.append(name)
                return name

            return work

        # All in one round of the event loop: the count must not depend on when their tasks start.
        tasks = [asyncio.create_task(recognising.run(call(i))) for i in range(6)]
        await until(lambda: sum(t.done() for t in tasks) == 2)
        assert recognising.waiting == 3
        for refused in tasks[4:]:
            problem = refused.exception()
            assert isinstance(problem, Problem)
            assert (problem.status_code, problem.kind) == (429, "queue-full")
            assert int(problem.headers["retry-after"]) >= 1  # type: ignore[index]
        assert recognising._meters.rejected.labels("queue-full")._value.get() == 2
        go.set()
        assert await asyncio.gather(*tasks[:4]) == [0, 1, 2, 3]
        assert order == [0, 1, 2, 3]
        assert recognising.waiting == 0
        assert await recognising.run(call(9)) == 9

    with_recognising(tmp_path, test, queue=3)


def test_whatever_the_call_raises_comes_out_and_gives_the_place_back(tmp_path: Path) -> None:
    async def test(recognising: Recognising) -> None:
        def fail(_: faceset.Recognizer) -> None:
            raise MediaError("x.png: no")

        for _ in range(4):  # more than there are places
            with pytest.raises(MediaError, match=r"x\.png: no"):
                await recognising.run(fail)
        assert (recognising.waiting, recognising.alive) == (0, True)

    with_recognising(tmp_path, test, queue=1)


def test_who_leaves_gives_the_place_back_and_ends_the_work(tmp_path: Path) -> None:
    clip = service_media.clip(tmp_path / "clip.mp4", frames=120)

    async def test(recognising: Recognising) -> None:
        leave, begun = asyncio.Event(), threading.Event()

        async def receive() -> dict[str, object]:
            await leave.wait()
            return {"type": "http.disconnect"}

        def request() -> Request:
            return Request({"type": "http", "method": "POST", "path": "/", "headers": []}, receive)  # type: ignore[arg-type]

        batches = []

        def read(recognizer: faceset.Recognizer) -> None:
            def progress(_: object) -> None:
                batches.append(1)
                begun.set()

            list(recognizer.face_sets(as_source(Upload(clip, "clip.mp4")), progress=progress))

        working = asyncio.create_task(recognising.run(read, request=request()))
        waiting = asyncio.create_task(recognising.run(read, request=request()))
        await until(begun.is_set)
        assert recognising.waiting == 1
        leave.set()
        for task in (working, waiting):
            with pytest.raises(Problem, match="408"):
                await task
        assert recognising.waiting == 0
        assert len(batches) < 30  # of 30: it was left in the middle
        assert await recognising.run(lambda r: r.model_id) == recognising.recognizer.model_id
        assert recognising._host.streams == 0

    with_recognising(tmp_path, test)


def test_an_answer_comes_though_the_client_could_leave(tmp_path: Path) -> None:
    async def test(recognising: Recognising) -> None:
        async def receive() -> dict[str, object]:
            await asyncio.Event().wait()
            raise AssertionError

        request = Request({"type": "http", "method": "POST", "path": "/", "headers": []}, receive)  # type: ignore[arg-type]
        assert await recognising.run(lambda _: 3, request=request) == 3

    with_recognising(tmp_path, test)


# --------------------------------------------------------------------------------------------------------------- turns


def in_thread(turns: Turns, *, job: bool, order: list[str], name: str) -> threading.Thread:
    def work() -> None:
        with turns.turn(job=job):
            order.append(name)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_job_gives_way_while_a_request_is_worked_on() -> None:
    turns, order = Turns(patience=1000.0), []
    with turns.request():
        with turns.turn(job=False):
            job = in_thread(turns, job=True, order=order, name="job")
        with turns.turn(job=False):
            order.append("request")
        job.join(0.2)
        assert order == ["request"]
    job.join(WAIT)
    assert order == ["request", "job"]


def test_a_job_is_not_starved() -> None:
    turns, order = Turns(patience=0.0), []
    with turns.request(), turns.turn(job=False):
        requests = [in_thread(turns, job=False, order=order, name="request") for _ in range(8)]
        time.sleep(0.1)  # they wait first, and yet the job that has waited long enough is let in before them
        job = in_thread(turns, job=True, order=order, name="job")
        while turns._job_since is None:
            time.sleep(0.001)
        time.sleep(0.1)
    for thread in (job, *requests):
        thread.join(WAIT)
    assert order == ["job"] + ["request"] * 8


def test_one_exchange_at_a_time_and_a_failing_one_lets_the_next_in() -> None:
    turns, inside, most = Turns(), [], []

    def work(job: bool) -> None:
        for _ in range(50):
            with turns.turn(job=job):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work, args=(i == 0,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert (max(most), len(most)) == (1, 200)
    with pytest.raises(ZeroDivisionError), turns.turn(job=False):
        raise ZeroDivisionError
    with turns.turn(job=True):
        pass
