"""The application: what the service holds, and how requests reach it."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from faceset import __version__
from faceset.errors import FacesetError, InputError
from faceset.gallery import sealing
from faceset.gallery.folder import GalleryFolder
from faceset.service.audit import AuditLog
from faceset.service.bodies import Bodies
from faceset.service.config import ServiceConfig
from faceset.service.gate import Gate
from faceset.service.jobs import Jobs
from faceset.service.keys import KeyStore
from faceset.service.meters import Meters
from faceset.service.problems import Problem, problem_of, refused
from faceset.service.recognising import Recognising

DEFAULT_GALLERY = "default"
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, slots=True)
class Service:
    """What every request may use; at ``request.app.state.service``."""

    config: ServiceConfig
    keys: KeyStore
    audit: AuditLog
    meters: Meters
    galleries: GalleryFolder
    recognising: Recognising
    jobs: Jobs


def create_app(config: ServiceConfig) -> FastAPI:
    """The application; its models are loaded, and its folder is made, when it starts.

    Raises:
        InputError: it would be reachable from elsewhere and has no key; or what FACESET_KEY holds is none.
        MissingExtraError: FACESET_KEY is set and the package that encrypts is not installed.
    """
    keys = KeyStore(config.data / "keys.json")
    if not config.local and not keys.valid():
        raise InputError(
            f"refusing to listen on {config.host} without an API key: anybody who reaches it could enrol and identify "
            f"people; make one first with `faceset keys create NAME --data {config.data}`, or listen on 127.0.0.1"
        )
    secret = sealing.current_key()
    meters = Meters()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with _running(config, keys, meters, secret) as service:
            app.state.service = service
            yield

    app = FastAPI(
        title="faceset",
        version=__version__,
        summary="Verify and identify people from face videos and picture sets.",
        openapi_url="/v1/openapi.json",
        docs_url=None,  # both pages would load scripts from elsewhere
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
        lifespan=lifespan,
    )
    from faceset.service import page, routes

    routes.add(app)
    page.add(app)
    app.add_exception_handler(FacesetError, _answer)
    app.add_exception_handler(HTTPException, _answer)
    app.add_exception_handler(RequestValidationError, _answer)
    # The last one added is met first.
    app.add_middleware(Bodies, config=config, meters=meters)
    app.add_middleware(Gate, config=config, keys=keys, meters=meters)
    return app


@contextlib.asynccontextmanager
async def _running(
    config: ServiceConfig, keys: KeyStore, meters: Meters, secret: bytes | None
) -> AsyncIterator[Service]:
    config.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    shutil.rmtree(config.temporary, ignore_errors=True)  # what a service that was killed left behind
    config.temporary.mkdir(mode=0o700)
    async with contextlib.AsyncExitStack() as stack:
        galleries = GalleryFolder(config.data / "galleries")
        stack.callback(galleries.close)
        if not galleries.names():
            galleries.create(DEFAULT_GALLERY)
        audit = AuditLog(config.data / "audit.jsonl")
        stack.callback(audit.close)
        recognising = await stack.enter_async_context(Recognising(config, meters))
        jobs = await stack.enter_async_context(Jobs(config.data / "jobs.db", config, recognising, key=secret))
        meters.watch("faceset_queue", "Requests that wait for the recogniser.", lambda: recognising.waiting)
        meters.watch("faceset_jobs_unfinished", "Jobs queued or running.", lambda: jobs.unfinished)
        yield Service(config, keys, audit, meters, galleries, recognising, jobs)
    shutil.rmtree(config.temporary, ignore_errors=True)


async def _answer(request: Request, error: Exception) -> Response:
    """Every error that somebody else is to blame for, as a problem document."""
    problem = _problem(request, error)
    refused(request.scope, problem)
    return problem.response()


def _problem(request: Request, error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, FacesetError):
        return problem_of(error, request.app.state.service.config.data)
    if isinstance(error, RequestValidationError):
        return Problem(422, "; ".join(map(_said, error.errors()[:20])), kind="invalid-request")
    if isinstance(error, HTTPException):
        return _routing(request, error)
    raise error


def _routing(request: Request, error: HTTPException) -> Problem:
    """What no call is there for."""
    path = request.url.path[:100]
    if error.status_code == 404:
        return Problem(404, f"there is nothing at {path!r}; /v1/openapi.json lists all calls", kind="unknown-path")
    if error.status_code == 405:
        allow = ", ".join(method for method in _METHODS if _is_there(request, method))
        detail = f"{request.method} is not possible at {path!r}; possible: {allow}"
        return Problem(405, detail, kind="wrong-method", headers={"allow": allow})
    return Problem(error.status_code, str(error.detail), kind="invalid-request", headers=dict(error.headers or {}))


def _is_there(request: Request, method: str) -> bool:
    scope = {"type": "http", "method": method, "path": request.scope["path"], "root_path": "", "headers": []}
    return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)


def _said(error: dict[str, Any]) -> str:
    where = ".".join(str(part) for part in error["loc"])
    return f"{where}: {error['msg']}"
