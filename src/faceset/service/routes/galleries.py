"""Galleries: separate sets of people."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from faceset.errors import GalleryError
from faceset.gallery import Gallery
from faceset.service import schemas
from faceset.service.app import DEFAULT_GALLERY
from faceset.service.problems import Problem
from faceset.service.routes.common import BODY, Opened, ServiceHere, answers, find_gallery, in_thread, noted

router = APIRouter(prefix="/v1/galleries", tags=["galleries"])


@router.get("", response_model=schemas.Galleries, responses=answers(409))
async def list_galleries(service: ServiceHere) -> dict[str, Any]:
    """List the galleries."""

    def all_of_them() -> list[dict[str, Any]]:
        found = []
        for name in service.galleries.names():
            try:
                found.append(_about(name, service.galleries.get(name)))
            except GalleryError:
                if name in service.galleries.names():  # else it was deleted meanwhile
                    raise
        return found

    return {"galleries": await in_thread(all_of_them)}


@router.post("", status_code=201, response_model=schemas.GalleryAbout, responses=answers(409, *BODY))
async def create_gallery(request: Request, service: ServiceHere, body: schemas.NewGallery) -> dict[str, Any]:
    """Create an empty gallery."""
    gallery = await in_thread(service.galleries.create, body.name)
    await in_thread(noted(request, service, Opened(body.name, gallery)).write, "create-gallery")
    return await in_thread(_about, body.name, gallery)


@router.delete("/{gallery}", status_code=204, responses=answers(404, 409, 422))
async def delete_gallery(
    request: Request,
    service: ServiceHere,
    gallery: Annotated[str, Path(pattern=schemas.GALLERY, description="Name of the gallery.")],
) -> None:
    """Forget everybody in a gallery, for good, and remove it."""
    found = await in_thread(find_gallery, service, gallery)
    if gallery == DEFAULT_GALLERY:
        raise Problem(
            409, f"the gallery {gallery!r} is always there; forget the people in it instead", kind="default-gallery"
        )
    people = await in_thread(found.people)
    await in_thread(service.galleries.delete, gallery)
    log = noted(request, service, Opened(gallery, found))
    for person in people:
        await in_thread(service.jobs.forget, person.uid, person.name)
        await in_thread(log.write, "forget", person=person.uid)
    await in_thread(log.write, "delete-gallery")


def _about(name: str, gallery: Gallery) -> dict[str, Any]:
    return {"name": name, "people": len(gallery), "model_id": gallery.model_id}
