"""OpenAI's chat completions as chordae takes and gives them: which fields, which media, how errors look.

Provenance and probe results go into response headers and one extension field, `chordae`; structured data in OpenAI's
own `metadata` breaks the official client.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Collection
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from chordae.platform.diagnosis.examine import Problem
from chordae.platform.errors import BadInput, ChordaeError
from chordae.platform.schemas import Answer, Kind, Question

_MEDIA = re.compile(r"(?:media:|/media/)?([0-9a-f]{64})")
_HOST = r"(\[[0-9a-f:.]+\]|[^/?#@\\:\s]+)(?::[0-9]{1,5})?"
_ADDRESS = re.compile(rf"https?://{_HOST}/media/([0-9a-f]{{64}})", re.IGNORECASE)

THIS_MACHINE = frozenset({"localhost", "127.0.0.1"})
"""Hosts whose `/media/<id>` is ours, whatever the port; the host that a request itself names is one more."""

# What to do with a picture that came as a `data:` URL: keep it, and say under which id.
KeepDataUrl = Callable[[str], str]


def plain(text: str) -> str:
    """The text. Raises ValueError where it holds what cannot be kept."""
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("text holds a NUL character or half a surrogate pair, which cannot be kept")
    return text


PlainText = Annotated[str, AfterValidator(plain)]
"""What a database takes and UTF-8 can write; for bodies that are no bytes any more when they are checked."""


class ChordaeOptions(BaseModel):
    """The request's extension field."""

    model_config = ConfigDict(extra="forbid")

    probe: bool = True
    record: dict[str, Any] | None = Field(None, description="A CMR record that the question is about, too")
    noticed: list[Problem] = Field([], description="What whoever read that record noticed")


class ChatRequest(BaseModel):
    """The fields of OpenAI's request that chordae honours; others are refused rather than ignored."""

    model_config = ConfigDict(extra="forbid")

    messages: list[dict[str, Any]]
    model: str = "chordae"
    stream: bool = False
    stream_options: dict[str, Any] | None = None
    n: int | None = Field(None, ge=1, le=16)
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    response_format: dict[str, Any] | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    repetition_penalty: float | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None
    chordae: ChordaeOptions = ChordaeOptions()


def host_of(header: str) -> str | None:
    """The host in a Host header, without its port (RFC 9110, 7.2); None where there is none."""
    match = re.fullmatch(_HOST, header, re.IGNORECASE)
    return match[1].lower() if match else None


def parse(body: bytes, keep: KeepDataUrl, longest: int, hosts: Collection[str] = THIS_MACHINE) -> ChatRequest:
    """A request with its media referred to as `media:<id>` and put before the text of their message.

    Args:
        body: OpenAI's JSON.
        keep: what to do with a picture that comes with the question.
        longest: characters that a question may have.
        hosts: those whose `/media/<id>` is an id of ours; nothing is fetched from them either.

    Raises:
        BadInput: not JSON, an unsupported field, an empty or overlong question, media from elsewhere.
    """
    try:
        request = ChatRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"{field or 'body'}: {first['msg']}", "send OpenAI's chat completion fields as JSON") from error
    return checked(request, keep, longest, hosts)


def checked(
    request: ChatRequest, keep: KeepDataUrl, longest: int, hosts: Collection[str] = THIS_MACHINE
) -> ChatRequest:
    """`parse` for a request that is no bytes any more."""
    messages = [_normalise(message, keep, hosts) for message in request.messages]
    questions = [text_of(message) for message in messages if message["role"] == "user"]
    if not questions:
        raise BadInput("the question is empty", "put it in the last user message")
    check_question(questions[-1], longest)
    return request.model_copy(update={"messages": messages})


def check_question(text: str, longest: int) -> None:
    """Raises BadInput where there is nothing in it, or more than `longest` characters."""
    if not text.strip():
        raise BadInput("the question is empty", "put it in the last user message")
    if len(text) > longest:
        raise BadInput(f"the question has {len(text)} characters", f"shorten it to {longest} or fewer")


def _normalise(message: dict[str, Any], keep: KeepDataUrl, hosts: Collection[str]) -> dict[str, Any]:
    role, content = message.get("role"), message.get("content")
    if role not in ("system", "user", "assistant"):
        raise BadInput(f"unknown role {role!r}", "use system, user or assistant")
    if isinstance(content, str):
        return {"role": role, "content": content}
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise BadInput("a message has no content", "send text, or a list of text, image_url and video_url parts")
    media: list[dict[str, Any]] = []
    text: list[dict[str, Any]] = []
    for part in content:
        if is_media(part) and isinstance(part.get(part["type"]), dict):
            media_id = _media_id(part[part["type"]].get("url"), keep, part, hosts)
            media.append(media_part("image" if part["type"] == "image_url" else "video", media_id))
        elif part.get("type") == "text" and isinstance(part.get("text"), str):
            text.append({"type": "text", "text": part["text"]})
        else:
            raise BadInput(f"unsupported content part {part.get('type')!r}", "send text, image_url and video_url parts")
    return {"role": role, "content": media + text}


