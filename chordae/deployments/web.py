"""What the gateway and an expert's own port share of HTTP: how errors look, how a question is read, how it is answered.

Both answer an expert's questions: the gateway over a Serve handle, the expert's replica itself. Callers cannot tell.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from ray.serve.exceptions import BackPressureError
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from chordae import __version__
from chordae.deployments import openai_api
from chordae.deployments.openai_api import ChatRequest
from chordae.deployments.openapi_document import REFUSALS, RETRY_AFTER_S
from chordae.deployments.pictures import Size, keep_data_url
from chordae.platform.errors import BadInput, ChordaeError, ExpertUnavailable, Overloaded
from chordae.platform.media import MediaStore
from chordae.platform.schemas import Answer


def new_api() -> FastAPI:
    """An API without routes whose every refusal is OpenAI's error with the project's words."""
    api = FastAPI(title="chordae", version=__version__, docs_url=None, redoc_url=None, responses=REFUSALS)
    api.add_exception_handler(ChordaeError, _told)  # type: ignore[arg-type]
    api.add_exception_handler(RequestValidationError, _malformed)  # type: ignore[arg-type]
    api.add_exception_handler(HTTPException, _no_such_call)  # type: ignore[arg-type]
    return api


async def _told(_: Request, error: ChordaeError) -> JSONResponse:
    return _refusal(error, error.status)


async def _malformed(_: Request, error: RequestValidationError) -> JSONResponse:
    first = error.errors()[0]
    told = BadInput(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}", "see /openapi.json for the call")
    return _refusal(told, told.status)


async def _no_such_call(request: Request, error: HTTPException) -> JSONResponse:
    told = BadInput(f"{request.method} here: {error.detail}", "see /openapi.json for the calls")
    return _refusal(told, error.status_code, error.headers)


def _refusal(error: ChordaeError, status: int, headers: Mapping[str, str] | None = None) -> JSONResponse:
    wait = {"Retry-After": str(RETRY_AFTER_S)} if status in (429, 503) else {}
    body = openai_api.error_body(error)
    # JSON may name half a surrogate pair, which is in no encoding, and pydantic quotes names
    body["error"]["message"] = body["error"]["message"].encode(errors="replace").decode()
    return JSONResponse(body, status_code=status, headers={**(headers or {}), **wait})


async def read_question(request: Request, store: MediaStore, size: Size, longest: int) -> ChatRequest:
    """The chat request in a body, its pictures kept, its media known to be here and what their parts say.

    Raises as `openai_api.parse` does, and:
        UnknownMedia: of that id there are none.
        BadInput: a video in a part for pictures, or the other way round.
    """
    body = await request.body()
    host = openai_api.host_of(request.headers.get("host", ""))
    hosts = openai_api.THIS_MACHINE | ({host} if host else frozenset())

    def parse() -> ChatRequest:
        return openai_api.parse(body, lambda url: keep_data_url(store, url, size), longest, hosts)

    # a picture is decoded and flushed to disk: not on the event loop that streams others' answers
    asked = await asyncio.to_thread(parse) if b"data:" in body else parse()
    known(asked, store)
    return asked


def known(asked: ChatRequest, store: MediaStore) -> None:
    """Whether the media of a question are here and what its parts say. Raises UnknownMedia or BadInput."""
    for part in openai_api.media_parts(openai_api.for_engine(asked)):
        media = store.get(openai_api.media_id_of(part))
        if part["type"] != f"{media.kind}_url":
            raise BadInput(f"media {media.id} are of kind {media.kind}", f"name them in a {media.kind}_url part")


async def expert_answer(
    asked: ChatRequest,
    who: str,
    chat: Callable[[dict[str, Any], str], Awaitable[dict[str, Any]]],
    stream: Callable[[dict[str, Any], str], AsyncIterator[str]],
) -> Response:
    """An expert's answer, whole or streamed, with the provenance in headers and extension field.

    Args:
        asked: the request, its media known to be here.
        who: the expert's name in errors.
        chat: `Expert.chat`, or the same over a handle.
        stream: `Expert.stream`, or the same over a handle.
    """
    request_id = uuid.uuid4().hex
    if not asked.stream:
        answer = await awaited(chat(openai_api.for_engine(asked), request_id), who)
        return JSONResponse(answer, headers=openai_api.provenance_headers(answer["chordae"]))
    events = reported(stream(openai_api.for_engine(asked), request_id), who)
    provenance = json.loads(await anext(events))

    async def told() -> AsyncIterator[str]:
        try:
            first = json.loads((await anext(events)).removeprefix("data: "))
            yield f"data: {json.dumps(first | {'chordae': provenance})}\n\n"
            async for event in events:
                yield event
        except ChordaeError as error:
            yield f"data: {json.dumps(openai_api.error_body(error))}\n\ndata: [DONE]\n\n"

    return EventStream(told(), events, openai_api.provenance_headers(provenance))


class EventStream(StreamingResponse):
    """Server-sent events made from a deployment's replies, which end with it.

    However it ends: a client may hang up before the first event is asked for, and an iterator that was never begun
    closes nothing.
    """

    def __init__(
        self, events: AsyncIterator[str], replies: AsyncGenerator[Any, None], headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._replies = replies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._replies.aclose()


async def awaited(reply: Awaitable[Any], who: str) -> Any:
    """What a deployment replies; every failure becomes one of the project's errors."""
    try:
        return await reply
    except Exception as error:  # noqa: BLE001 - see above
        raise _named(error, who) from None  # what failed may quote the request


async def reported(replies: AsyncIterator[Any], who: str) -> AsyncGenerator[Any, None]:
    """`awaited` for a stream of replies; whoever stops listening cancels what comes over a handle."""
    try:
        async for reply in replies:
            yield reply
    except (asyncio.CancelledError, GeneratorExit):
        await _cancelled(replies)
        raise
    except Exception as error:  # noqa: BLE001 - see above
        raise _named(error, who) from None  # what failed may quote the request


async def last_answer(steps: AsyncIterator[Any]) -> Answer:
    """The orchestrator's answer, once it has ended: who leaves earlier cancels it."""
    answer: Answer | None = None
    async for step in steps:
        if isinstance(step, Answer):
            answer = step
    if answer is None:
        raise ExpertUnavailable("the orchestrator ended without an answer", "ask again")
    return answer


async def _cancelled(replies: AsyncIterator[Any]) -> None:
    """Replies over a Serve handle go on by themselves; those of our own process are a generator."""
    if isinstance(replies, AsyncGenerator):
        await replies.aclose()
    else:
        replies.cancel()  # type: ignore[attr-defined]


def _named(error: Exception, who: str) -> ChordaeError:
    if isinstance(error, ChordaeError):
        while isinstance(cause := getattr(error, "cause", None), ChordaeError):
            error = cause  # Ray wraps an error at every hop; the innermost is the one that was raised
        return error
    if isinstance(error, BackPressureError):
        return Overloaded(f"too many questions wait for {who}", "ask again in a moment")
    return ExpertUnavailable(f"{who} failed ({type(error).__name__})", "ask again; the replica is being replaced")
