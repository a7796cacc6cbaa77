"""Identify and verify over the HTTP API: what the library answers, with faces and ids."""

from __future__ import annotations

import base64
import io
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from service_app import Running, enrolled, kind, parts

import faceset
from faceset.gallery import Gallery


def test_identify_is_the_librarys_answer(app: Running, query: dict[str, str], media_dir: Path, tmp_path: Path) -> None:
    eileen = enrolled(app, query, "Eileen", media_dir / "collins0.png", media_dir / "collins1.png")
    grace = enrolled(app, query, "Grace", media_dir / "hopper.png")
    answer = app.client.post("/v1/identify", params=query, files=parts(media_dir / "both.mp4"), data={"k": "1"})
    assert answer.status_code == 200, answer.text
    matches = answer.json()["matches"]
    assert {(m["name"], m["person_id"]) for m in matches} == {("Eileen", eileen), ("Grace", grace)}
    recognizer = faceset.Recognizer(keep_crops=True)
    with Gallery(tmp_path / "g.db") as gallery:
        for name in ("collins0.png", "collins1.png"):
            recognizer.enroll(gallery, "Eileen", media_dir / name)
        recognizer.enroll(gallery, "Grace", media_dir / "hopper.png")
        expected = list(recognizer.identify(gallery, media_dir / "both.mp4", k=1))
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


def test_thumbnails_show_the_faces(app: Running, media_dir: Path) -> None:
    answer = app.client.post("/v1/identify", files=parts(media_dir / "collins0.png")).json()
    (face,) = answer["matches"][0]["faces"]
    head, _, data = face["thumbnail"].partition(",")
    assert head == "data:image/jpeg;base64"
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert picture.format == "JPEG"
    assert max(picture.size) == 96
    want = next(iter(faceset.Recognizer(keep_crops=True).face_sets(media_dir / "collins0.png"))).faces[0].crop
    near = np.asarray(Image.fromarray(want).resize(picture.size, Image.Resampling.BOX), float)
    assert np.abs(np.asarray(picture, float) - near).mean() < 8


def test_a_track_that_was_found_can_be_enrolled(app: Running, query: dict[str, str], media_dir: Path) -> None:
    answer = app.client.post("/v1/identify", params=query, files=parts(media_dir / "both.mp4")).json()
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
    found = app.client.post("/v1/identify", params=query, files=parts(media_dir / "both.mp4")).json()
    assert [m["person_id"] for m in found["matches"]] == [p["id"] for p in made]
    none = app.client.post(f"/v1/jobs/{answer['id']}/tracks/7/enroll", json={"name": "x"})
    assert (none.status_code, kind(none)) == (404, "track-gone")
    both_given = app.client.post(f"/v1/jobs/{answer['id']}/tracks/0/enroll", json={"name": "x", "person_id": "0" * 32})
    assert (both_given.status_code, kind(both_given)) == (422, "input")


def test_verify_is_the_librarys_answer(app: Running, media_dir: Path, tmp_path: Path) -> None:
    one, two = [media_dir / "collins0.png", media_dir / "collins1.png"], [media_dir / "collins.mp4"]
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
    other = app.client.post("/v1/verify", files=[*parts(*one, name="a"), *parts(media_dir / "hopper.png", name="b")])
    assert other.json()["same"] is False


def test_clients_at_once_get_their_own_answers(app: Running, query: dict[str, str], media_dir: Path) -> None:
    enrolled(app, query, "Eileen", media_dir / "collins0.png")
    enrolled(app, query, "Grace", media_dir / "hopper.png")
    answers: dict[int, str | None] = {}

    def ask(number: int) -> None:
        name = "collins1.png" if number % 2 else "hopper.png"
        got = app.client.post("/v1/identify", params=query, files=parts(media_dir / name))
        answers[number] = got.json()["matches"][0]["name"] if got.status_code == 200 else got.text

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {n: "Eileen" if n % 2 else "Grace" for n in range(8)}
