"""What the calls share: the gallery they are about, what they may answer, and the parts of a form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from anyio import to_thread
from fastapi import Depends, Header, Path, Query, Request
from starlette.responses import JSONResponse

from faceset.gallery import Gallery
from faceset.service import schemas
from faceset.service.app import DEFAULT_GALLERY, Service
from faceset.service.gate import key_of
from faceset.service.jobs import Job
from faceset.service.problems import MEDIA_TYPE, Problem
from faceset.service.receiving import Received
from faceset.service.uploads import Uploads
from faceset.service.working import Noted

T = TypeVar("T")

Responses = dict[int | str, dict[str, Any]]

_PROBLEMS = {
    400: "The request cannot be read.",
    401: "A key is needed, or the one given is not valid.",
    403: "The request comes from a page of another site.",
    404: "There is none, or not any more.",
    408: "The request did not arrive in time.",
    409: "It contradicts what is held.",
    413: "Too large or too long.",
    415: "Not the type of body that is taken here.",
    421: "The service answers to another host name.",
    422: "It was understood, but cannot be used; the detail says why.",
    429: "Too much waits already; `Retry-After` says when to try again.",
    503: "Not now; try again later.",
    507: "The disk of the server is full.",
}
_ALWAYS = (401, 403, 421, 503)
BODY = (400, 408, 413, 415, 422)
"""What a call with a body may answer."""
WORK = (*BODY, 429, 507)
"""What a call with files may answer."""


def answers(*statuses: int, **more: dict[str, Any]) -> Responses:
    """The problem documents that a call may answer with, for its documentation."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    wanted = sorted({*_ALWAYS, *statuses})
    made: Responses = {n: {"description": _PROBLEMS[n], "content": {MEDIA_TYPE: schema}} for n in wanted}
    if 429 in made:
        retry = {"description": "Seconds.", "schema": {"type": "integer"}}
        made[429]["headers"] = {"Retry-After": retry}
    return made


def accepted() -> Responses:
    """That the work goes on as a job."""
    return {
        202: {
            "description": "The work goes on as a job.",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Job"}}},
            "headers": {"Location": {"description": "Address of the job.", "schema": {"type": "string"}}},
        }
    }


def form(
    files: dict[str, str], fields: dict[str, dict[str, Any]] | None = None, *, required: list[str]
) -> dict[str, Any]:
    """The body of a call with files, for its documentation.

    Args:
        files: name and description of each part that may be there several times.
        fields: schema of each other part.
        required: names of the parts that must be there.
    """
    several = {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}}
    properties: dict[str, Any] = {name: {**several, "description": text} for name, text in files.items()}
    schema = {"type": "object", "properties": {**properties, **(fields or {})}, "required": required}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


def service_of(request: Request) -> Service:
    """What the request may use."""
    service: Service = request.app.state.service
    return service


ServiceHere = Annotated[Service, Depends(service_of)]

GalleryName = Annotated[str, Query(pattern=schemas.GALLERY, description="Which gallery.", examples=[DEFAULT_GALLERY])]
PersonId = Annotated[str, Path(pattern=schemas.PERSON_ID, description="Opaque id of a person.")]
MediaId = Annotated[str, Path(pattern=schemas.PERSON_ID, description="Opaque id of a medium.")]
JobId = Annotated[str, Path(pattern=schemas.JOB_ID, description="Opaque id of a job, or of an answer.")]
Prefer = Annotated[
    str | None, Header(description="`respond-async`: do not wait, answer 202 with a job.", examples=["respond-async"])
]

K_FIELD: dict[str, Any] = {
    "type": "integer",
    "minimum": 1,
    "maximum": 100,
    "default": 5,
    "description": "Candidates listed of each match.",
}


async def in_thread(call: Callable[..., T], *values: Any, **named: Any) -> T:
    """A call that waits for the disk, or computes, kept off the event loop."""
    return await to_thread.run_sync(lambda: call(*values, **named))


async def open_gallery(service: ServiceHere, gallery: GalleryName = DEFAULT_GALLERY) -> Opened:
    """The gallery a request is about.

    Raises:
        Problem: 404, there is none of that name.
    """
    return Opened(gallery, await in_thread(find_gallery, service, gallery))


def find_gallery(service: Service, name: str) -> Gallery:
    """The gallery of that name.

    Raises:
        Problem: 404, there is none.
    """
    known = service.galleries.names()
    if name not in known:
        raise Problem(
            404,
            f"there is no gallery {name!r}; create it first (there are: {', '.join(known) or 'none'})",
            kind="unknown-gallery",
        )
    return service.galleries.get(name)


class Opened:
    """A gallery and its name.

    Attributes:
        name: as in ``?gallery=``.
        gallery: the gallery.
    """

    def __init__(self, name: str, gallery: Gallery) -> None:
        self.name, self.gallery = name, gallery


GalleryHere = Annotated[Opened, Depends(open_gallery)]


def k_of(fields: dict[str, str]) -> int:
    """The form's ``k``.

    Raises:
        Problem: 422, it is no number in 1..100.
    """
    text = fields.get("k", "5")
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= 100):
        raise Problem(422, f"k must be a whole number in 1..100, but is {text[:50]!r}", kind="invalid-request")
    return int(text)


def uploads_in(received: Received, part: str = "files") -> Uploads:
    """The files of a part.

    Raises:
        Problem: 422, there are none.
    """
    found = received.files.get(part)
    if not found:
        raise Problem(422, f"no file was sent; send pictures or videos as parts named {part!r}", kind="invalid-request")
    return found


def wants_job(prefer: str | None) -> bool:
    """Whether the client would rather not wait (RFC 7240)."""
    return any(part.strip().lower() == "respond-async" for part in (prefer or "").split(","))


def job_answer(job: Job) -> JSONResponse:
    """The answer that the work goes on as ``job``."""
    return JSONResponse(job.to_dict(), 202, {"location": f"/v1/jobs/{job.id}"})


def noted(request: Request, service: Service, opened: Opened) -> Noted:
    """The audit log for what a request does."""
    return Noted(service.audit, key_of(request), opened.name)
