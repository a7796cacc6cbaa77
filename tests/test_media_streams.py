"""Addresses: a local web server and plain sockets stand in for cameras."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from media_files import level_frame, level_of, write_video

from faceset.errors import InputError, MediaError
from faceset.media import Limits, find_media, open_media
from faceset.media.addresses import shown

FRAMES = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("www")
    frames = [level_frame(i) for i in range(FRAMES)]
    write_video(folder / "a.ts", frames, codec="libx264", codec_options={"g": "10", "tune": "zerolatency"})
    write_video(folder / "a.mp4", frames, container_options={"movflags": "faststart"})
    (folder / "notes.txt").write_text("no video")
    return folder


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def web(folder: Path) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class Camera:
    """A socket that waits for one visitor and does to it what it is told; ``tcp://`` addresses it."""

    def __init__(self, serve: Callable[[socket.socket, threading.Event], None]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(10)
        self._stop = threading.Event()
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, args=(serve,))

    def _run(self, serve: Callable[[socket.socket, threading.Event], None]) -> None:
        try:
            visitor, _ = self._listener.accept()
            with visitor:
                serve(visitor, self._stop)
        except OSError:
            pass  # the visitor left

    def __enter__(self) -> Camera:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._listener.close()

    @property
    def url(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"


@pytest.mark.parametrize("file", ["a.ts", "a.mp4"])
def test_http(web: str, file: str) -> None:
    [medium] = find_media(f"http://{web}/{file}")
    assert (medium.name, medium.kind, medium.path, medium.digest) == (f"http://{web}/{file}", "stream", None, "")
    frames = list(medium.frames())
    assert [level_of(f.image) for f in frames] == list(range(FRAMES))
    assert [f.time for f in frames] == pytest.approx([i / 25 for i in range(FRAMES)])
    assert [f.index for f in medium.frames(5)] == list(range(0, FRAMES, 5))
    assert medium.report.frames_lost == 0


def send(path: Path, pause: float = 0.0) -> Callable[[socket.socket, threading.Event], None]:
    data = path.read_bytes()

    def serve(visitor: socket.socket, stop: threading.Event) -> None:
        for at in range(0, len(data), 188 * 20):
            if stop.wait(pause):
                return
            visitor.sendall(data[at : at + 188 * 20])

    return serve


def test_a_slow_live_stream(folder: Path) -> None:
    with Camera(send(folder / "a.ts", pause=0.02)) as camera:
        medium = open_media(camera.url)
        assert medium.duration is None
        frames = list(medium.frames())
    assert [level_of(f.image) for f in frames] == list(range(FRAMES))
    assert frames[0].time == 0.0
    assert frames[-1].time == pytest.approx((FRAMES - 1) / 25)


def test_joining_in_the_middle_loses_nothing_that_was_promised(folder: Path, tmp_path: Path) -> None:
    data = (folder / "a.ts").read_bytes()
    late = tmp_path / "late.ts"
    late.write_bytes(data[len(data) // 3 // 188 * 188 :])
    with Camera(send(late)) as camera:
        medium = open_media(camera.url)
        frames = list(medium.frames())
    assert 5 < len(frames) < FRAMES
    assert frames[0].time == 0.0
    assert medium.report.frames_lost == 0


def test_reading_a_live_stream_for_a_while(folder: Path) -> None:
    with Camera(send(folder / "a.ts")) as camera:
        medium = open_media(camera.url, limits=Limits(max_seconds=0.5))
        frames = list(medium.frames())
    assert frames[-1].time == pytest.approx(0.48)
    assert medium.report.notes == ("reading ended at the limit of 0.5 s",)


def test_a_source_that_says_nothing() -> None:
    with Camera(lambda _, stop: stop.wait(10) and None) as camera:
        medium = open_media(camera.url, limits=Limits(connect_seconds=0.3))
        with pytest.raises(MediaError) as caught:
            list(medium.frames())
        assert str(caught.value) == (
            f"{camera.url}: no video came within 0.3 s; check that the source is sending, or raise connect_seconds"
        )


def test_a_source_that_falls_silent(folder: Path) -> None:
    def serve(visitor: socket.socket, stop: threading.Event) -> None:
        send(folder / "a.ts")(visitor, stop)
        stop.wait(10)

    seen = []
    with Camera(serve) as camera:
        medium = open_media(camera.url, limits=Limits(read_seconds=0.4, connect_seconds=3))
        with pytest.raises(
            MediaError, match=r"the stream stopped: nothing came for 0\.4 s; check the source, or raise"
        ):
            seen.extend(f.index for f in medium.frames())
    assert medium.report.frames_sampled > FRAMES // 2


def test_leaving_a_stream_that_waits_for_the_network(folder: Path) -> None:
    def serve(visitor: socket.socket, stop: threading.Event) -> None:
        send(folder / "a.ts")(visitor, stop)
        stop.wait(10)

    with Camera(serve) as camera:
        frames = open_media(camera.url, limits=Limits(read_seconds=2, connect_seconds=3)).frames()
        next(frames)
        frames.close()  # type: ignore[attr-defined]
    until = time.monotonic() + 10
    while any(t.name.startswith("faceset-decode") for t in threading.enumerate()):
        assert time.monotonic() < until, "the decoding thread outlived its read_seconds"
        time.sleep(0.05)


def test_nobody_answers_and_secrets_stay_secret() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    medium = open_media(f"http://grace:hopper@127.0.0.1:{port}/live?token=s3cret")
    assert medium.name == f"http://127.0.0.1:{port}/live"
    with pytest.raises(MediaError) as caught:
        list(medium.frames())
    assert str(caught.value) == (
        f"http://127.0.0.1:{port}/live: cannot be opened: Connection refused; "
        "check the address, the network and the credentials"
    )
    error: BaseException | None = caught.value
    while error is not None:
        assert "hopper" not in str(error)
        error = error.__cause__ or error.__context__
    assert "hopper" not in repr(medium)


def test_an_address_without_video(web: str) -> None:
    with pytest.raises(
        MediaError, match=r"gone\.mp4: cannot be opened: Server returned 404 Not Found; check the address"
    ):
        list(open_media(f"http://{web}/gone.mp4").frames())
    with pytest.raises(MediaError, match=r"notes\.txt: "):
        list(open_media(f"http://{web}/notes.txt").frames())


def test_addresses_that_are_not_read() -> None:
    with pytest.raises(InputError, match="ftp://host/a: addresses of ftp are not read; use one of http, https, rtmp"):
        find_media("ftp://me:pw@host/a")


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("rtsp://camera/live", "rtsp://camera/live"),
        ("rtsp://me:pw@camera:554/live", "rtsp://camera:554/live"),
        ("RTSP://me:p@ss@camera/live", "rtsp://camera/live"),
        ("rtsp://me:p/ss@camera/live", "rtsp://camera/live"),
        ("rtsp://me:p?ss@camera/live", "rtsp://camera/live"),
        ("rtsp://me:p#ss@camera/live", "rtsp://camera/live"),
        ("https://host/a/b.mp4?key=1#t=3", "https://host/a/b.mp4"),
        ("https://host/a?key=1@2", "https://host/a"),
        ("https://host:8080/@grace/a.mp4", "https://host:8080/@grace/a.mp4"),
        ("http://[::1]:80/a", "http://[::1]:80/a"),
        ("tcp://host:1", "tcp://host:1"),
    ],
)
def test_what_is_shown_of_an_address(address: str, name: str) -> None:
    assert shown(address) == name
