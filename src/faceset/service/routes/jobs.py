"""Jobs: send, watch, cancel, and enrol what they found."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.responses import StreamingResponse

from faceset.gallery import Uid
from faceset.service import asking, events, schemas, working
from faceset.service.gate import key_of
from faceset.service.jobs import Work
from faceset.service.problems import Problem
from faceset.service.receiving import Received, receive
from faceset.service.routes.common import (
    BODY,
    K_FIELD,
    WORK,
    GalleryHere,
    JobId,
    Opened,
    ServiceHere,
    accepted,
    answers,
    find_gallery,
    form,
    in_thread,
    job_answer,
    k_of,
    noted,
    uploads_in,
)
from faceset.service.routes.verify import NO_GALLERY
from faceset.service.working import Noted

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_FORM = form(
    {
        "files": "Pictures or videos, to identify or enrol.",
        "a": "Pictures or videos of one person, to verify.",
        "b": "Pictures or videos of the other.",
    },
    {
        "kind": {"type": "string", "enum": ["identify", "enroll", "verify"]},
        "person_id": {"type": "string", "pattern": schemas.PERSON_ID, "description": "Whom to enrol; or give a name."},
        "name": {"type": "string", "description": "Whom to enrol: a person of that name, created when new."},
        "k": K_FIELD,
    },
    required=["kind"],
)
_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events: `progress` {state, progress}, `track` (a `Match`), and at the end `done`, "
        "`failed` or `cancelled` (a `Job`).",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


@router.post(
    "",
    status_code=202,
    response_class=Response,
    responses={**accepted(), **answers(404, 409, *WORK)},
    openapi_extra=_FORM,
)
async def create_job(request: Request, service: ServiceHere, opened: GalleryHere) -> Response:
    """Send a long video, or many files, to be worked on after the answer."""
    async with receive(
        request, service.config, files=("files", "a", "b"), fields=("kind", "person_id", "name", "k")
    ) as received:
        kind = received.fields.get("kind", "")
        log = noted(request, service, opened)
        work = await _work(opened, kind, received, log)
        gallery = NO_GALLERY if kind == "verify" else opened.name
        return job_answer(service.jobs.submit(kind, gallery, key_of(request), work, cleanup=received.hand_over()))


async def _work(opened: Opened, kind: str, received: Received, log: Noted) -> Work:
    """The work that a form asks for; parts that have no place in it are refused."""
    fields, files = received.fields, received.files
    gallery = opened.gallery
    takes = {"identify": {"files", "k"}, "enroll": {"files", "person_id", "name"}, "verify": {"a", "b"}}
    if kind not in takes:
        raise Problem(422, f"kind must be identify, enroll or verify, but is {kind[:50]!r}", kind="invalid-request")
    for part in {*fields, *files} - takes[kind] - {"kind"}:
        raise Problem(422, f"there is no place for the part {part!r} in a job to {kind}", kind="invalid-request")
    if kind == "identify":
        return working.to_identify(gallery, opened.name, uploads_in(received), k_of(fields), log)
    if kind == "enroll":
        who = asking.owner(fields.get("person_id"), fields.get("name"))
        if isinstance(who, Uid):
            await in_thread(gallery.person, who)
        return working.to_enroll(gallery, who, uploads_in(received), log)
    return working.to_compare(uploads_in(received, "a"), uploads_in(received, "b"), log)


@router.get("", response_model=schemas.JobList, responses=answers(422))
async def list_jobs(
    service: ServiceHere,
    gallery: Annotated[str | None, Query(pattern=schemas.GALLERY, description="Only those of this gallery.")] = None,
) -> dict[str, Any]:
    """List the jobs of the last week, the newest first."""
    return {"jobs": [job.to_dict() for job in await in_thread(service.jobs.list, gallery)]}


@router.get("/{job_id}", response_model=schemas.Job, responses=answers(404, 422))
async def get_job(service: ServiceHere, job_id: JobId) -> dict[str, Any]:
    """Show a job, with its result when it is done."""
    return (await in_thread(service.jobs.get, job_id)).to_dict()


@router.get("/{job_id}/events", response_class=StreamingResponse, responses={**_EVENTS, **answers(404, 422)})
async def watch_job(service: ServiceHere, job_id: JobId) -> StreamingResponse:
    """Follow a job until it has ended."""
    await in_thread(service.jobs.get, job_id)

    async def stream() -> AsyncIterator[bytes]:
        async for event in service.jobs.events(job_id):
            yield events.sse(event)

    return StreamingResponse(stream(), media_type="text/event-stream", headers={"x-accel-buffering": "no"})


@router.delete("/{job_id}", response_model=schemas.Job, responses=answers(404, 422))
async def cancel_job(service: ServiceHere, job_id: JobId) -> dict[str, Any]:
    """Cancel a job; one that has ended stays as it is."""
    return (await in_thread(service.jobs.cancel, job_id)).to_dict()


@router.post(
    "/{job_id}/tracks/{track}/enroll",
    status_code=201,
    response_model=schemas.Enrolled,
    responses=answers(404, 409, *BODY),
)
async def enroll_track(
    request: Request,
    service: ServiceHere,
    job_id: JobId,
    track: Annotated[int, Path(ge=0, le=1_000_000, description="`track` of a match.")],
    body: schemas.TrackOwner,
) -> dict[str, Any]:
    """Enrol somebody whom an identification found, without sending the video again."""
    who = asking.owner(body.person_id, body.name)
    job = await in_thread(service.jobs.get, job_id)
    found = service.jobs.sets(job_id, track)
    opened = Opened(job.gallery, await in_thread(find_gallery, service, job.gallery))
    values = await in_thread(
        asking.enroll_track,
        service.recognising.recognizer,
        opened.gallery,
        who,
        found,
        keep_crops=service.config.keep_crops,
    )
    await in_thread(noted(request, service, opened).enrolled, values, job=job_id, track=track)
    return values
