"""A small client of the service, and what it is for: enrol people from videos, then look for them in another.

    faceset serve --data people/
    python examples/service_client.py http://127.0.0.1:8000/ videos/ party.mp4

``videos/`` holds one folder for each person; an API key, where one is needed, is read from FACESET_API_KEY.
Needs httpx.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

Answer = dict[str, Any]


class ServiceError(Exception):
    """The service said no; the text says why.

    Attributes:
        kind: for programs, such as ``no-face``.
        status: of HTTP.
    """

    def __init__(self, problem: Answer) -> None:
        super().__init__(problem["detail"])
        self.kind = str(problem["type"]).removeprefix("urn:faceset:problem:")
        self.status = int(problem["status"])


class Client:
    """Talks to one gallery of a service."""

    def __init__(self, url: str, *, key: str | None = None, gallery: str = "default") -> None:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(base_url=url, headers=headers, params={"gallery": gallery}, timeout=600)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def people(self) -> Iterator[Answer]:
        """Everybody who is enrolled, by name."""
        offset, total = 0, 1
        while offset < total:
            page = self._call("GET", "/v1/people", params={"offset": offset, "limit": 1000})
            yield from page["people"]
            offset, total = offset + 1000, page["total"]

    def create(self, name: str) -> str:
        """A new person; their id."""
        return str(self._call("POST", "/v1/people", json={"name": name})["id"])

    def enrol(self, person_id: str, files: Sequence[Path]) -> Answer:
        """Add pictures and videos to a person; waits for long ones. What it did stands under ``report``."""
        return self._finished(self._send(f"/v1/people/{person_id}/media", {"files": files}))

    def forget(self, person_id: str) -> None:
        """Remove everything held of a person."""
        self._call("DELETE", f"/v1/people/{person_id}")

    def verify(self, a: Sequence[Path], b: Sequence[Path]) -> Answer:
        """Whether both show the same person."""
        return self._call_with("/v1/verify", {"a": a, "b": b})

    def identify(self, files: Sequence[Path], *, k: int = 5) -> Answer:
        """Who is in pictures or a video of any length."""
        return self._finished(self._send("/v1/jobs", {"files": files}, {"kind": "identify", "k": str(k)}))

    def enrol_track(self, answer_id: str, track: int, name: str) -> Answer:
        """Enrol somebody whom :meth:`identify` found."""
        return self._call("POST", f"/v1/jobs/{answer_id}/tracks/{track}/enroll", json={"name": name})

    def events(self, job_id: str) -> Iterator[tuple[str, Answer]]:
        """What happens to a job until it has ended."""
        with self._http.stream("GET", f"/v1/jobs/{job_id}/events") as stream:
            if stream.is_error:
                stream.read()
            _check(stream)
            name = ""
            for line in stream.iter_lines():
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    yield name, json.loads(line.removeprefix("data: "))

    def _finished(self, answer: httpx.Response) -> Answer:
        """The answer itself, or the result of the job that it is."""
        found: Answer = answer.json()
        if answer.status_code != 202:
            return found
        for _, job in self.events(found["id"]):
            found = job
        if found["state"] != "done":
            raise ServiceError(found["error"] or {"type": "cancelled", "status": 409, "detail": "it was cancelled"})
        result: Answer = found["result"]
        return result

    def _call_with(self, path: str, files: dict[str, Sequence[Path]]) -> Answer:
        answer: Answer = self._send(path, files).json()
        return answer

    def _send(
        self, path: str, files: dict[str, Sequence[Path]], fields: dict[str, str] | None = None
    ) -> httpx.Response:
        """Send files; when too many wait already, try again as soon as the service says."""
        while True:
            with ExitStack() as stack:
                parts = [(n, (p.name, stack.enter_context(p.open("rb")))) for n, ps in files.items() for p in ps]
                answer = self._http.post(path, files=parts, data=fields)
            if answer.status_code != 429:
                _check(answer)
                return answer
            time.sleep(float(answer.headers.get("retry-after", "1")))

    def _call(self, method: str, path: str, **more: Any) -> Answer:
        answer = self._http.request(method, path, **more)
        _check(answer)
        found: Answer = answer.json() if answer.content else {}
        return found


def _check(answer: httpx.Response) -> None:
    if answer.is_error:
        raise ServiceError(answer.json())


def main(arguments: Sequence[str]) -> int:
    """Enrol every folder of the second argument, then say who is in the third."""
    if len(arguments) != 3:
        print("usage: service_client.py URL FOLDER VIDEO", file=sys.stderr)
        return 2
    url, folder, video = arguments
    with Client(url, key=os.environ.get("FACESET_API_KEY")) as client:
        known = {person["name"]: person["id"] for person in client.people()}
        for one in sorted(path for path in Path(folder).iterdir() if path.is_dir()):
            person = known.get(one.name) or client.create(one.name)
            report = client.enrol(person, sorted(path for path in one.iterdir() if path.is_file()))["report"]
            print(f"{one.name}: {len(report['added'])} added, {len(report['already'])} known, {report['refused']}")
        for match in client.identify([Path(video)])["matches"]:
            name = match["name"] or "somebody unknown"
            score = "-" if match["score"] is None else f"{match['score']:.3f}"
            print(f"{match['start']:7.2f}-{match['end']:.2f} s  {name}  (score {score}, {match['face_count']} faces)")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
