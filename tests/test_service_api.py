"""The calls of the HTTP API, against the running service with real media."""

from __future__ import annotations

import base64
import io
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from portraits import both, collins, hopper, varied, write
from service_app import Running, kind, parts, running
from service_media import clip

import faceset
from faceset.gallery import Gallery


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("service"), at_once_seconds=5.0, max_files=8) as found:
        yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("media")
    for seed in range(3):
        write(varied(collins(), seed), made / f"collins{seed}.png")
    write(varied(hopper(), 1), made / "hopper.png")
    write(both(), made / "both.png")
    write(np.zeros((120, 160, 3), np.uint8), made / "black.png")
    clip(made / "collins.mp4", frames=8)
    clip(made / "both.mp4", frames=8, people=True)
    clip(made / "long.mp4", frames=30, people=True)
    (made / "text.png").write_text("no picture")
    return made


@pytest.fixture
def query(app: Running, request: pytest.FixtureRequest) -> dict[str, str]:
    """A gallery of the test's own."""
    name = request.node.name.removeprefix("test_").partition("[")[0][:50]
    return app.gallery(name)


def enrolled(app: Running, query: dict[str, str], name: str, *files: Path) -> str:
    person = app.person(name, query)
    answer = app.client.post(f"/v1/people/{person}/media", params=query, files=parts(*files))
    assert answer.status_code == 201, answer.text
    return person


def test_people_are_made_listed_renamed_and_forgotten(app: Running, query: dict[str, str]) -> None:
    made = app.client.post("/v1/people", json={"name": " Grace "}, params=query)
    person = made.json()
    assert made.status_code == 201
    assert made.headers["location"] == f"/v1/people/{person['id']}"
    assert (person["name"], person["faces"], person["media"]) == ("Grace", 0, [])
    app.person("Eileen", query)
    listed = app.client.get("/v1/people", params=query).json()
    assert ([p["name"] for p in listed["people"]], listed["total"]) == (["Eileen", "Grace"], 2)
    page = app.client.get("/v1/people", params={**query, "limit": 1, "offset": 1}).json()
    assert ([p["name"] for p in page["people"]], page["total"]) == (["Grace"], 2)
    named = app.client.get("/v1/people", params={**query, "name": "EIL"}).json()
    assert [p["name"] for p in named["people"]] == ["Eileen"]
    renamed = app.client.patch(f"/v1/people/{person['id']}", json={"name": "Hopper"}, params=query)
    assert renamed.json()["name"] == "Hopper"
    assert app.client.get(f"/v1/people/{person['id']}", params=query).json()["name"] == "Hopper"
    assert app.client.delete(f"/v1/people/{person['id']}", params=query).status_code == 204
    gone = app.client.get(f"/v1/people/{person['id']}", params=query)
    assert (gone.status_code, kind(gone)) == (404, "unknown-person")


def test_a_name_is_taken_once(app: Running, query: dict[str, str]) -> None:
    app.person("Grace", query)
    again = app.client.post("/v1/people", json={"name": "Grace"}, params=query)
    assert (again.status_code, kind(again)) == (409, "gallery")
    assert again.json()["detail"].startswith(f"gallery {query['gallery']}: 'Grace' is enrolled already")


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 201, 3, None])
def test_names_that_cannot_be(app: Running, name: object) -> None:
    answer = app.client.post("/v1/people", json={"name": name})
    assert (answer.status_code, kind(answer) in ("input", "invalid-request")) == (422, True)


