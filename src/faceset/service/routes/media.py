"""The media of a person: add by upload, list, remove."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from faceset.gallery import Uid
from faceset.recognizer import Recognizer
from faceset.service import asking, schemas, working
from faceset.service.gate import key_of
from faceset.service.problems import Problem
from faceset.service.receiving import receive
from faceset.service.routes.common import (
    WORK,
    GalleryHere,
    MediaId,
    PersonId,
    Prefer,
    ServiceHere,
    accepted,
    answers,
    form,
    in_thread,
    job_answer,
    noted,
    uploads_in,
    wants_job,
)
from faceset.service.showing import Values

router = APIRouter(prefix="/v1/people/{person_id}/media", tags=["people"])

_FORM = form({"files": "Pictures or videos of this person."}, required=["files"])


@router.get("", response_model=schemas.Media, responses=answers(404, 422))
async def list_media(opened: GalleryHere, person_id: PersonId) -> dict[str, Any]:
    """List what a person was enrolled from."""
    person = await in_thread(opened.gallery.person, Uid(person_id))
    return {"media": [medium.to_dict() for medium in person.media]}


@router.post(
    "",
    status_code=201,
    response_model=schemas.Enrolled,
    responses={**accepted(), **answers(404, 409, *WORK)},
    openapi_extra=_FORM,
)
async def add_media(
    request: Request, service: ServiceHere, opened: GalleryHere, person_id: PersonId, prefer: Prefer = None
) -> Any:
    """Enrol a person from pictures or videos; long ones go on as a job.

    Others in a video are left out where it is plain who is meant; the report says whom. The files are not kept.
    """
    gallery, who = opened.gallery, Uid(person_id)
    await in_thread(gallery.person, who)
    log = noted(request, service, opened)
    async with receive(request, service.config, files=("files",)) as received:
        uploads = uploads_in(received)

        def work(recognizer: Recognizer) -> Values:
            asking.check_short(recognizer, [uploads], service.config.at_once_seconds)
            return asking.enroll(recognizer, gallery, who, uploads)

        if not wants_job(prefer):
            try:
                values = await service.recognising.run(work, request=request)
            except Problem as problem:
                if problem.kind != "use-a-job":
                    raise
            else:
                await in_thread(log.enrolled, values)
                return values
        job = service.jobs.submit(
            "enroll",
            opened.name,
            key_of(request),
            working.to_enroll(gallery, who, uploads, log),
            cleanup=received.hand_over(),
        )
        return job_answer(job)


@router.delete("/{media_id}", status_code=204, responses=answers(404, 409, 422))
async def remove_media(
    request: Request, service: ServiceHere, opened: GalleryHere, person_id: PersonId, media_id: MediaId
) -> Response:
    """Remove one medium of a person for good; the last one goes with the person only."""
    who = Uid(person_id)
    person = await in_thread(opened.gallery.person, who)
    if media_id not in {medium.uid for medium in person.media}:
        raise Problem(404, "this person has no such medium; it may have been removed", kind="unknown-medium")
    aggregator = service.recognising.recognizer.aggregator
    await in_thread(opened.gallery.remove_media, who, media_id, aggregator=aggregator)
    await in_thread(noted(request, service, opened).write, "remove-media", person=person_id, media=media_id)
    return Response(status_code=204)
