"""What hostile and clumsy clients send: refused, logged, nothing left behind, and the next request is served."""

from __future__ import annotations

import io
import logging
import os
import signal
import socket
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from media_files import write_png
from portraits import collins, varied, write
from service_app import Running, kind, parts, running
from service_media import clip

from faceset.service import gate

LIMIT = 4 << 20


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    limits = {"max_upload": LIMIT, "stall_seconds": 0.5, "upload_seconds": 1.0, "at_once_seconds": 300.0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "_LINGER_SECONDS", 0.2)
        with running(tmp_path_factory.mktemp("service"), **limits) as found:
            yield found


@pytest.fixture(scope="module")
def portrait(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(varied(collins(), 0), tmp_path_factory.mktemp("media") / "portrait.png")


@pytest.fixture(autouse=True)
def _served_after(app: Running, portrait: Path) -> Iterator[None]:
    """After every test nothing of an upload is left, and a request is answered."""
    yield
    _soon(lambda: not any(app.service.config.temporary.iterdir()))
    assert app.client.post("/v1/identify", files=parts(portrait)).status_code == 200


def _soon(true: Callable[[], bool], seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


def _raw(app: Running, head: str, *bodies: bytes, pause: float = 0.0) -> bytes:
    """What comes back for bytes as they are, until the connection is closed; b'' when it is just cut."""
    with socket.create_connection(("127.0.0.1", app.port), timeout=30) as connection:
        try:
            connection.sendall(head.replace("\n", "\r\n").encode())
            for body in bodies:
                time.sleep(pause)
                connection.sendall(body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it was cut while we were sending
        got = b""
        try:
            while data := connection.recv(1 << 16):
                got += data
        except ConnectionResetError:
            pass
        return got


HEAD = "POST /v1/identify HTTP/1.1\nHost: 127.0.0.1\nContent-Type: multipart/form-data; boundary=x\n"


def _part(filename: bytes, data: bytes) -> bytes:
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="' + filename + b'"\r\n\r\n'
    return head + data + b"\r\n--x--\r\n"


# ------------------------------------------------------------------------------------------------------- too much


def test_ten_gigabytes_are_refused_before_they_come(app: Running) -> None:
    got = _raw(app, HEAD + "Content-Length: 10737418240\n\n")
    assert got.startswith(b"HTTP/1.1 413 ")
    assert b"urn:faceset:problem:too-large" in got
    assert b"connection: close" in got.lower()


def test_a_body_of_unknown_length_is_cut_at_the_limit(app: Running) -> None:
    chunk = b"10000\r\n" + bytes(1 << 16) + b"\r\n"
    start = b"%x\r\n" % len(_part(b"a", b"")[:-9]) + _part(b"a", b"")[:-9] + b"\r\n"
    got = _raw(app, HEAD + "Transfer-Encoding: chunked\n\n", start, *[chunk] * (LIMIT // (1 << 16) + 40))
    assert got.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "9" * 30])
def test_lengths_that_are_none(app: Running, length: str) -> None:
    got = _raw(app, HEAD + f"Content-Length: {length}\n\n")
    assert got.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 413 "))


def test_json_is_not_read_without_end(app: Running) -> None:
    head = "POST /v1/people HTTP/1.1\nHost: 127.0.0.1\nContent-Type: application/json\n"
    assert _raw(app, head + f"Content-Length: {LIMIT + 1}\n\n").startswith(b"HTTP/1.1 413 ")


def test_deep_json_is_no_fault(app: Running) -> None:
    answer = app.client.post("/v1/people", content=b"[" * 100_000, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)
    assert kind(answer)


def test_large_parts_that_are_no_files(app: Running, portrait: Path) -> None:
    many = {f"field{i}": "1" for i in range(17)}
    for fields in ({"k": "1" * (1 << 17)}, many):
        answer = app.client.post("/v1/identify", files=parts(portrait), data=fields)
        assert (answer.status_code, kind(answer)) == (400, "bad-form")


# ------------------------------------------------------------------------------------------------------- too slow


def test_a_head_that_never_ends_is_cut(app: Running) -> None:
    began = time.monotonic()
    got = _raw(app, "GET /v1/health HTTP/1.1\nHost: 127.0.0.1\n", *[b"X: y\r\n"] * 400, pause=0.02)
    assert got == b"" or got.startswith(b"HTTP/1.1 4")
    assert time.monotonic() - began < 20


def test_a_client_that_says_nothing_is_cut(app: Running) -> None:
    with socket.create_connection(("127.0.0.1", app.port), timeout=20) as connection:
        assert connection.recv(1) == b""


def test_a_body_that_stops_is_answered(app: Running) -> None:
    got = _raw(app, HEAD + "Content-Length: 100000\n\n", _part(b"a", b"x")[:60])
    assert got.startswith(b"HTTP/1.1 408 ")
    assert b"urn:faceset:problem:too-slow" in got


def test_a_body_that_dribbles_is_answered(app: Running) -> None:
    got = _raw(app, HEAD + "Content-Length: 100000\n\n", _part(b"a", b"x")[:60], *[b"x"] * 200, pause=0.05)
    assert got.startswith(b"HTTP/1.1 408 ") or got == b""


@pytest.mark.parametrize("header", ["Authorization: Bearer x", "Host: evil.example", "Origin: http://evil.example"])
def test_who_is_not_let_in_is_not_listened_to(app: Running, header: str) -> None:
    host = "" if header.startswith("Host") else "Host: 127.0.0.1\n"
    got = _raw(app, f"GET /v1/nothing HTTP/1.1\n{host}{header}\nContent-Length: 100000\n\n", b"x")
    assert got.startswith(b"HTTP/1.1 4")
    assert b"connection: close" in got.lower()


def test_a_client_that_leaves_in_the_middle(app: Running, portrait: Path) -> None:
    data = _part(b"a.png", portrait.read_bytes())
    head = (HEAD + f"Content-Length: {len(data)}\n\n").replace("\n", "\r\n").encode()
    for sent in (head + data[: len(data) // 2], head + data):  # half the body; all of it, and no wait for the answer
        with socket.create_connection(("127.0.0.1", app.port)) as connection:
            connection.sendall(sent)
    _soon(lambda: app.service.recognising.waiting == 0)


# ------------------------------------------------------------------------------------------------------- bad files


def _zip_bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0", bytes(200 << 20))
    return buffer.getvalue()


def test_a_zip_bomb_named_png(app: Running) -> None:
    answer = app.client.post("/v1/identify", files=[("files", ("a.png", _zip_bomb()))])
    assert (answer.status_code, kind(answer)) == (422, "media")


def test_a_picture_that_would_fill_the_memory(app: Running, tmp_path: Path) -> None:
    path = write_png(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8), size=(60_000, 60_000))
    answer = app.client.post("/v1/identify", files=parts(path))
    assert (answer.status_code, kind(answer)) == (413, "media-limit")


def test_a_video_that_is_cut_off(app: Running, tmp_path: Path) -> None:
    data = clip(tmp_path / "a.mp4").read_bytes()
    answer = app.client.post("/v1/identify", files=[("files", ("a.mp4", data[: len(data) // 2]))])
    assert (answer.status_code, kind(answer)) == (422, "media")
    picture = app.client.post("/v1/identify", files=[("files", ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(100)))])
    assert (picture.status_code, kind(picture)) == (422, "media")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        ("C:\\windows\\x.png", "x.png"),
        ("..", ".."),
        ("x" * 3000 + ".png", "x" * 200),
        ("<script>alert(1)</script>.png", "script>.png"),
        ("na\u202eme.png", "name.png"),
        ("é😀.png", "é😀.png"),
    ],
)
def test_a_path_in_a_file_name_is_only_a_name(app: Running, portrait: Path, name: str, shown: str) -> None:
    before = set(app.service.config.data.rglob("*"))
    answer = app.client.post("/v1/identify", files=[("files", (name, portrait.read_bytes()))])
    assert answer.status_code == 200, answer.text
    assert answer.json()["matches"][0]["media"] == shown
    assert set(app.service.config.data.rglob("*")) == before


@pytest.mark.parametrize("name", [b"a\x00b.png", b"../\x00/etc", b"\xff\xfe.png", b"a\x1b[31m.png"])
def test_bytes_in_a_file_name_that_are_no_text(app: Running, portrait: Path, name: bytes) -> None:
    data = _part(name, portrait.read_bytes())
    got = _raw(app, HEAD + f"Connection: close\nContent-Length: {len(data)}\n\n", data)
    assert got.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 400 "))
    assert b"\\u0000" not in got
    assert b"\\u001b" not in got


def test_a_decoder_that_dies(app: Running, tmp_path: Path, portrait: Path) -> None:
    video = clip(tmp_path / "a.mp4", frames=600)
    got = []
    thread = threading.Thread(target=lambda: got.append(app.client.post("/v1/identify", files=parts(video))))
    thread.start()
    _soon(lambda: bool(app.uploads()) and app.service.recognising.waiting == 0)
    time.sleep(0.3)
    pid = app.service.recognising.worker_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    thread.join(60)
    (answer,) = got
    assert (answer.status_code, kind(answer)) == (422, "media"), answer.text
    assert "the decoder died on it" in answer.json()["detail"]
    assert app.client.post("/v1/identify", files=parts(portrait)).status_code == 200
    assert app.service.recognising.worker_pid != pid


# ---------------------------------------------------------------------------------------------------- other sites


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1:80", "", "localhost.evil"])
def test_another_host_name_is_not_answered(app: Running, host: str) -> None:
    answer = app.client.get("/v1/people", headers={"host": host})
    assert (answer.status_code, kind(answer)) == (421, "wrong-host")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:99", "[::1]:80", "LOCALHOST:1"])
def test_this_machines_names_are_answered(app: Running, host: str) -> None:
    assert app.client.get("/v1/people", headers={"host": host}).status_code == 200


def test_pages_of_other_sites_are_refused(app: Running) -> None:
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1", "file://", "http://[evil"):
        for path in ("/v1/people", "/v1/health", "/"):
            answer = app.client.get(path, headers={"origin": origin})
            assert (answer.status_code, kind(answer)) == (403, "wrong-origin"), (origin, path)
    own = app.url.rstrip("/")
    assert app.client.get("/v1/people", headers={"origin": own}).status_code == 200


def test_there_are_no_cors_headers(app: Running) -> None:
    asked = {"access-control-request-method": "DELETE", "origin": "http://evil.example"}
    answers = [
        app.client.options("/v1/people", headers=asked),
        app.client.options("/v1/people"),
        app.client.get("/v1/people"),
        app.client.get("/"),
    ]
    assert [answer.status_code for answer in answers] == [403, 405, 200, 200]
    assert not [name for answer in answers for name in answer.headers if name.startswith("access-control")]


def test_security_headers_are_everywhere(app: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> list[str]:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr(app.service.galleries, "names", fail)
    fault = app.client.get("/v1/galleries")
    monkeypatch.undo()
    assert (fault.status_code, kind(fault)) == (500, "fault")
    assert "secret" not in fault.text
    answers = [
        fault,
        app.client.get("/"),
        app.client.get("/v1/people"),
        app.client.get("/nothing"),
        app.client.get("/v1/people", headers={"host": "evil.example"}),
        app.client.post("/v1/identify", content=bytes(LIMIT + 1)),
    ]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "server" not in answer.headers
    assert app.client.get("/v1/people").headers["cache-control"] == "no-store"


def test_refusals_are_logged_without_what_was_sent(app: Running, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="faceset.service"):
        app.client.post("/v1/identify", files=[("files", ("secretname.png", b"x"))])
        app.client.get("/v1/people/secretpath")
        app.client.get("/v1/people", headers={"host": "secrethost"})
        app.client.post("/v1/people", json={"name": "secret\x07person"})
    said = [record.getMessage() for record in caplog.records]
    assert [text.rsplit(": ", 1)[1] for text in said] == [
        "422 media",
        "422 invalid-request",
        "421 wrong-host",
        "422 input",
    ]
    assert not [text for text in said if "secret" in text]


def test_an_address_in_the_log_is_one(app: Running, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="faceset.service"):
        for claimed in ("192.0.2.7", "nobody: 200 OK secret", "x" * 5000):
            app.client.get("/v1/nothing", headers={"x-forwarded-for": claimed})
    said = [record.getMessage().split(" from ")[1].split(": ")[0] for record in caplog.records]
    assert said == ["192.0.2.7", "somewhere", "somewhere"]


def test_methods_that_strangers_make_up_are_counted_as_one(app: Running, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(20):
        assert app.client.request(f"MADEUP{number}", "/v1/people", headers={"host": "evil"}).status_code == 421
    counted = app.client.get("/metrics").text
    assert "MADEUP" not in counted + caplog.text
    assert 'faceset_requests_total{method="other",route="other",status="421"} 20.0' in counted


def test_files_are_for_their_owner_alone(app: Running) -> None:
    data = app.service.config.data
    found = [path for path in (data, *data.iterdir()) if path.stat().st_mode & 0o077]
    assert not found  # what lies in the folder of galleries is guarded by the folder