def test_media_are_added_listed_and_removed(app: Running, query: dict[str, str], folder: Path) -> None:
    person = app.person("Eileen", query)
    url = f"/v1/people/{person}/media"
    files = [folder / "collins0.png", folder / "collins.mp4", folder / "text.png", folder / "black.png"]
    answer = app.client.post(url, params=query, files=parts(*files))
    assert answer.status_code == 201, answer.text
    report = answer.json()["report"]
    assert report["added"] == ["collins0.png", "collins.mp4"]
    assert sorted(sentence.partition(":")[0] for sentence in report["refused"]) == ["black.png", "text.png"]
    media = app.client.get(url, params=query).json()["media"]
    assert [(m["name"], m["kind"]) for m in media] == [("collins0.png", "still"), ("collins.mp4", "video")]
    assert answer.json()["person"]["media"] == media
    again = app.client.post(url, params=query, files=parts(folder / "collins0.png"))
    assert again.json()["report"]["already"] == ["collins0.png"]
    assert app.client.delete(f"{url}/{media[0]['id']}", params=query).status_code == 204
    assert [m["name"] for m in app.client.get(url, params=query).json()["media"]] == ["collins.mp4"]
    gone = app.client.delete(f"{url}/{media[0]['id']}", params=query)
    assert (gone.status_code, kind(gone)) == (404, "unknown-medium")
    last = app.client.delete(f"{url}/{media[1]['id']}", params=query)
    assert (last.status_code, kind(last)) == (409, "gallery")
    assert not app.uploads()


def test_what_cannot_be_enrolled_is_said(app: Running, query: dict[str, str], folder: Path) -> None:
    person = app.person("Eileen", query)
    url = f"/v1/people/{person}/media"
    for name, status, problem in [
        ("black.png", 422, "no-face"),
        ("both.png", 422, "many-people"),
        ("text.png", 422, "media"),
    ]:
        answer = app.client.post(url, params=query, files=parts(folder / name))
        assert (answer.status_code, kind(answer)) == (status, problem), answer.text
        assert name in answer.json()["detail"]
    enrolled(app, query, "Other", folder / "collins0.png")
    taken = app.client.post(url, params=query, files=parts(folder / "collins0.png"))
    assert (taken.status_code, kind(taken)) == (409, "duplicate-media")
    assert not app.uploads()


def test_a_newcomer_who_resembles_somebody(app: Running, query: dict[str, str], folder: Path) -> None:
    first = enrolled(app, query, "Eileen", folder / "collins0.png")
    person = app.person("Newcomer", query)
    answer = app.client.post(f"/v1/people/{person}/media", params=query, files=parts(folder / "collins1.png"))
    (alike,) = answer.json()["report"]["looks_like"]
    assert (alike["name"], alike["person_id"]) == ("Eileen", first)


def test_identify_is_the_librarys_answer(app: Running, query: dict[str, str], folder: Path, tmp_path: Path) -> None:
    eileen = enrolled(app, query, "Eileen", folder / "collins0.png", folder / "collins1.png")
    grace = enrolled(app, query, "Grace", folder / "hopper.png")
    answer = app.client.post("/v1/identify", params=query, files=parts(folder / "both.mp4"), data={"k": "1"})
    assert answer.status_code == 200, answer.text
    matches = answer.json()["matches"]
    assert {(m["name"], m["person_id"]) for m in matches} == {("Eileen", eileen), ("Grace", grace)}
    recognizer = faceset.Recognizer(keep_crops=True)
    with Gallery(tmp_path / "g.db") as gallery:
        for name in ("collins0.png", "collins1.png"):
            recognizer.enroll(gallery, "Eileen", folder / name)
        recognizer.enroll(gallery, "Grace", folder / "hopper.png")
        expected = list(recognizer.identify(gallery, folder / "both.mp4", k=1))
    assert len(matches) == len(expected)
    for got, want in zip(matches, expected, strict=True):
        values = want.to_dict()
        for name in ("media", "shot", "start", "end", "name", "score", "threshold", "threshold_source"):
            assert got[name] == pytest.approx(values[name], abs=1e-5) if name == "score" else got[name] == values[name]
        assert (got["medium_track"], got["face_count"]) == (values["track"], values["faces"])
        assert got["faces_left_out"] == 0
        weights = [face["weight"] for face in got["faces"]]
        assert weights == sorted(weights, reverse=True)
        np.testing.assert_allclose(weights, np.sort(want.template.weights)[::-1], atol=1e-6)
        by_frame = {face.frame: float(w) for face, w in zip(want.template.faces, want.template.weights, strict=True)}
        assert all(abs(by_frame[face["frame"]] - face["weight"]) < 1e-6 for face in got["faces"])


