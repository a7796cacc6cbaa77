"""Templates: give out, and take in what was made elsewhere."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from faceset.gallery import Uid
from faceset.service import asking, schemas
from faceset.service.routes.common import BODY, GalleryHere, PersonId, ServiceHere, answers, in_thread, noted
from faceset.service.showing import person_values
from faceset.templates import FORMAT, VERSION, template_from_dict

router = APIRouter(prefix="/v1/people/{person_id}/template", tags=["people"])


@router.get("", response_model=schemas.Template, responses=answers(404, 409, 422))
async def get_template(
    request: Request, service: ServiceHere, opened: GalleryHere, person_id: PersonId
) -> dict[str, Any]:
    """Give out the template of a person. It is biometric data: keep it as carefully as their pictures."""
    template = await in_thread(opened.gallery.template, Uid(person_id))
    await in_thread(noted(request, service, opened).write, "read", person=person_id)
    return {"format": FORMAT, "version": VERSION, **template.to_dict()}


@router.put("", response_model=schemas.Person, responses=answers(404, 409, *BODY))
async def put_template(
    request: Request, service: ServiceHere, opened: GalleryHere, person_id: PersonId, body: schemas.Template
) -> dict[str, Any]:
    """Take in a template that the same embedder made elsewhere, as a medium of kind `template`.

    It takes the place of one that was put before. The person's template is then aggregated over it and all other media.
    """
    template = await in_thread(template_from_dict, body.model_dump())
    recognizer = service.recognising.recognizer
    person = await in_thread(asking.put_template, recognizer, opened.gallery, Uid(person_id), template)
    await in_thread(noted(request, service, opened).write, "put-template", person=person_id)
    return person_values(person)
