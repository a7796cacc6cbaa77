"""People and their media over the HTTP API."""

from __future__ import annotations

from pathlib import Path

import pytest
from service_app import Running, enrolled, kind, parts


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


def test_media_are_added_listed_and_removed(app: Running, query: dict[str, str], media_dir: Path) -> None:
    person = app.person("Eileen", query)
    url = f"/v1/people/{person}/media"
    files = [media_dir / "collins0.png", media_dir / "collins.mp4", media_dir / "text.png", media_dir / "black.png"]
    answer = app.client.post(url, params=query, files=parts(*files))
    assert answer.status_code == 201, answer.text
    report = answer.json()["report"]
    assert report["added"] == ["collins0.png", "collins.mp4"]
    assert sorted(sentence.partition(":")[0] for sentence in report["refused"]) == ["black.png", "text.png"]
    media = app.client.get(url, params=query).json()["media"]
    assert [(m["name"], m["kind"]) for m in media] == [("collins0.png", "still"), ("collins.mp4", "video")]
    assert answer.json()["person"]["media"] == media
    again = app.client.post(url, params=query, files=parts(media_dir / "collins0.png"))
    assert again.json()["report"]["already"] == ["collins0.png"]
    assert app.client.delete(f"{url}/{media[0]['id']}", params=query).status_code == 204
    assert [m["name"] for m in app.client.get(url, params=query).json()["media"]] == ["collins.mp4"]
    gone = app.client.delete(f"{url}/{media[0]['id']}", params=query)
    assert (gone.status_code, kind(gone)) == (404, "unknown-medium")
    last = app.client.delete(f"{url}/{media[1]['id']}", params=query)
    assert (last.status_code, kind(last)) == (409, "gallery")
    assert not app.uploads()


def test_what_cannot_be_enrolled_is_said(app: Running, query: dict[str, str], media_dir: Path) -> None:
    person = app.person("Eileen", query)
    url = f"/v1/people/{person}/media"
    for name, status, problem in [
        ("black.png", 422, "no-face"),
        ("both.png", 422, "many-people"),
        ("text.png", 422, "media"),
    ]:
        answer = app.client.post(url, params=query, files=parts(media_dir / name))
        assert (answer.status_code, kind(answer)) == (status, problem), answer.text
        assert name in answer.json()["detail"]
    enrolled(app, query, "Other", media_dir / "collins0.png")
    taken = app.client.post(url, params=query, files=parts(media_dir / "collins0.png"))
    assert (taken.status_code, kind(taken)) == (409, "duplicate-media")
    assert not app.uploads()


def test_a_newcomer_who_resembles_somebody(app: Running, query: dict[str, str], media_dir: Path) -> None:
    first = enrolled(app, query, "Eileen", media_dir / "collins0.png")
    person = app.person("Newcomer", query)
    answer = app.client.post(f"/v1/people/{person}/media", params=query, files=parts(media_dir / "collins1.png"))
    (alike,) = answer.json()["report"]["looks_like"]
    assert (alike["name"], alike["person_id"]) == ("Eileen", first)
