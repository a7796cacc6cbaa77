"""The service itself: thresholds, models, health, metrics."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from faceset.errors import ThresholdError
from faceset.packs.store import list_models
from faceset.recognizer import Recognizer
from faceset.service import meters, schemas
from faceset.service.routes.common import GalleryHere, ServiceHere, answers, in_thread

router = APIRouter(tags=["service"])

_METRICS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Counts and times in the text format of Prometheus.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}


@router.get("/v1/health", response_model=schemas.Health, responses=answers())
async def health(service: ServiceHere) -> dict[str, Any]:
    """Say whether the service works; needs no key."""
    alive = service.recognising.alive
    return {"status": "ok" if alive else "starting", "waiting": service.recognising.waiting}


@router.get("/metrics", response_class=Response, responses={**_METRICS, **answers()})
async def metrics(service: ServiceHere) -> Response:
    """Give the numbers for Prometheus."""
    return Response(service.meters.text(), media_type=meters.CONTENT_TYPE)


@router.get("/v1/calibration", response_model=schemas.Calibrated, responses=answers(404, 422))
async def calibration(service: ServiceHere, opened: GalleryHere) -> dict[str, Any]:
    """Show the thresholds in use, where they come from, and what error rate they stand for where that is known."""
    recognizer = service.recognising.recognizer
    people = await in_thread(len, opened.gallery)
    pair, search = await in_thread(_thresholds, recognizer, people)
    return {
        "model_id": recognizer.model_id,
        "aggregator": recognizer.aggregator.name,
        "pair": pair,
        "search": search,
        "people": people,
    }


@router.get("/v1/models", response_model=schemas.ModelList, responses=answers())
async def models(service: ServiceHere) -> dict[str, Any]:
    """List the models in use and all that are known, with the licence of their weights."""
    recognizer = service.recognising.recognizer
    found = await in_thread(list_models)
    listed = [model.to_dict() for model in found]
    for values in listed:
        values.pop("folder", None)  # where it lies concerns nobody outside
    return {
        "detector": service.config.detector,
        "embedder": recognizer.model_id,
        "aggregator": recognizer.aggregator.name,
        "models": listed,
    }


def _thresholds(recognizer: Recognizer, people: int) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Those of a comparison and of a search."""
    both: list[dict[str, Any] | None] = []
    calibrated = recognizer.thresholds
    makers = (recognizer.aggregator.name, recognizer.aggregator.name)
    for search in (False, True):
        try:
            found = calibrated.search(makers, (1, 1), people) if search else calibrated.pair(makers, (1, 1))
        except ThresholdError:
            both.append(None)
        else:
            both.append(
                {
                    "threshold": found.value,
                    "threshold_source": found.source,
                    "far": found.far,
                    "fpir": found.fpir,
                }
            )
    return both[0], both[1]
