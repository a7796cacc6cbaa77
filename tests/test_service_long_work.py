"""Work that goes on after the answer: jobs over the HTTP API, with real media."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
from service_app import Running, enrolled, kind, parts
from service_media import clip


def test_long_work_is_a_job(app: Running, query: dict[str, str], media_dir: Path) -> None:
    now = app.client.post("/v1/identify", params=query, files=parts(media_dir / "long.mp4"))
    assert (now.status_code, kind(now)) == (413, "use-a-job")
    assert "POST /v1/jobs" in now.json()["detail"]
    sent = app.client.post("/v1/jobs", params=query, files=parts(media_dir / "long.mp4"), data={"kind": "identify"})
    assert sent.status_code == 202, sent.text
    job = sent.json()["id"]
    assert sent.headers["location"] == f"/v1/jobs/{job}"
    events = _events(app.client, job)
    names = [name for name, _ in events]
    assert names[-1] == "done"
    assert set(names[:-1]) == {"progress", "track"}
    done = app.ended(job)
    assert (done["state"], done["progress"], done["error"]) == ("done", 1.0, None)
    matches = done["result"]["matches"]
    assert [data for name, data in events if name == "track"] == matches
    assert done["result"]["id"] == job
    url = f"/v1/jobs/{job}/tracks/{matches[0]['track']}/enroll"
    assert app.client.post(url, json={"name": "Found"}).status_code == 201
    assert job in {one["id"] for one in app.client.get("/v1/jobs", params=query).json()["jobs"]}
    assert not app.uploads()


def test_a_long_video_is_enrolled_by_a_job(
    app: Running, query: dict[str, str], media_dir: Path, tmp_path: Path
) -> None:
    person = app.person("Eileen", query)
    video = clip(tmp_path / "long.mp4", frames=30)
    sent = app.client.post(f"/v1/people/{person}/media", params=query, files=parts(video))
    assert (sent.status_code, sent.json()["kind"]) == (202, "enroll")
    done = app.ended(sent.json()["id"])
    assert done["result"]["person"]["id"] == person
    assert done["result"]["report"]["added"] == ["long.mp4"]
    named = app.client.post(
        "/v1/jobs", params=query, files=parts(media_dir / "hopper.png"), data={"kind": "enroll", "name": "Grace"}
    )
    assert app.ended(named.json()["id"])["result"]["person"]["name"] == "Grace"
    assert not app.uploads()


def test_a_client_may_prefer_not_to_wait(app: Running, query: dict[str, str], media_dir: Path) -> None:
    header = {"prefer": "respond-async, wait=5"}
    person = app.person("Eileen", query)
    sent = [
        app.client.post("/v1/identify", params=query, files=parts(media_dir / "collins0.png"), headers=header),
        app.client.post(
            f"/v1/people/{person}/media", params=query, files=parts(media_dir / "collins1.png"), headers=header
        ),
        app.client.post(
            "/v1/verify",
            files=[*parts(media_dir / "collins0.png", name="a"), *parts(media_dir / "hopper.png", name="b")],
            headers=header,
        ),
    ]
    assert [answer.status_code for answer in sent] == [202, 202, 202]
    ended = [app.ended(answer.json()["id"]) for answer in sent]
    assert [job["state"] for job in ended] == ["done", "done", "done"]
    assert ended[2]["result"]["same"] is False
    assert not app.uploads()


def test_a_job_that_fails_says_why(app: Running, query: dict[str, str], media_dir: Path) -> None:
    sent = app.client.post("/v1/jobs", params=query, files=parts(media_dir / "text.png"), data={"kind": "identify"})
    failed = app.ended(sent.json()["id"])
    assert (failed["state"], failed["result"]) == ("failed", None)
    assert failed["error"]["type"] == "urn:faceset:problem:media"
    assert "text.png" in failed["error"]["detail"]
    assert not app.uploads()


def test_a_job_is_cancelled(app: Running, query: dict[str, str], tmp_path: Path) -> None:
    video = clip(tmp_path / "v.mp4", frames=400)
    first = app.client.post("/v1/jobs", params=query, files=parts(video), data={"kind": "identify"}).json()["id"]
    second = app.client.post("/v1/jobs", params=query, files=parts(video), data={"kind": "identify"}).json()["id"]
    for job in (second, first):
        assert app.client.delete(f"/v1/jobs/{job}").status_code == 200
        assert app.ended(job)["state"] == "cancelled"
    assert _events(app.client, first)[-1][0] == "cancelled"
    assert not app.uploads()


def test_forgetting_reaches_jobs_and_answers(app: Running, query: dict[str, str], media_dir: Path) -> None:
    person = enrolled(app, query, "Eileen", media_dir / "collins0.png")
    answer = app.client.post("/v1/identify", params=query, files=parts(media_dir / "collins1.png")).json()
    sent = app.client.post("/v1/jobs", params=query, files=parts(media_dir / "collins1.png"), data={"kind": "identify"})
    job = sent.json()["id"]
    assert app.ended(job)["result"]["matches"][0]["name"] == "Eileen"
    assert app.client.delete(f"/v1/people/{person}", params=query).status_code == 204
    for id_ in (answer["id"], job):
        left = app.client.get(f"/v1/jobs/{id_}")
        assert left.status_code == 404 or left.json()["result"] is None
        assert person not in left.text
        track = app.client.post(f"/v1/jobs/{id_}/tracks/0/enroll", json={"name": "Again"})
        assert track.status_code == 404


def test_a_person_forgotten_meanwhile_is_not_made_anew(app: Running, query: dict[str, str], tmp_path: Path) -> None:
    person = app.person("Eileen", query)
    video = clip(tmp_path / "long.mp4", frames=60)
    sent = app.client.post(f"/v1/people/{person}/media", params=query, files=parts(video))
    assert app.client.delete(f"/v1/people/{person}", params=query).status_code == 204
    failed = app.ended(sent.json()["id"])
    assert (failed["state"], failed["error"]["status"]) == ("failed", 404)
    assert app.client.get("/v1/people", params=query).json()["total"] == 0
    late = app.client.post(f"/v1/people/{person}/media", params=query, files=parts(video))
    assert (late.status_code, kind(late)) == (404, "unknown-person")


def _events(client: httpx.Client, job: str) -> list[tuple[str, object]]:
    found = []
    with client.stream("GET", f"/v1/jobs/{job}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        name = ""
        for line in stream.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                found.append((name, json.loads(line.removeprefix("data: "))))
    return found
