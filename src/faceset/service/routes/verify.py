"""Whether two uploads show the same person."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from faceset.recognizer import Recognizer
from faceset.service import asking, schemas, working
from faceset.service.gate import key_of
from faceset.service.receiving import receive
from faceset.service.routes.common import (
    WORK,
    Prefer,
    ServiceHere,
    accepted,
    answers,
    form,
    in_thread,
    job_answer,
    uploads_in,
    wants_job,
)
from faceset.service.showing import Values
from faceset.service.working import Noted

router = APIRouter(prefix="/v1", tags=["recognition"])

NO_GALLERY = ""
"""The gallery of a comparison: it needs none."""


@router.post(
    "/verify",
    response_model=schemas.Verified,
    responses={**accepted(), **answers(409, *WORK)},
    openapi_extra=form(
        {"a": "Pictures or videos of one person.", "b": "Pictures or videos of the other."}, required=["a", "b"]
    ),
)
async def verify(request: Request, service: ServiceHere, prefer: Prefer = None) -> Any:
    """Say whether two sets of pictures or videos show the same person. Nothing of it is kept."""
    log = Noted(service.audit, key_of(request), NO_GALLERY)
    async with receive(request, service.config, files=("a", "b")) as received:
        a, b = uploads_in(received, "a"), uploads_in(received, "b")

        def work(recognizer: Recognizer) -> Values:
            asking.check_short(recognizer, [a, b], service.config.at_once_seconds)
            return asking.compare(recognizer, a, b)

        if wants_job(prefer):
            job = service.jobs.submit(
                "verify",
                NO_GALLERY,
                key_of(request),
                working.to_compare(a, b, log),
                cleanup=received.hand_over(),
            )
            return job_answer(job)
        values = await service.recognising.run(work, request=request)
    await in_thread(log.verified, values)
    return values
