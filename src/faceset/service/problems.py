"""Errors as problem documents (RFC 9457), in the library's own words."""

from __future__ import annotations

import ipaddress
import logging
import os
import re
from http import HTTPStatus
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import Scope

from faceset import errors
from faceset.media.names import readable

log = logging.getLogger("faceset.service")

MEDIA_TYPE = "application/problem+json"

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_STATUS: tuple[tuple[type[Exception], int], ...] = (
    # The first that fits counts, so a subclass comes before its base.
    (errors.EmptySetError, 422),
    (errors.ThresholdError, 409),
    (errors.InputError, 422),
    (errors.MediaLimitError, 413),
    (errors.MediaError, 422),
    (errors.NoFaceError, 422),
    (errors.ManyPeopleError, 422),
    (errors.EmbedderMismatchError, 409),
    (errors.LicenceError, 403),
    (errors.ModelError, 503),
    (errors.TemplateFileError, 422),
    (errors.UnknownPersonError, 404),
    (errors.DuplicateMediaError, 409),
    (errors.GalleryError, 409),
    (errors.MissingExtraError, 501),
    (errors.FacesetError, 422),
)


class Problem(HTTPException):
    """An answer that is no success.

    It is an ``HTTPException`` so that what reads a request body for us lets it pass.

    Args:
        status: HTTP status.
        detail: what happened, why, and what to do, for people.
        kind: short name of the kind of problem, such as ``queue-full``; with it programs tell problems apart.
        headers: further headers of the answer.
        more: further members of the document.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        kind: str = "about:blank",
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.kind, self.more = kind, more

    def response(self) -> JSONResponse:
        """The problem document."""
        body = {
            "type": self.kind if self.kind == "about:blank" else f"urn:faceset:problem:{self.kind}",
            "title": HTTPStatus(self.status_code).phrase,
            "status": self.status_code,
            "detail": readable(self.detail),
            **self.more,
        }
        return JSONResponse(body, self.status_code, self.headers, MEDIA_TYPE)


def problem_of(error: errors.FacesetError, data: Path | None = None) -> Problem:
    """The problem that one of the library's errors is; ``data``: folder whose path its text must not tell."""
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    name = type(error).__name__.removesuffix("Error")
    words = "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")
    return Problem(status, str(error) if data is None else without_paths(str(error), data), kind=words)


def without_paths(text: str, data: Path) -> str:
    """``text`` with galleries by their names, and without the path of the service's folder.

    >>> without_paths("/srv/f/galleries/staff.db: nobody named 'Grace' is enrolled", Path("/srv/f"))
    "gallery staff: nobody named 'Grace' is enrolled"
    """
    galleries = re.escape(str(data / "galleries"))
    text = re.sub(rf"{galleries}[/\\]([a-z0-9_-]+)\.db", r"gallery \1", text)
    text = text.replace("the gallery gallery ", "the gallery ")
    return text.replace(f"{data}{os.sep}", "") if data.parts else text


def method_of(scope: Scope) -> str:
    """The method of a request, as it is counted and logged: one that somebody made up could be any text."""
    method = str(scope["method"])
    return method if method in _METHODS else "other"


def _address(host: str) -> str:
    """The address of a client; a proxy's word for it, which may be the client's own, could be any text."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return "somewhere"


def refused(scope: Scope, problem: Problem) -> None:
    """Log a request that was turned away: what it was and why, but nothing that it said."""
    client = scope.get("client")
    log.warning(
        "%s %s from %s: %d %s",
        method_of(scope),
        getattr(scope.get("route"), "path", "(no call)"),
        _address(client[0]) if client else "somewhere",
        problem.status_code,
        problem.kind,
    )
