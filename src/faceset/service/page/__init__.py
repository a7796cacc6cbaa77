"""The web page, served at ``/``: files of this folder, and no others."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources

from fastapi import FastAPI, Request
from starlette.responses import Response

from faceset.service.problems import Problem

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_START = "index.html"


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file of the page.

    Attributes:
        content: the bytes.
        media_type: what they are.
        etag: changes with them.
    """

    content: bytes
    media_type: str
    etag: str

    def answer(self, request: Request) -> Response:
        """The file, or 304 where the browser has it already. It is asked for each time, so updates are seen at once."""
        headers = {"etag": self.etag, "cache-control": "no-cache"}
        known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
        if self.etag in known or "*" in known:
            return Response(status_code=304, headers=headers)
        if request.method == "HEAD":
            headers["content-length"] = str(len(self.content))
            return Response(media_type=self.media_type, headers=headers)
        return Response(self.content, media_type=self.media_type, headers=headers)


def files() -> dict[str, PageFile]:
    """Every file of the page by its name, read now: what a request names is only ever looked up here."""
    found = {}
    for entry in resources.files(__name__).iterdir():
        media_type = _TYPES.get("." + entry.name.rsplit(".", 1)[-1])
        if media_type is not None and entry.is_file():
            content = entry.read_bytes()
            found[entry.name] = PageFile(content, media_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
    return found


def add(app: FastAPI) -> None:
    """Serve the page at ``/`` and its files under ``/page/``."""
    known = files()

    async def start(request: Request) -> Response:
        return known[_START].answer(request)

    async def file(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in known:
            raise Problem(404, f"the page has no file {name[:100]!r}; open the page itself at /", kind="unknown-file")
        return known[name].answer(request)

    app.add_route("/", start, ["GET", "HEAD"], include_in_schema=False)
    app.add_route("/page/{name}", file, ["GET", "HEAD"], include_in_schema=False)