def test_thumbnails_show_the_faces(app: Running, folder: Path) -> None:
    answer = app.client.post("/v1/identify", files=parts(folder / "collins0.png")).json()
    (face,) = answer["matches"][0]["faces"]
    head, _, data = face["thumbnail"].partition(",")
    assert head == "data:image/jpeg;base64"
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert picture.format == "JPEG"
    assert max(picture.size) == 96
    want = next(iter(faceset.Recognizer(keep_crops=True).face_sets(folder / "collins0.png"))).faces[0].crop
    near = np.asarray(Image.fromarray(want).resize(picture.size, Image.Resampling.BOX), float)
    assert np.abs(np.asarray(picture, float) - near).mean() < 8


def test_a_track_that_was_found_can_be_enrolled(app: Running, query: dict[str, str], folder: Path) -> None:
    answer = app.client.post("/v1/identify", params=query, files=parts(folder / "both.mp4")).json()
    assert [m["name"] for m in answer["matches"]] == [None, None]
    made = []
    for match in answer["matches"]:
        url = f"/v1/jobs/{answer['id']}/tracks/{match['track']}/enroll"
        got = app.client.post(url, json={"name": f"Person {match['track']}"})
        assert got.status_code == 201, got.text
        made.append(got.json()["person"])
        assert got.json()["person"]["faces"] == match["face_count"]
    again = app.client.post(f"/v1/jobs/{answer['id']}/tracks/0/enroll", json={"person_id": made[0]["id"]})
    assert (len(again.json()["report"]["added"]), len(again.json()["report"]["already"])) == (0, 1)
    other = app.client.post(f"/v1/jobs/{answer['id']}/tracks/0/enroll", json={"person_id": made[1]["id"]})
    assert (other.status_code, kind(other)) == (409, "duplicate-media")
    found = app.client.post("/v1/identify", params=query, files=parts(folder / "both.mp4")).json()
    assert [m["person_id"] for m in found["matches"]] == [p["id"] for p in made]
    none = app.client.post(f"/v1/jobs/{answer['id']}/tracks/7/enroll", json={"name": "x"})
    assert (none.status_code, kind(none)) == (404, "track-gone")
    both_given = app.client.post(f"/v1/jobs/{answer['id']}/tracks/0/enroll", json={"name": "x", "person_id": "0" * 32})
    assert (both_given.status_code, kind(both_given)) == (422, "input")


def test_verify_is_the_librarys_answer(app: Running, folder: Path, tmp_path: Path) -> None:
    one, two = [folder / "collins0.png", folder / "collins1.png"], [folder / "collins.mp4"]
    for path in one:
        shutil.copy(path, tmp_path)
    answer = app.client.post("/v1/verify", files=[*parts(*one, name="a"), *parts(*two, name="b")])
    assert answer.status_code == 200, answer.text
    recognizer = faceset.Recognizer()
    a, b = recognizer.template(tmp_path), recognizer.template(two[0])
    want = recognizer.compare(a, b)
    got = answer.json()
    assert (got["same"], got["threshold"], got["threshold_source"], got["model_id"], got["aggregator"]) == (
        True,
        round(want.threshold, 6),
        want.threshold_source,
        want.model_id,
        want.aggregator,
    )
    assert got["score"] == pytest.approx(want.score, abs=1e-5)
    for side, template in (("a", a), ("b", b)):
        assert got[side]["face_count"] == len(template)
        weights = [face["weight"] for face in got[side]["faces"]]
        np.testing.assert_allclose(weights, np.sort(template.weights)[::-1], atol=1e-6)
    other = app.client.post("/v1/verify", files=[*parts(*one, name="a"), *parts(folder / "hopper.png", name="b")])
    assert other.json()["same"] is False


