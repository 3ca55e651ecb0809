"""The OpenAPI document of the orchestrator's port is valid, whole, and says what the calls do."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from chordae.deployments import gateway
from chordae.deployments.web import new_api


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    api = new_api()
    api.include_router(gateway.api.router)
    served: dict[str, Any] = json.loads(json.dumps(api.openapi()))
    return served


CALLS = {
    "get /health",
    "get /v1/models",
    "post /v1/chat/completions",
    "post /media",
    "get /media/{media_id}",
    "post /v1/studies",
    "post /v1/answers",
    "get /v1/answers/{answer_id}",
    "post /v1/diagnoses",
    "get /v1/diagnoses/{diagnosis_id}",
    "get /web/{modality}/health",
    "post /web/{modality}/upload",
    "post /web/{modality}/preprocess",
    "get /web/{modality}/media/{media_id}",
    "post /web/{modality}/chat",
}


def calls(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {f"{verb} {path}": call for path, verbs in document["paths"].items() for verb, call in verbs.items()}


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    pytest.importorskip("openapi_spec_validator").validate(document)


def test_it_names_every_call_and_no_other(document: dict[str, Any]) -> None:
    assert set(calls(document)) == CALLS


def test_every_call_has_a_model_of_what_it_answers_and_of_how_it_refuses(document: dict[str, Any]) -> None:
    for name, call in calls(document).items():
        for kind, content in call["responses"]["200"]["content"].items():
            assert content["schema"], (name, kind)
        for status in ("400", "404", "413", "422", "429", "503"):
            schema = call["responses"][status]["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/Refusal"}, (name, status)


def test_every_post_has_a_model_of_its_body(document: dict[str, Any]) -> None:
    for name, call in calls(document).items():
        if name.startswith("post"):
            (content,) = call["requestBody"]["content"].values()
            assert content["schema"], name


def test_files_are_sent_as_multipart(document: dict[str, Any]) -> None:
    for path, field in (("/media", "file"), ("/v1/studies", "file"), ("/web/{modality}/upload", "video")):
        content = document["paths"][path]["post"]["requestBody"]["content"]["multipart/form-data"]
        name = content["schema"]["$ref"].rpartition("/")[2]
        assert set(document["components"]["schemas"][name]["properties"]) == {field}


def test_every_reference_leads_somewhere_and_every_schema_is_one(document: dict[str, Any]) -> None:
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    text = json.dumps(document)
    for part in text.split('"$ref": "')[1:]:
        node: Any = document
        for step in part.partition('"')[0].removeprefix("#/").split("/"):
            node = node[step]


def test_no_two_calls_share_a_name(document: dict[str, Any]) -> None:
    names = [call["operationId"] for call in calls(document).values()]
    assert len(set(names)) == len(names)
