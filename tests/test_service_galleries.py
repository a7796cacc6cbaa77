"""Galleries over the HTTP API."""

from __future__ import annotations

from pathlib import Path

import pytest
from service_app import Running, enrolled, kind, parts


def test_galleries_are_apart(app: Running, media_dir: Path) -> None:
    query = app.gallery("apart")
    enrolled(app, query, "Eileen", media_dir / "collins0.png")
    about = {g["name"]: g for g in app.client.get("/v1/galleries").json()["galleries"]}
    assert about["apart"]["people"] == 1
    assert about["apart"]["model_id"].startswith("dlib-resnet:")
    other = app.client.post("/v1/identify", files=parts(media_dir / "collins1.png")).json()
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
        app.client.post("/v1/identify", params=query, files=parts(media_dir / "collins1.png")),
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


def test_the_list_passes_over_a_gallery_that_goes_meanwhile(app: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    galleries, names = app.service.galleries, app.service.galleries.names()
    gone = ["gone"]  # the first time
    monkeypatch.setattr(galleries, "names", lambda: names + [gone.pop() for _ in tuple(gone)])
    listed = app.client.get("/v1/galleries")
    assert [one["name"] for one in listed.json()["galleries"]] == names


def test_the_list_says_which_gallery_cannot_be_opened(app: Running) -> None:
    path = app.service.config.data / "galleries" / "damaged.db"
    path.write_bytes(b"x" * 5000)
    try:
        answer = app.client.get("/v1/galleries")
    finally:
        path.unlink()
    assert (answer.status_code, kind(answer)) == (409, "gallery")
    assert "gallery damaged" in answer.json()["detail"]
    document = app.client.get("/v1/openapi.json").json()
    assert "409" in document["paths"]["/v1/galleries"]["get"]["responses"]
