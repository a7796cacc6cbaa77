"""Who is in an upload."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from faceset.gallery import Gallery
from faceset.recognizer import Recognizer
from faceset.service import asking, schemas, working
from faceset.service.app import Service
from faceset.service.gate import key_of
from faceset.service.receiving import receive
from faceset.service.routes.common import (
    K_FIELD,
    WORK,
    GalleryHere,
    Prefer,
    ServiceHere,
    accepted,
    answers,
    form,
    in_thread,
    job_answer,
    k_of,
    noted,
    uploads_in,
    wants_job,
)
from faceset.service.showing import Values
from faceset.types import FaceSet

router = APIRouter(prefix="/v1", tags=["recognition"])


@router.post(
    "/identify",
    response_model=schemas.Identified,
    responses={**accepted(), **answers(404, 409, *WORK)},
    openapi_extra=form({"files": "Pictures, or a video."}, {"k": K_FIELD}, required=["files"]),
)
async def identify(request: Request, service: ServiceHere, opened: GalleryHere, prefer: Prefer = None) -> Any:
    """Say who is in pictures or a short video: one match for each track of a video and each face of a picture.

    Nobody is enrolled by this; a track can be, for an hour, by its number and the id of the answer.
    """
    gallery = opened.gallery
    log = noted(request, service, opened)
    async with receive(request, service.config, files=("files",), fields=("k",)) as received:
        uploads, k = uploads_in(received), k_of(received.fields)

        def work(recognizer: Recognizer) -> tuple[Values, list[FaceSet]]:
            asking.check_short(recognizer, [uploads], service.config.at_once_seconds)
            return asking.identify(recognizer, gallery, uploads, k)

        if wants_job(prefer):
            job = service.jobs.submit(
                "identify",
                opened.name,
                key_of(request),
                working.to_identify(gallery, opened.name, uploads, k, log),
                cleanup=received.hand_over(),
            )
            return job_answer(job)
        values, sets = await service.recognising.run(work, request=request)
    answer = service.jobs.record("identify", opened.name, key_of(request), values, sets)
    await in_thread(log.identified, values, job=answer.id)
    await in_thread(_forget_gone, service, gallery, values)
    return {"id": answer.id, "gallery": opened.name, **values}


def _forget_gone(service: Service, gallery: Gallery, values: Values) -> None:
    """Keep no answer about somebody who was forgotten while it was made."""
    named = {c["name"]: c["person_id"] for match in values["matches"] for c in match["candidates"]}
    there = gallery.uids(list(named))
    for name, uid in named.items():
        if uid is None or there.get(name) != uid:
            service.jobs.forget(uid or "", name)
