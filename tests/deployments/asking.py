"""Requests to a platform over HTTP, and what its replies hold."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
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


async def hang_up(app: Any, path: str, body: dict[str, Any], after: Callable[[], bool]) -> None:
    """POST JSON to an ASGI app as a client that goes away once `after` is true; returns when the app is done."""
    content = json.dumps(body).encode()
    requests = [{"type": "http.request", "body": content, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if requests:
            return requests.pop()
        while not after():
            await asyncio.sleep(0.005)
        return {"type": "http.disconnect"}

    async def send(_: dict[str, Any]) -> None:
        await asyncio.sleep(0)

    headers = [(b"host", b"gateway"), (b"content-type", b"application/json")]
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http"}
    scope |= {"path": path, "raw_path": path.encode(), "query_string": b"", "headers": headers, "root_path": ""}
    async with asyncio.timeout(20):
        await app(scope, receive, send)
