"""The OpenAPI document is true: no answer that it does not know, and no fault, whatever is sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from portraits import collins, varied, write
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from service_app import Running, parts, running

from faceset.service.app import create_app
from faceset.service.config import ServiceConfig

DOCS = Path(__file__).resolve().parent.parent / "docs" / "service.md"
METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("service"), work_seconds=10.0) as found:
        picture = write(varied(collins(), 0), tmp_path_factory.mktemp("media") / "a.png")
        person = found.person("Eileen", {})
        assert found.client.post(f"/v1/people/{person}/media", files=parts(picture)).status_code == 201
        yield found


schema = schemathesis.openapi.from_dict(create_app(ServiceConfig(data=Path("nowhere"))).openapi())
OPERATIONS = [found.ok() for found in schema.get_all_operations()]
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["good", "bad"])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda found: found.label)
def test_no_fault_and_no_undocumented_answer(app: Running, operation: Any, mode: GenerationMode) -> None:
    real = {"person_id": app.client.get("/v1/people").json()["people"][:1]}
    numbers = iter(range(10_000))

    @hypothesis.settings(
        max_examples=10,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def check(case: schemathesis.Case) -> None:
        if next(numbers) % 2 and real["person_id"] and "person_id" in case.path_parameters:
            case.path_parameters["person_id"] = real["person_id"][0]["id"]
        case.call_and_validate(base_url=app.url.rstrip("/"), checks=CHECKS, timeout=60)

    try:
        check()
    except hypothesis.errors.Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE  # there is nothing that could be wrong in it
    assert next(numbers) > 0 or mode is GenerationMode.NEGATIVE


def document(tmp_path: Path) -> dict[str, dict[str, dict[str, dict[str, object]]]]:
    made: dict[str, dict[str, dict[str, dict[str, object]]]] = create_app(ServiceConfig(data=tmp_path)).openapi()
    return made


def test_every_call_is_described(tmp_path: Path) -> None:
    found = document(tmp_path)
    assert found["openapi"] == "3.1.0"
    names = []
    for path, calls in found["paths"].items():
        for method, call in calls.items():
            assert method in METHODS
            names.append(call["operationId"])
            assert str(call["summary"]).endswith("."), path
            assert call["tags"], path
            answers = call["responses"]
            assert isinstance(answers, dict)
            assert any(status.startswith("2") for status in answers), path
            for status, answer in answers.items():
                content = answer.get("content", {})
                if status.startswith(("4", "5")):
                    assert list(content) == ["application/problem+json"], (path, status)
            assert {"401", "403", "421"} <= set(answers), path
    assert len(names) == len(set(names))


def test_every_call_is_in_the_docs(tmp_path: Path) -> None:
    text = DOCS.read_text(encoding="utf-8")
    for path, calls in document(tmp_path)["paths"].items():
        for method in calls:
            assert f"### `{method.upper()} {path}`" in text, (method, path)


def test_the_docs_describe_no_call_that_is_not_there(tmp_path: Path) -> None:
    paths = document(tmp_path)["paths"]
    there = {f"{method.upper()} {path}" for path, calls in paths.items() for method in calls}
    headings = [line for line in DOCS.read_text(encoding="utf-8").splitlines() if line.startswith("### `")]
    assert {line.removeprefix("### `").rstrip("`") for line in headings} == there | {"GET /v1/openapi.json"}
