"""What is kept of jobs is encrypted where a key is set."""

from __future__ import annotations

import logging
import secrets
import sqlite3
import time
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra `service` is not installed")

from portraits import collins, varied, write
from service_app import parts, running

from faceset.errors import InputError
from faceset.service.app import create_app
from faceset.service.config import ServiceConfig
from faceset.service.job import Job
from faceset.service.job_store import JobStore

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
RESULT = {"name": "Ann Lee", "thumbnail": "data:image/jpeg;base64," + "U0VDUkVU" * 2000, "weight": 0.123456789}
ERROR = {"detail": "clip.mp4 shows Ann Lee"}


def job(number: int = 0) -> Job:
    now = time.time()
    return Job(f"job{number}", "identify", "g", None, "done", 1.0, now, now, now, RESULT, ERROR)


def content(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("jobs.db*"))


def kept(path: Path, key: bytes | None) -> list[Job]:
    """What a service that is started with ``key`` finds."""
    store = JobStore(path, key)
    found = [one for job in store.all() if (one := store.get(job.id)) is not None]
    store.close()
    return found


def write_jobs(path: Path, key: bytes | None) -> None:
    store = JobStore(path, key)
    for number in range(3):
        store.put(job(number))
    store.close()


def test_a_result_is_not_found_in_the_bytes_of_the_file(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs.db", KEY)
    store.put(job())
    for said in (b"Ann Lee", b"U0VDUkVU", b"0.123456789", b"weight"):
        assert said not in content(tmp_path)
    assert b"identify" in content(tmp_path)
    back = store.get("job0")
    assert back is not None
    assert (back.result, back.error) == (RESULT, ERROR)
    assert [(one.result, one.error) for one in store.all()] == [(None, None)]
    assert [one.id for one in store.forget("p-1", "Ann Lee")] == ["job0"]
    store.close()
    assert [(one.result, one.result_removed) for one in kept(tmp_path / "jobs.db", KEY)] == [(None, True)]


def test_the_plain_file_would_be_seen_through(tmp_path: Path) -> None:
    write_jobs(tmp_path / "jobs.db", None)
    assert b"Ann Lee" in content(tmp_path)
    assert b"U0VDUkVU" in content(tmp_path)


@pytest.mark.parametrize(("first", "then"), [(KEY, OTHER), (KEY, None), (None, KEY)], ids=["other", "lost", "new"])
def test_jobs_of_another_key_go_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, first: bytes | None, then: bytes | None
) -> None:
    path = tmp_path / "jobs.db"
    write_jobs(path, first)
    assert len(kept(path, first)) == 3
    assert not caplog.records
    with caplog.at_level(logging.WARNING, logger="faceset.service"):
        assert kept(path, then) == []
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: the jobs in it were kept with another key (FACESET_KEY), or without one; they are dropped"
    ]
    assert b"Ann Lee" not in content(tmp_path)
    assert b"job0" not in content(tmp_path)
    write_jobs(path, then)  # it goes on with the new key
    assert [one.result for one in kept(path, then)] == [RESULT] * 3
    assert kept(path, first) == []


def test_a_result_is_bound_to_its_job_and_column(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "jobs.db"
    write_jobs(path, KEY)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE jobs SET result = (SELECT result FROM jobs WHERE id = 'job1') WHERE id = 'job0'")
        db.execute("UPDATE jobs SET result = error WHERE id = 'job1'")
    db.close()
    found = {one.id: one for one in kept(path, KEY)}
    assert [(found[name].result, found[name].result_removed) for name in ("job0", "job1")] == [(None, True)] * 2
    assert (found["job2"].result, found["job0"].error) == (RESULT, ERROR)
    assert sorted(record.getMessage().partition(": ")[2] for record in caplog.records) == [
        f"the result of job {name} was changed in the file; it is not shown" for name in ("job0", "job1")
    ]


def test_the_service_keeps_its_jobs_sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACESET_KEY", secrets.token_hex(32))
    picture = write(varied(collins(), 0), tmp_path / "a.png")
    with running(tmp_path / "data") as app:
        person = app.person("Ann Lee", {})
        assert app.client.post(f"/v1/people/{person}/media", files=parts(picture)).status_code == 201
        sent = app.client.post("/v1/identify", files=parts(picture), headers={"prefer": "respond-async"})
        match = app.ended(sent.json()["id"])["result"]["matches"][0]
        assert match["name"] == "Ann Lee"
        thumbnail = match["faces"][0]["thumbnail"].partition(",")[2]
        for said in ("Ann Lee", thumbnail[:16], person):
            assert said.encode() not in content(tmp_path / "data")
    assert sent.json()["id"].encode() in content(tmp_path / "data")


def test_a_key_that_is_none_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACESET_KEY", "a passphrase")
    with pytest.raises(InputError, match="FACESET_KEY is no key"):
        create_app(ServiceConfig(data=tmp_path))
