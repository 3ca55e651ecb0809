"""What the OpenAPI document says beyond what FastAPI sees: refusals, streams, and bodies that we read ourselves."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Problem(BaseModel):
    """OpenAI's error."""

    message: str = Field(description="What is wrong, and what to do about it; one line")
    type: str
    param: str | None
    code: str


class Refusal(BaseModel):
    """How every refusal looks, on every port."""

    error: Problem


class Health(BaseModel):
    status: Literal["ok"]


class ModelCard(BaseModel):
    """OpenAI's, with modality and weights in the extension field `chordae`."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(BaseModel):
    object: Literal["list"]
    data: list[ModelCard]


class Completion(BaseModel):
    """OpenAI's chat completion; `chordae` holds provenance and, of a probed answer, the reports."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[dict[str, Any]]
    chordae: dict[str, Any]


RETRY_AFTER_S = 5
"""What 429 and 503 say in `Retry-After`."""

_STATUSES = {
    400: "The request cannot be used as it is",
    404: "No such model, media, study or answer here",
    413: "Larger than gateway.max_upload_bytes, or of undeclared length",
    422: "No recording that can be used",
    429: "Too many uploads came from this address; Retry-After says when to ask again",
    503: "An expert cannot answer now, or too many questions wait; Retry-After says when to ask again",
    504: "No answer in time",
}
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Refusal, "description": told} for status, told in _STATUSES.items()
}

_EVENTS = {"schema": {"type": "string", "description": "Server-sent events of OpenAI chunks, then [DONE]"}}
COMPLETION: dict[int | str, dict[str, Any]] = {
    200: {"model": Completion, "description": "Whole, or streamed", "content": {"text/event-stream": _EVENTS}}
}
CHUNKS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The answer as it is made", "content": {"text/event-stream": _EVENTS}}
}
_FILE = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
FILE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file", "content": {"image/png": _FILE, "video/mp4": _FILE}},
    206: {"description": "The ranges asked for", "content": {"image/png": _FILE, "video/mp4": _FILE}},
    416: {"description": "No such range"},
}


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """`openapi_extra` of a call that reads its JSON body itself."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _inlined(schema, definitions)}},
        }
    }


def _inlined(node: Any, definitions: dict[str, Any]) -> Any:
    """A schema without references, for there is no place in the document that they could point at."""
    if isinstance(node, list):
        return [_inlined(each, definitions) for each in node]
    if not isinstance(node, dict):
        return node
    plain = {key: _inlined(value, definitions) for key, value in node.items() if key != "$ref"}
    if "$ref" not in node:
        return plain
    return _inlined(definitions[node["$ref"].removeprefix("#/$defs/")], definitions) | plain
