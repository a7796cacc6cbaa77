"""The real service, running on a free port of this machine with its data in a temporary folder."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from faceset.service.app import Service
from faceset.service.config import ServiceConfig
from faceset.service.running import listen, make_server, url_of

START_SECONDS = 120.0


@dataclass(frozen=True)
class Running:
    """A service that takes requests.

    Attributes:
        url: where, with a slash at the end.
        service: what its requests may use.
        client: talks to it.
    """

    url: str
    service: Service
    client: httpx.Client

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1].strip("/"))

    def uploads(self) -> list[Path]:
        """Files of uploads that are still there."""
        return [path for path in self.service.config.temporary.rglob("*") if path.is_file()]

    def gallery(self, name: str) -> dict[str, str]:
        """A new gallery, as the query that chooses it."""
        assert self.client.post("/v1/galleries", json={"name": name}).status_code == 201
        return {"gallery": name}

    def person(self, name: str, query: dict[str, str]) -> str:
        """A new person; their id."""
        made = self.client.post("/v1/people", json={"name": name}, params=query)
        assert made.status_code == 201, made.text
        return str(made.json()["id"])

    def ended(self, job: str, seconds: float = 60.0) -> dict[str, Any]:
        """The job, once it has ended."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found: dict[str, Any] = self.client.get(f"/v1/jobs/{job}").json()
            if found["state"] not in ("queued", "running"):
                return found
            time.sleep(0.05)
        raise AssertionError(f"job {job} did not end")


@contextmanager
def running(folder: Path, *, headers: dict[str, str] | None = None, **settings: Any) -> Iterator[Running]:
    """The service with its data in ``folder``, until the end of the ``with`` block."""
    config = ServiceConfig(data=folder, port=0, **settings)
    server = make_server(config)
    listening = listen(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="service")
    thread.start()
    try:
        until = time.monotonic() + START_SECONDS
        while not server.started:
            assert thread.is_alive(), "the service did not start"
            assert time.monotonic() < until
            time.sleep(0.02)
        url = url_of(config, listening)
        with httpx.Client(base_url=url, headers=headers, timeout=120, trust_env=False) as client:
            yield Running(url, server.config.app.state.service, client)  # type: ignore[union-attr]
    finally:
        server.should_exit = True
        thread.join(60)
        listening.close()


def parts(*files: Path, name: str = "files") -> list[tuple[str, tuple[str, bytes]]]:
    """Files as the parts of a form."""
    return [(name, (path.name, path.read_bytes())) for path in files]


def kind(answer: httpx.Response) -> str:
    """Kind of the problem that an answer is."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body = answer.json()
    assert body["status"] == answer.status_code
    assert {"type", "title", "status", "detail"} <= set(body)
    return str(body["type"]).removeprefix("urn:faceset:problem:")


def enrolled(app: Running, query: dict[str, str], name: str, *files: Path) -> str:
    """A new person, enrolled from files; their id."""
    person = app.person(name, query)
    answer = app.client.post(f"/v1/people/{person}/media", params=query, files=parts(*files))
    assert answer.status_code == 201, answer.text
    return person