def _media_id(url: Any, keep: KeepDataUrl, part: dict[str, Any], hosts: Collection[str]) -> str:
    if isinstance(url, str) and url.startswith("data:"):
        if part["type"] == "image_url":
            return keep(url)
        raise BadInput("a video does not come with the question", "upload its study with POST /media, and name the id")
    if isinstance(url, str) and (match := _MEDIA.fullmatch(url)):
        return match[1]
    if isinstance(url, str) and (match := _ADDRESS.fullmatch(url)) and match[1].lower() in hosts:
        return match[2]
    raise BadInput(
        "media are not fetched from other addresses", "send a picture as a data: URL, or the id of media uploaded here"
    )


def media_part(kind: Kind, media_id: str) -> dict[str, Any]:
    """A content part in normal form, for `media_parts`, `media_ids` and an expert."""
    return {"type": f"{kind}_url", f"{kind}_url": {"url": f"media:{media_id}"}}


def is_media(part: dict[str, Any]) -> bool:
    """Whether a content part is a picture or a video."""
    return part.get("type") in ("image_url", "video_url")


def media_id_of(part: dict[str, Any]) -> str:
    """The id in a normalised picture or video part."""
    return str(part[part["type"]]["url"]).removeprefix("media:")


def text_of(message: dict[str, Any]) -> str:
    """The text of a normalised message."""
    if isinstance(message["content"], str):
        return message["content"]
    return "\n".join(part["text"] for part in message["content"] if part["type"] == "text")


def question_of(request: ChatRequest) -> Question:
    """The last user message as a question for the orchestrator, with the media of the whole conversation.

    Raises:
        BadInput: a field that a probed answer, which is one answer in words, cannot honour.
    """
    for field in ("n", "logprobs", "top_logprobs", "response_format"):
        if getattr(request, field) is not None:
            raise BadInput(f"{field} does not go with a probed answer", "ask the expert by its own name instead")
    asked = [message for message in request.messages if message["role"] == "user"][-1]
    sampling = {key: value for key, value in for_engine(request).items() if key not in ("messages", "stream_options")}
    return Question(
        text=text_of(asked).strip(), media=tuple(dict.fromkeys(media_ids(for_engine(request)))), sampling=sampling
    )


def media_parts(request: dict[str, Any]) -> list[dict[str, Any]]:
    """The pictures and videos of a normalised chat request, in order."""
    contents = [message["content"] for message in request["messages"] if not isinstance(message["content"], str)]
    return [part for content in contents for part in content if is_media(part)]


def media_ids(request: dict[str, Any]) -> list[str]:
    """Ids of the media a normalised chat request refers to, in order."""
    return [media_id_of(part) for part in media_parts(request)]


def for_engine(request: ChatRequest) -> dict[str, Any]:
    """The fields that the caller set and an engine understands."""
    return request.model_dump(exclude_none=True, exclude={"chordae", "model", "stream", "user", "metadata"})


def completion(answer: Answer, model: str) -> dict[str, Any]:
    """The orchestrator's answer as an OpenAI chat completion."""
    return {
        "id": f"chatcmpl-{answer.provenance.request_id}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": answer.text},
                "finish_reason": answer.finish_reason,
                "logprobs": None,
            }
        ],
        "chordae": answer.model_dump(mode="json", exclude={"text"}),
    }


def event(
    request_id: str, model: str, text: str = "", finish: str | None = None, extension: dict[str, Any] | None = None
) -> str:
    """One server-sent event holding an OpenAI chunk."""
    chunk: dict[str, Any] = {
        "id": f"chatcmpl-{request_id}",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": model,
        "choices": [
            {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": finish, "logprobs": None}
        ],
    }
    return f"data: {json.dumps(chunk | ({'chordae': extension} if extension else {}))}\n\n"


def error_body(error: ChordaeError) -> dict[str, Any]:
    """The same text as on the command line, in OpenAI's shape."""
    return {"error": {"message": str(error), "type": error.code, "param": None, "code": error.code}}


def provenance_headers(provenance: dict[str, Any]) -> dict[str, str]:
    """Provenance for clients that see only headers."""
    weights = provenance["weights"]
    return {
        "x-request-id": provenance["request_id"],
        "x-chordae-weights": ",".join(f"{w['name']}@{w['version']}:{w['digest'][:16]}" for w in weights),
        "x-chordae-media": ",".join(provenance["media"]),
        "x-chordae-settings": provenance["settings_digest"],
    }