def test_templates_travel(app: Running, query: dict[str, str], folder: Path) -> None:
    person = enrolled(app, query, "Eileen", folder / "collins0.png", folder / "collins1.png")
    template = app.client.get(f"/v1/people/{person}/template", params=query).json()
    assert (template["format"], template["version"], template["face_count"]) == ("faceset template", 1, 2)
    read = faceset.templates.template_from_dict(template)
    other = app.gallery(query["gallery"] + "-2")
    taken = app.person("Copy", other)
    empty = app.client.get(f"/v1/people/{taken}/template", params=other)
    assert (empty.status_code, kind(empty)) == (409, "gallery")
    put = app.client.put(f"/v1/people/{taken}/template", params=other, json=template)
    assert put.status_code == 200, put.text
    assert [(m["kind"], m["faces"]) for m in put.json()["media"]] == [("template", 1)]
    back = app.client.get(f"/v1/people/{taken}/template", params=other).json()
    np.testing.assert_allclose(back["vector"], read.vector, atol=1e-6)
    found = app.client.post("/v1/identify", params=other, files=parts(folder / "collins2.png")).json()
    assert [m["name"] for m in found["matches"]] == ["Copy"]
    same = app.client.put(f"/v1/people/{taken}/template", params=other, json=template)
    assert [m["id"] for m in same.json()["media"]] == [m["id"] for m in put.json()["media"]]
    turned = {**template, "vector": [-v for v in template["vector"]]}
    replaced = app.client.put(f"/v1/people/{taken}/template", params=other, json=turned)
    assert len(replaced.json()["media"]) == 1
    assert replaced.json()["media"] != put.json()["media"]
    strangers = app.person("Stranger", other)
    owned = app.client.put(f"/v1/people/{strangers}/template", params=other, json=turned)
    assert (owned.status_code, kind(owned)) == (409, "duplicate-media")


def test_templates_that_cannot_be_taken(app: Running, query: dict[str, str], folder: Path) -> None:
    person = enrolled(app, query, "Eileen", folder / "collins0.png")
    url = f"/v1/people/{person}/template"
    template = app.client.get(url, params=query).json()
    wrong = [
        ({"model_id": "other:1"}, 409, "embedder-mismatch"),
        ({"vector": [1.0]}, 409, "embedder-mismatch"),
        ({"vector": [1.0, 1.0]}, 422, "template-file"),
        ({"weights": []}, 422, "template-file"),
        ({"version": 2}, 422, "invalid-request"),
    ]
    for change, status, problem in wrong:
        answer = app.client.put(url, params=query, json={**template, **change})
        assert (answer.status_code, kind(answer)) == (status, problem), answer.text
    text = json.dumps({**template, "vector": [float("nan")] * 128})
    answer = app.client.put(url, params=query, content=text, headers={"content-type": "application/json"})
    assert (answer.status_code, kind(answer)) in {(422, "template-file"), (422, "invalid-request")}
    assert len(app.client.get(f"/v1/people/{person}/media", params=query).json()["media"]) == 1
    empty = app.gallery(query["gallery"] + "-2")  # bound to no embedder yet, and not to be bound to another one
    nobody = app.person("Nobody", empty)
    foreign = app.client.put(f"/v1/people/{nobody}/template", params=empty, json={**template, "model_id": "other:1"})
    assert (foreign.status_code, kind(foreign)) == (409, "embedder-mismatch")


def test_long_work_is_a_job(app: Running, query: dict[str, str], folder: Path) -> None:
    now = app.client.post("/v1/identify", params=query, files=parts(folder / "long.mp4"))
    assert (now.status_code, kind(now)) == (413, "use-a-job")
    assert "POST /v1/jobs" in now.json()["detail"]
    sent = app.client.post("/v1/jobs", params=query, files=parts(folder / "long.mp4"), data={"kind": "identify"})
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


def test_a_long_video_is_enrolled_by_a_job(app: Running, query: dict[str, str], folder: Path, tmp_path: Path) -> None:
    person = app.person("Eileen", query)
    video = clip(tmp_path / "long.mp4", frames=30)
    sent = app.client.post(f"/v1/people/{person}/media", params=query, files=parts(video))
    assert (sent.status_code, sent.json()["kind"]) == (202, "enroll")
    done = app.ended(sent.json()["id"])
    assert done["result"]["person"]["id"] == person
    assert done["result"]["report"]["added"] == ["long.mp4"]
    named = app.client.post(
        "/v1/jobs", params=query, files=parts(folder / "hopper.png"), data={"kind": "enroll", "name": "Grace"}
    )
    assert app.ended(named.json()["id"])["result"]["person"]["name"] == "Grace"
    assert not app.uploads()


