"""The audit log: what is in it, and what is not."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from portraits import collins, varied, write
from service_app import Running, parts, running

from faceset.service.audit import AuditLog
from faceset.service.keys import KeyStore


def test_lines_are_only_appended_and_never_mix(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = AuditLog(path)
    log.write("enrol", key=None, gallery="g", person="0")
    before = path.read_bytes()

    def write_many(number: int) -> None:
        for i in range(50):
            log.write("identify", key=str(number), gallery="g", n=i)

    threads = [threading.Thread(target=write_many, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes().startswith(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    lines = list(log.read())
    assert len(lines) == 201
    for number in range(4):
        assert [one["n"] for one in lines if one["key"] == str(number)] == list(range(50))
    log.close()
    again = AuditLog(path)
    again.write("forget", key=None, gallery="g", person="0")
    again.close()
    assert len(list(again.read())) == 202


def test_an_action_that_nobody_knows_is_a_mistake(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "a")
    with pytest.raises(ValueError, match="unknown action"):
        log.write("dance", key=None, gallery="g")
    log.close()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("service")
    key = KeyStore(folder / "keys.json").create("first")
    with running(folder, headers={"authorization": f"Bearer {key}"}) as found:
        yield found


def test_everything_done_with_people_is_logged_without_their_names(app: Running, tmp_path: Path) -> None:
    query = app.gallery("audited")
    one = write(varied(collins(), 0), tmp_path / "secretfile1.png")
    two = write(varied(collins(), 1), tmp_path / "secretfile2.png")
    person = app.person("Secretname", query)
    url = f"/v1/people/{person}"
    media = app.client.post(f"{url}/media", params=query, files=parts(one)).json()["person"]["media"]
    app.client.post(f"{url}/media", params=query, files=parts(two))
    answer = app.client.post("/v1/identify", params=query, files=parts(two)).json()
    app.client.post(f"/v1/jobs/{answer['id']}/tracks/0/enroll", json={"person_id": person})
    app.client.post("/v1/verify", files=[*parts(one, name="a"), *parts(two, name="b")])
    job = app.client.post("/v1/jobs", params=query, files=parts(two), data={"kind": "identify"}).json()["id"]
    app.ended(job)
    template = app.client.get(f"{url}/template", params=query).json()
    app.client.put(f"{url}/template", params=query, json=template)
    app.client.patch(url, json={"name": "Secretother"}, params=query)
    app.client.delete(f"{url}/media/{media[0]['id']}", params=query)
    app.client.delete(url, params=query)
    path = app.service.config.data / "audit.jsonl"
    text = path.read_text()
    assert "ecret" not in text
    lines = [json.loads(line) for line in text.splitlines()]
    (number,) = {line["key"] for line in lines}
    assert number == KeyStore(app.service.config.data / "keys.json").valid()[0].id
    lines = lines[1:]  # the gallery was created
    assert [line["action"] for line in lines] == [
        *("create", "enrol", "enrol", "identify", "enrol", "verify", "identify"),
        *("read", "put-template", "rename", "remove-media", "forget"),
    ]
    assert {line["gallery"] for line in lines} == {"audited", ""}
    named = [line for line in lines if line["action"] not in ("identify", "verify")]
    assert {line["person"] for line in named} == {person}
    assert [line["people"] for line in lines if line["action"] == "identify"] == [[person], [person]]
    assert [line["job"] for line in lines if line["action"] == "identify"] == [answer["id"], job]
    assert lines[-2]["media"] == media[0]["id"]


def test_what_was_refused_is_not_logged_as_done(app: Running, tmp_path: Path) -> None:
    path = app.service.config.data / "audit.jsonl"
    before = path.read_text()
    text = tmp_path / "x.png"
    text.write_text("no picture")
    assert app.client.post("/v1/identify", files=parts(text)).status_code == 422
    assert app.client.delete(f"/v1/people/{'0' * 32}").status_code == 404
    assert path.read_text() == before
