"""The calls of the API, each a thin layer: read the request, one call of the library, say what came of it."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from faceset.service.routes import about, galleries, identify, jobs, media, people, templates, verify

_TAGS = [
    {"name": "people", "description": "Who is enrolled, and what is held of them."},
    {"name": "recognition", "description": "Who somebody is, and whether two sets show the same person."},
    {"name": "jobs", "description": "Work that takes longer than a request."},
    {"name": "galleries", "description": "Separate sets of people; every call takes `?gallery=`."},
    {"name": "service", "description": "The service itself."},
]


def add(app: FastAPI) -> None:
    """Add every call to the application, and what they share to its OpenAPI document."""
    for module in (people, media, templates, verify, identify, jobs, galleries, about):
        app.include_router(module.router)
    app.router.redirect_slashes = False  # an address is right, or unknown
    app.openapi_tags = _TAGS
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = made()
            _complete(document)
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(document: dict[str, Any]) -> None:
    from faceset.service import schemas

    parts = document.setdefault("components", {})
    template = "#/components/schemas/{model}"
    for model in (schemas.Problem, schemas.Job):
        definition = model.model_json_schema(ref_template=template, mode="serialization")
        definition.pop("$defs", None)
        parts.setdefault("schemas", {}).setdefault(model.__name__, definition)
    parts["securitySchemes"] = {
        "key": {
            "type": "http",
            "scheme": "bearer",
            "description": "A key of `faceset keys create`. Needed when the service has keys.",
        }
    }
    document["security"] = [{"key": []}, {}]
    for calls in document["paths"].values():
        for call in calls.values():
            # The first sentence of a docstring is the summary.
            call["summary"], _, rest = call["description"].partition("\n\n")
            call["description"] = rest or call["summary"]
            for status, answer in call["responses"].items():
                if answer["description"] == "Successful Response":
                    answer["description"] = "Done." if status in ("201", "204") else "The answer."