def test_a_client_may_prefer_not_to_wait(app: Running, query: dict[str, str], folder: Path) -> None:
    header = {"prefer": "respond-async, wait=5"}
    person = app.person("Eileen", query)
    sent = [
        app.client.post("/v1/identify", params=query, files=parts(folder / "collins0.png"), headers=header),
        app.client.post(
            f"/v1/people/{person}/media", params=query, files=parts(folder / "collins1.png"), headers=header
        ),
        app.client.post(
            "/v1/verify",
            files=[*parts(folder / "collins0.png", name="a"), *parts(folder / "hopper.png", name="b")],
            headers=header,
        ),
    ]
    assert [answer.status_code for answer in sent] == [202, 202, 202]
    ended = [app.ended(answer.json()["id"]) for answer in sent]
    assert [job["state"] for job in ended] == ["done", "done", "done"]
    assert ended[2]["result"]["same"] is False
    assert not app.uploads()


def test_a_job_that_fails_says_why(app: Running, query: dict[str, str], folder: Path) -> None:
    sent = app.client.post("/v1/jobs", params=query, files=parts(folder / "text.png"), data={"kind": "identify"})
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


def test_forgetting_reaches_jobs_and_answers(app: Running, query: dict[str, str], folder: Path) -> None:
    person = enrolled(app, query, "Eileen", folder / "collins0.png")
    answer = app.client.post("/v1/identify", params=query, files=parts(folder / "collins1.png")).json()
    sent = app.client.post("/v1/jobs", params=query, files=parts(folder / "collins1.png"), data={"kind": "identify"})
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


def test_galleries_are_apart(app: Running, folder: Path) -> None:
    query = app.gallery("apart")
    enrolled(app, query, "Eileen", folder / "collins0.png")
    about = {g["name"]: g for g in app.client.get("/v1/galleries").json()["galleries"]}
    assert about["apart"]["people"] == 1
    assert about["apart"]["model_id"].startswith("dlib-resnet:")
    other = app.client.post("/v1/identify", files=parts(folder / "collins1.png")).json()
    assert other["matches"][0]["name"] is None
    twice = app.client.post("/v1/galleries", json={"name": "apart"})
    assert (twice.status_code, kind(twice)) == (409, "gallery")
    path = app.service.config.data / "galleries" / "apart.db"
    assert path.exists()
    assert app.client.delete("/v1/galleries/apart").status_code == 204
    assert not list(path.parent.glob("apart.db*"))
    for gone in (
        app.client.get("/v1/people", params=query),
        app.client.delete("/v1/galleries/apart"),
        app.client.post("/v1/identify", params=query, files=parts(folder / "collins1.png")),
    ):
        assert (gone.status_code, kind(gone)) == (404, "unknown-gallery")
    kept = app.client.delete("/v1/galleries/default")
    assert (kept.status_code, kind(kept)) == (409, "default-gallery")


@pytest.mark.parametrize("name", ["", "..", "../x", "A", "a/b", "a.db", "x" * 65])
def test_gallery_names_that_cannot_be(app: Running, name: str) -> None:
    made = app.client.post("/v1/galleries", json={"name": name})
    assert (made.status_code, kind(made)) == (422, "invalid-request")
    asked = app.client.get("/v1/people", params={"gallery": name})
    assert (asked.status_code, kind(asked)) == (422, "invalid-request")


