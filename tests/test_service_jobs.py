"""Jobs: their order, their events, their end, and what is left of them."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import stat
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the extra `service` is not installed")

import service_media

import faceset
from faceset.errors import InputError, NoFaceError
from faceset.service import job_store
from faceset.service.events import KEEP_ALIVE, sse
from faceset.service.job import Job, mentions
from faceset.service.job_store import KEPT_SECONDS, JobStore
from faceset.service.jobs import JobContext, Jobs
from faceset.service.kept import KeptSets
from faceset.service.meters import Meters
from faceset.service.problems import Problem
from faceset.service.recognising import Recognising
from faceset.service.uploads import Upload, as_source
from faceset.types import Face, FaceSet

T = TypeVar("T")
WAIT = 60.0


def with_jobs(
    folder: Path, test: Callable[[Jobs, Recognising], Awaitable[T]], *, models: bool = False, **changes: object
) -> T:
    """Run a test with jobs; with ``models``, a worker process that reads media is there too."""

    async def main() -> T:
        config = service_media.config(folder, **changes)
        recognising = Recognising(config, Meters())
        async with contextlib.AsyncExitStack() as stack:
            if models:
                await stack.enter_async_context(recognising)
            jobs = await stack.enter_async_context(Jobs(folder / "jobs.db", config, recognising))
            return await test(jobs, recognising)

    return asyncio.run(main())


async def ended(jobs: Jobs, id_: str) -> Job:
    async with asyncio.timeout(WAIT):
        while not (job := jobs.get(id_)).finished:
            await asyncio.sleep(0.005)
    return job


async def everything(jobs: Jobs, id_: str, **options: float) -> list[dict[str, Any]]:
    async with asyncio.timeout(WAIT):
        return [event async for event in jobs.events(id_, **options)]


def face_set(seed: int, faces: int = 3) -> FaceSet:
    rng = np.random.default_rng(seed)
    made = [Face((0, 0, 9, 9), 1.0, feature=rng.normal(size=128).astype(np.float32)) for _ in range(faces)]
    return FaceSet(tuple(made), "m:1", track=seed)


# ------------------------------------------------------------------------------------------------------- real work


def test_a_video_is_identified_enrolled_from_and_found(tmp_path: Path) -> None:
    clip = service_media.clip(tmp_path / "clip.mp4", people=True)
    upload = as_source(Upload(clip, "clip.mp4"))

    async def test(jobs: Jobs, recognising: Recognising) -> None:
        with faceset.Gallery(tmp_path / "g.db") as gallery:

            def work(context: JobContext) -> dict[str, Any]:
                found = context.recognizer.reader.find(upload)
                sets, progress = [], context.on_progress(found.media)
                for one in context.recognizer.face_sets(upload, progress=progress):
                    sets.append(one)
                    context.track({"track": one.track, "faces": len(one)})
                context.keep(sets)
                return {"tracks": len(sets)}

            cleaned: list[str] = []
            job = jobs.submit("identify", "default", "key1", work, cleanup=lambda: cleaned.append("job"))
            assert (job.state, job.progress, jobs.unfinished) == ("queued", 0.0, 1)
            events = await everything(jobs, job.id)
            names = [e["event"] for e in events]
            assert names[0] == "progress"
            assert names[-3:] == ["track", "track", "done"]
            fractions = [e["data"]["progress"] for e in events if e["event"] == "progress"]
            assert fractions == sorted(set(fractions)) or fractions[:2] == [0.0, 0.0]  # queued, then running
            assert fractions[-1] == pytest.approx((24 - 1) / 24, abs=0.01)
            assert events[-1]["data"] == jobs.get(job.id).to_dict()
            assert (events[-1]["data"]["result"], events[-1]["data"]["progress"]) == ({"tracks": 2}, 1.0)
            assert "key" not in events[-1]["data"]
            assert cleaned == ["job"]
            gallery.add("Left", [jobs.sets(job.id, 0)], aggregator=recognising.recognizer.aggregator)
            (match, _) = await recognising.run(lambda r: list(r.identify(gallery, upload)))
            assert (match.name, match.score) == ("Left", pytest.approx(1.0, abs=1e-5))
            with pytest.raises(Problem, match="404: track 2 of this job is not kept"):
                jobs.sets(job.id, 2)
            assert await everything(jobs, job.id) == [events[-1]]

    with_jobs(tmp_path, test, models=True)


def test_a_request_is_served_while_a_long_job_runs_and_the_job_is_cancelled_within_a_batch(tmp_path: Path) -> None:
    clip = service_media.clip(tmp_path / "long.mp4", frames=400)
    picture, *_ = service_media.stills(tmp_path)

    async def test(jobs: Jobs, recognising: Recognising) -> None:
        batches: list[faceset.types.Progress] = []

        def work(context: JobContext) -> dict[str, Any]:
            return {
                "sets": len(list(context.recognizer.face_sets(as_source(Upload(clip, "l")), progress=batches.append)))
            }

        removed = threading.Event()
        job = jobs.submit("identify", "default", None, work, cleanup=removed.set)
        while len(batches) < 2:
            await asyncio.sleep(0.005)
        template = await recognising.run(lambda r: r.template(as_source(Upload(picture, "p.png"))))
        assert len(template) == 1
        at = len(batches)
        assert at < 50
        assert jobs.get(job.id).state == "running"
        while len(batches) < at + 2:  # it goes on
            await asyncio.sleep(0.005)
        jobs.cancel(job.id)
        at = len(batches)
        assert (await ended(jobs, job.id)).state == "cancelled"
        assert len(batches) <= at + 1
        assert removed.wait(WAIT)
        assert recognising._host.streams == 0

    with_jobs(tmp_path, test, models=True)


# ------------------------------------------------------------------------------------------------- states and order


def test_one_at_a_time_in_order_bounded_and_cancelled_while_queued(tmp_path: Path) -> None:
    async def test(jobs: Jobs, _: Recognising) -> None:
        go, order = threading.Event(), []
        cleaned: list[int] = []

        def work(name: int) -> Callable[[JobContext], dict[str, Any]]:
            def run(context: JobContext) -> dict[str, Any]:
                assert go.wait(WAIT)
                order.append(name)
                return {"name": name}

            return run

        first = jobs.submit("x", "a", None, work(0), cleanup=lambda: cleaned.append(0))
        while jobs.get(first.id).state != "running":
            await asyncio.sleep(0.005)
        queued = [jobs.submit("x", "b", None, work(i), cleanup=lambda i=i: cleaned.append(i)) for i in (1, 2)]
        with pytest.raises(Problem) as raised:
            jobs.submit("x", "a", None, work(3), cleanup=lambda: cleaned.append(3))
        assert (raised.value.status_code, raised.value.kind, cleaned) == (429, "jobs-full", [3])
        events = asyncio.create_task(everything(jobs, queued[0].id))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert jobs.cancel(queued[0].id).state == "cancelled"
        assert [e["event"] for e in await events] == ["progress", "cancelled"]
        assert cleaned == [3, 1]
        assert [j.id for j in jobs.list()] == [queued[1].id, queued[0].id, first.id]
        assert [j.id for j in jobs.list("a")] == [first.id]
        go.set()
        assert (await ended(jobs, queued[1].id)).result == {"name": 2}
        assert order == [0, 2]
        while jobs.unfinished or len(cleaned) < 4:
            await asyncio.sleep(0.005)
        assert cleaned == [3, 1, 0, 2]
        assert jobs.cancel(first.id).state == "done"  # it stays as it is
        for call in (jobs.get, jobs.cancel):
            with pytest.raises(Problem, match="404: there is no such job"):
                call("nobody")

    with_jobs(tmp_path, test, queue=2)


def test_failures_are_problem_documents(tmp_path: Path) -> None:
    async def test(jobs: Jobs, _: Recognising) -> None:
        def failing(error: BaseException) -> Callable[[JobContext], dict[str, Any]]:
            def work(context: JobContext) -> dict[str, Any]:
                raise error

            return work

        known = await ended(jobs, jobs.submit("x", "a", None, failing(NoFaceError("c.mp4: no face"))).id)
        assert (
            known.error
            == {
                "type": "urn:faceset:problem:no-face",
                "title": "Unprocessable Entity",
                "status": 422,
                "detail": "c.mp4: no face",
            }
            or (known.error or {}).get("title") == "Unprocessable Content"
        )  # its name from Python 3.13 on
        bug = await ended(jobs, jobs.submit("x", "a", None, failing(KeyError("/secret/path"))).id)
        assert (bug.state, (bug.error or {})["status"]) == ("failed", 500)
        assert "secret" not in str(bug.error)
        own = await ended(jobs, jobs.submit("x", "a", None, failing(Problem(409, "no", kind="busy"))).id)
        assert (own.error or {})["type"] == "urn:faceset:problem:busy"
        strange = await ended(jobs, jobs.submit("x", "a", None, lambda _: {"x": float("nan")}).id)
        assert strange.state == "failed"

    with_jobs(tmp_path, test)


def test_a_late_listener_gets_the_present_state_first_and_silence_is_filled(tmp_path: Path) -> None:
    async def test(jobs: Jobs, _: Recognising) -> None:
        go, said = threading.Event(), threading.Event()

        def work(context: JobContext) -> dict[str, Any]:
            context.progress(0.25)
            context.track({"track": 0})
            context.progress(0.1)  # never back
            said.set()
            assert go.wait(WAIT)
            context.progress(2.0)
            return {}

        job = jobs.submit("x", "a", None, work)
        while not said.is_set():
            await asyncio.sleep(0.005)
        seen = []
        async for event in jobs.events(job.id, keep_alive=0.05):
            seen.append(event)
            if event == KEEP_ALIVE:
                go.set()
        assert seen[:3] == [
            {"event": "progress", "data": {"state": "running", "progress": 0.25}},
            {"event": "track", "data": {"track": 0}},
            KEEP_ALIVE,
        ]
        rest = [e for e in seen[3:] if e != KEEP_ALIVE]
        assert [e["event"] for e in rest] == ["progress", "done"]
        assert rest[0]["data"]["progress"] == 1.0

    with_jobs(tmp_path, test)


def test_events_on_the_wire() -> None:
    assert sse(KEEP_ALIVE) == b": keep-alive\n\n"
    assert sse({"event": "track", "data": {"name": "Ä\nb"}}) == b'event: track\ndata: {"name": "\\u00c4\\nb"}\n\n'


def test_what_an_earlier_service_left_unfinished_has_failed(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs.db")  # as a service that was killed leaves it
    store.put(Job("a", "x", "g", None, "running", 0.5, time.time(), time.time()))
    store.put(Job("b", "x", "g", None, created=time.time()))
    store.put(Job("c", "x", "g", None, "done", 1.0, time.time(), time.time(), time.time(), {"x": 1}))
    store.close()

    async def test(jobs: Jobs, _: Recognising) -> None:
        assert [(j.id, j.state) for j in jobs.list()] == [("c", "done"), ("b", "failed"), ("a", "failed")]
        detail = (jobs.get("a").error or {})["detail"]
        assert detail == "the service was stopped while this job was queued or running; send the file again"
        assert (jobs.get("c").result, jobs.unfinished) == ({"x": 1}, 0)

    with_jobs(tmp_path, test)


def test_a_stop_ends_what_runs_and_fails_what_waits(tmp_path: Path) -> None:
    clip = service_media.clip(tmp_path / "long.mp4", frames=400)
    cleaned: list[int] = []

    async def test(jobs: Jobs, _: Recognising) -> list[str]:
        def work(context: JobContext) -> dict[str, Any]:
            return {"n": len(list(context.recognizer.face_sets(as_source(Upload(clip, "l")))))}

        made = [jobs.submit("x", "g", None, work, cleanup=lambda i=i: cleaned.append(i)) for i in range(2)]
        while jobs.get(made[0].id).state != "running":
            await asyncio.sleep(0.005)
        return [job.id for job in made]

    ids = with_jobs(tmp_path, test, models=True)
    assert sorted(cleaned) == [0, 1]
    store = JobStore(tmp_path / "jobs.db")
    found = [store.get(id_) for id_ in ids]
    store.close()
    assert [(j and j.state, j and (j.error or {})["status"]) for j in found] == [("failed", 503)] * 2


# --------------------------------------------------------------------------------------------------------- what is kept


def test_the_file_is_private_and_old_jobs_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    most = 20
    monkeypatch.setattr(job_store, "KEPT_JOBS", most)
    store = JobStore(tmp_path / "jobs.db")
    assert stat.S_IMODE((tmp_path / "jobs.db").stat().st_mode) == 0o600
    now = time.time()
    for i in range(most + 3):
        store.put(Job(f"n{i}", "x", "g", None, "done", 1.0, now + i, now, now))
    store.put(Job("old", "x", "g", None, "done", 1.0, now + 9999, now, now - KEPT_SECONDS - 1))
    store.put(Job("runs", "x", "g", None, "running", 0.0, now - 9e6))
    store.prune(now)
    left = {j.id for j in store.all()}
    assert "old" not in left
    assert "runs" in left  # as long as it has not ended
    assert {"n0", "n1", "n2"} & left == set()
    assert len(left) == most + 1
    store.close()


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"no database, but long enough to be looked at" * 30)
    with pytest.raises(InputError, match="is no file of jobs"):
        JobStore(tmp_path / "a.db")
    with sqlite3.connect(tmp_path / "b.db") as db:
        db.execute("PRAGMA user_version=9")
    db.close()
    with pytest.raises(InputError, match="of version 9, this program knows 1"):
        JobStore(tmp_path / "b.db")


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"name": "Ann Lee"}, True),
        ({"deep": [{"person_id": "p-77"}]}, True),
        ({"Ann Lee": 1}, True),
        ({"said": "clip.mp4: looks like ann lee (score 0.95)"}, True),
        ({"said": "Joann Leeds"}, False),
        ({"thumbnail": "data:image/jpeg;base64,Ann Lee"}, False),
        ({"name": None, "score": 0.5, "known": False}, False),
    ],
)
def test_who_is_mentioned(value: object, named: bool) -> None:
    assert mentions(value, "p-77", "Ann Lee") is named


def test_a_name_that_looks_like_a_picture_is_found() -> None:
    assert mentions({"name": "data:Ann"}, "", "data:Ann")


def test_an_empty_id_mentions_nobody() -> None:
    assert not mentions({"digest": "", "name": "x"}, "", "Ann Lee")


def test_forgetting_takes_results_bytes_and_face_sets_away(tmp_path: Path) -> None:
    thumbnail = "data:image/jpeg;base64," + "U0VDUkVU" * 4000  # several pages of the file

    async def test(jobs: Jobs, _: Recognising) -> None:
        go, told = threading.Event(), threading.Event()

        def work(context: JobContext) -> dict[str, Any]:
            context.keep([face_set(0)])
            return {"matches": [{"name": "Ann Lee", "thumbnail": thumbnail}]}

        def other(context: JobContext) -> dict[str, Any]:
            context.keep([face_set(1)])
            return {"matches": [{"name": None}]}

        def running(context: JobContext) -> dict[str, Any]:
            context.track({"name": "Ann Lee"})
            context.track({"name": "Bob"})
            context.keep([face_set(2)])
            told.set()
            assert go.wait(WAIT)
            return {"name": "Ann Lee"}

        named, unnamed = (jobs.submit("identify", "g", None, w).id for w in (work, other))
        await ended(jobs, unnamed)
        quick = jobs.record("identify", "g", None, {"name": "Ann Lee"}, [face_set(3)]).id
        late = jobs.submit("identify", "g", None, running).id
        while not told.is_set():
            await asyncio.sleep(0.005)
        jobs.sets(named, 0), jobs.sets(quick, 0)
        assert jobs.forget("p-77", "Ann Lee") == 2
        files = b"".join(p.read_bytes() for p in tmp_path.glob("jobs.db*"))
        assert b"U0VDUkVU" not in files
        assert b"Ann Lee" not in files
        listening = asyncio.create_task(everything(jobs, late))
        await asyncio.sleep(0.01)
        go.set()
        events = await listening
        assert [e["data"] for e in events if e["event"] == "track"] == [{"name": "Bob"}]
        for id_ in (named, late):
            job = jobs.get(id_)
            assert (job.state, job.result, job.result_removed) == ("done", None, True)
        assert events[-1]["data"]["result"] is None
        for id_ in (named, late, quick):
            with pytest.raises(Problem, match="404"):
                jobs.sets(id_, 0)
        assert jobs.get(unnamed).result == {"matches": [{"name": None}]}
        assert jobs.sets(unnamed, 0).track == 1
        assert jobs.forget("p-77", "Ann Lee") == 0

    with_jobs(tmp_path, test)


def test_an_answer_given_at_once_is_a_job_for_a_while(tmp_path: Path) -> None:
    async def test(jobs: Jobs, _: Recognising) -> None:
        made = jobs.record("identify", "g", "k", {"matches": []}, [face_set(5)])
        assert (made.state, made.progress, jobs.unfinished) == ("done", 1.0, 0)
        assert jobs.get(made.id) is made
        assert [j.id for j in jobs.list("g")] == [made.id]
        assert jobs.sets(made.id, 0).track == 5
        assert await everything(jobs, made.id) == [{"event": "done", "data": made.to_dict()}]
        for i in range(20):
            last = jobs.record("identify", "g", "k", {"matches": [i]}, [])
        with pytest.raises(Problem, match="404"):
            jobs.get(made.id)
        assert jobs.get(last.id).result == {"matches": [19]}

    with_jobs(tmp_path, test)
    assert not JobStore(tmp_path / "jobs.db").all()


def test_kept_face_sets_are_bounded_in_number_bytes_and_age() -> None:
    size = 3 * (128 * 4 + 128)
    kept = KeptSets(jobs=2, bytes_=3 * size)
    assert kept.keep("a", [face_set(1)])
    assert kept.keep("b", [face_set(2), face_set(3)])
    assert (kept.get("b", 1), kept.get("b", 2), kept.get("b", -1)) != (None, None, None)
    assert kept.get("b", 2) is kept.get("b", -1) is kept.get("x", 0) is None
    assert kept.keep("c", [face_set(4)])  # the third job: the oldest goes
    assert kept.get("a", 0) is None
    assert kept.keep("d", [face_set(5), face_set(6)])  # b would be one too many of bytes
    assert (kept.get("b", 0), kept.get("c", 0) is None) == (None, False)
    assert not kept.keep("e", [face_set(i) for i in range(4)])
    assert kept.get("e", 0) is None
    old = KeptSets(seconds=-1.0)
    old.keep("a", [face_set(1)])
    assert old.get("a", 0) is None
