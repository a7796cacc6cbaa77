"""Requests that cannot be, and what the service tells of itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from service_app import Running, enrolled, kind, parts

import faceset


def test_forms_that_cannot_be(app: Running, media_dir: Path) -> None:
    picture = media_dir / "collins0.png"
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


def test_the_thresholds_it_tells_are_those_of_its_answers(app: Running, query: dict[str, str], media_dir: Path) -> None:
    pictures = media_dir / "collins0.png", media_dir / "hopper.png"
    enrolled(app, query, "Eileen", pictures[0])
    told = app.client.get("/v1/calibration", params=query).json()
    sides = [part for picture, side in zip(pictures, "ab", strict=True) for part in parts(picture, name=side)]
    decision = app.client.post("/v1/verify", files=sides).json()
    (match,) = app.client.post("/v1/identify", params=query, files=parts(pictures[1])).json()["matches"]
    assert told["people"] == 1
    for said, answer in ((told["pair"], decision), (told["search"], match)):
        assert said["threshold"] == pytest.approx(answer["threshold"], abs=1e-6)
        for name in ("threshold_source", "far", "fpir"):
            assert said[name] == answer[name]
    own = faceset.Recognizer().compare(*pictures)
    assert (own.threshold, own.threshold_source) == (
        pytest.approx(decision["threshold"], abs=1e-6),
        decision["threshold_source"],
    )


def test_it_tells_of_itself(app: Running, media_dir: Path) -> None:
    assert app.client.get("/v1/health").json()["status"] == "ok"
    calibration = app.client.get("/v1/calibration").json()
    models = app.client.get("/v1/models").json()
    assert models["embedder"] == calibration["model_id"]
    assert {m["name"] for m in models["models"]} >= {"dlib-resnet", "mtcnn"}
    assert str(Path.home()) not in json.dumps(models)
    app.client.post("/v1/identify", files=parts(media_dir / "collins0.png"))
    metrics = app.client.get("/metrics").text
    assert 'faceset_requests_total{method="POST",route="/v1/identify",status="200"}' in metrics
    assert "faceset_queue 0.0" in metrics