def test_forms_that_cannot_be(app: Running, folder: Path) -> None:
    picture = folder / "collins0.png"
    cases = [
        ({"files": parts(picture), "data": {"k": "0"}}, 422, "invalid-request"),
        ({"files": parts(picture), "data": {"k": "many"}}, 422, "invalid-request"),
        ({"files": parts(picture), "data": {"nonsense": "1"}}, 422, "invalid-request"),
        ({"files": parts(picture, name="picture")}, 422, "invalid-request"),
        ({"files": [("k", (None, "3"))]}, 422, "invalid-request"),
        ({"files": [("files", (None, "text"))]}, 422, "invalid-request"),
        ({"files": parts(*[picture] * 9)}, 400, "bad-form"),
        ({"content": b"xx", "headers": {"content-type": "multipart/form-data; boundary=a"}}, 400, "bad-form"),
        ({"content": b"xx", "headers": {"content-type": "multipart/form-data"}}, 400, "bad-form"),
        ({"json": {}}, 415, "no-form"),
        ({}, 415, "no-form"),
    ]
    for request, status, problem in cases:
        answer = app.client.post("/v1/identify", **request)  # type: ignore[arg-type]
        assert (answer.status_code, kind(answer)) == (status, problem), (request, answer.text)
    jobs = [{"kind": "dance"}, {}, {"kind": "enroll"}, {"kind": "enroll", "name": "x", "person_id": "0" * 32}]
    jobs += [{"kind": "identify", "name": "x"}, {"kind": "verify"}]
    for fields in jobs:
        answer = app.client.post("/v1/jobs", files=parts(picture), data=fields)
        assert answer.status_code == 422, (fields, answer.text)
    unknown = app.client.post("/v1/jobs", files=parts(picture), data={"kind": "enroll", "person_id": "0" * 32})
    assert (unknown.status_code, kind(unknown)) == (404, "unknown-person")
    assert not app.uploads()
    assert not any(app.service.config.temporary.iterdir())


def test_what_is_not_there(app: Running) -> None:
    for method, path, status, problem in [
        ("GET", "/v1/nothing", 404, "unknown-path"),
        ("GET", "/v1/people/", 404, "unknown-path"),
        ("PUT", "/v1/people", 405, "wrong-method"),
        ("GET", f"/v1/people/{'0' * 32}", 404, "unknown-person"),
        ("GET", "/v1/people/nonsense", 422, "invalid-request"),
        ("GET", f"/v1/jobs/{'0' * 16}", 404, "unknown-job"),
        ("GET", f"/v1/jobs/{'0' * 16}/events", 404, "unknown-job"),
        ("DELETE", f"/v1/jobs/{'0' * 16}", 404, "unknown-job"),
    ]:
        answer = app.client.request(method, path)
        assert (answer.status_code, kind(answer)) == (status, problem), path
    assert app.client.put("/v1/people").headers["allow"] == "GET, POST"


def test_it_tells_of_itself(app: Running, folder: Path) -> None:
    assert app.client.get("/v1/health").json()["status"] == "ok"
    calibration = app.client.get("/v1/calibration").json()
    threshold = faceset.Recognizer().threshold
    assert calibration["pair"]["threshold"] == pytest.approx(threshold.value)
    assert calibration["pair"]["threshold_source"] == threshold.source
    models = app.client.get("/v1/models").json()
    assert models["embedder"] == calibration["model_id"]
    assert {m["name"] for m in models["models"]} >= {"dlib-resnet", "mtcnn"}
    assert str(Path.home()) not in json.dumps(models)
    app.client.post("/v1/identify", files=parts(folder / "collins0.png"))
    metrics = app.client.get("/metrics").text
    assert 'faceset_requests_total{method="POST",route="/v1/identify",status="200"}' in metrics
    assert "faceset_queue 0.0" in metrics


def test_clients_at_once_get_their_own_answers(app: Running, query: dict[str, str], folder: Path) -> None:
    enrolled(app, query, "Eileen", folder / "collins0.png")
    enrolled(app, query, "Grace", folder / "hopper.png")
    answers: dict[int, str | None] = {}

    def ask(number: int) -> None:
        name = "collins1.png" if number % 2 else "hopper.png"
        got = app.client.post("/v1/identify", params=query, files=parts(folder / name))
        answers[number] = got.json()["matches"][0]["name"] if got.status_code == 200 else got.text

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {n: "Eileen" if n % 2 else "Grace" for n in range(8)}


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
