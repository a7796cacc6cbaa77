"""People: create, list, rename, forget."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from faceset.gallery import Uid
from faceset.service import schemas
from faceset.service.routes.common import (
    BODY,
    GalleryHere,
    PersonId,
    ServiceHere,
    answers,
    in_thread,
    noted,
)
from faceset.service.showing import person_values

router = APIRouter(prefix="/v1/people", tags=["people"])


@router.get("", response_model=schemas.People, responses=answers(404, 422))
async def list_people(
    opened: GalleryHere,
    limit: Annotated[int, Query(ge=1, le=1000, description="Most people in the answer.")] = 100,
    offset: Annotated[int, Query(ge=0, le=1_000_000_000, description="How many to pass over.")] = 0,
    name: Annotated[str, Query(max_length=200, description="Part of the name, in upper or lower case.")] = "",
) -> dict[str, Any]:
    """List the people of a gallery by name."""
    page = await in_thread(opened.gallery.page, limit, offset, part=name.strip())
    return {"gallery": opened.name, "total": page.total, "people": [person.to_dict() for person in page.people]}


@router.post("", status_code=201, response_model=schemas.Person, responses=answers(404, 409, *BODY))
async def create_person(
    request: Request, response: Response, service: ServiceHere, opened: GalleryHere, body: schemas.NewPerson
) -> dict[str, Any]:
    """Create a person of whom nothing is held yet."""
    person = await in_thread(opened.gallery.create, body.name)
    await in_thread(noted(request, service, opened).write, "create", person=person.uid)
    response.headers["location"] = f"/v1/people/{person.uid}"
    return person_values(person)


@router.get("/{person_id}", response_model=schemas.Person, responses=answers(404, 422))
async def get_person(opened: GalleryHere, person_id: PersonId) -> dict[str, Any]:
    """Show a person and everything they were enrolled from."""
    return person_values(await in_thread(opened.gallery.person, Uid(person_id)))


@router.patch("/{person_id}", response_model=schemas.Person, responses=answers(404, 409, *BODY))
async def rename_person(
    request: Request, service: ServiceHere, opened: GalleryHere, person_id: PersonId, body: schemas.NewName
) -> dict[str, Any]:
    """Give a person another name; the old one is removed for good."""
    who = Uid(person_id)
    before = await in_thread(opened.gallery.person, who)
    person = await in_thread(opened.gallery.rename, who, body.name)
    if before.name != person.name:
        await in_thread(service.jobs.forget, "", before.name)
    await in_thread(noted(request, service, opened).write, "rename", person=person.uid)
    return person_values(person)


@router.delete("/{person_id}", status_code=204, responses=answers(404, 422))
async def forget_person(request: Request, service: ServiceHere, opened: GalleryHere, person_id: PersonId) -> None:
    """Forget a person: everything held of them, and every result that names them, is removed for good."""
    gone = await in_thread(opened.gallery.forget, Uid(person_id))
    await in_thread(service.jobs.forget, gone.uid, gone.name)
    await in_thread(noted(request, service, opened).write, "forget", person=gone.uid)
