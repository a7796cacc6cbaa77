"""Templates given out and taken in over the HTTP API."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from service_app import Running, enrolled, kind, parts

import faceset


def test_templates_travel(app: Running, query: dict[str, str], media_dir: Path) -> None:
    person = enrolled(app, query, "Eileen", media_dir / "collins0.png", media_dir / "collins1.png")
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
    found = app.client.post("/v1/identify", params=other, files=parts(media_dir / "collins2.png")).json()
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


def test_templates_that_cannot_be_taken(app: Running, query: dict[str, str], media_dir: Path) -> None:
    person = enrolled(app, query, "Eileen", media_dir / "collins0.png")
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
