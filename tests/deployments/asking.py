"""Requests to a platform over HTTP, and what its replies hold."""

from __future__ import annotations

import json
from typing import Any

import httpx

from chordae.platform.settings import Settings


def question(picture: str | None, text: str = "What is the rhythm?", **fields: Any) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": text}]
    if picture is not None:
        content.append({"type": "image_url", "image_url": {"url": picture}})
    return {"model": "chordae", "messages": [{"role": "user", "content": content}], **fields}


def told(reply: httpx.Response) -> str:
    """The text of an error, which has OpenAI's shape and one line, and is no traceback."""
    error = reply.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert "\n" not in error["message"]
    assert "Traceback" not in error["message"]
    return str(error["message"])


def events(body: str) -> list[Any]:
    """What a stream of server-sent events holds; the last is [DONE]."""
    *chunks, done = [line.removeprefix("data: ") for line in body.strip().split("\n\n")]
    assert done == "[DONE]"
    return [json.loads(chunk) for chunk in chunks]


async def upload(http: httpx.AsyncClient, *files: tuple[str, bytes]) -> httpx.Response:
    return await http.post("/media", files=[("file", file) for file in files])


def kept(settings: Settings) -> list[str]:
    return sorted(path.name for path in settings.media_dir.iterdir())
