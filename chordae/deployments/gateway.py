"""The API: OpenAI's, for the orchestrator and every expert; and media in and out.

HAProxy sends the outer port of an expert here under that modality's path (`/ecg/v1/...`), where any model name means
that expert; on the orchestrator's port the name chooses: `chordae`, or an expert's own.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from fastapi import FastAPI, Request, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from PIL import Image
from ray import serve
from ray.serve.exceptions import BackPressureError
from starlette.exceptions import HTTPException

from chordae.deployments import openai_api
from chordae.deployments.openai_api import ChatRequest
from chordae.platform.errors import BadInput, ChordaeError, ExpertUnavailable, Overloaded, UnknownModel
from chordae.platform.media import MediaStore
from chordae.platform.schemas import Answer, Media
from chordae.platform.settings import Settings
from chordae.platform.telemetry import keep_requests_out_of_logs
from chordae.preprocessing.ecg import PREPROCESSING_VERSION, prepare_ecg

api = FastAPI(title="chordae", docs_url=None, redoc_url=None)
ORCHESTRATOR = "chordae"
DESCRIBE_S = 10.0  # a call to a deployment without a live replica waits for one
MAX_PIXELS = 20_000_000  # thirty times a rendered ECG


@api.exception_handler(ChordaeError)
async def _told(_: Request, error: ChordaeError) -> JSONResponse:
    return JSONResponse(openai_api.error_body(error), status_code=error.status)


@api.exception_handler(RequestValidationError)
async def _malformed(_: Request, error: RequestValidationError) -> JSONResponse:
    first = error.errors()[0]
    told = BadInput(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}", "see the README for the call")
    return JSONResponse(openai_api.error_body(told), status_code=told.status)


@api.exception_handler(HTTPException)
async def _no_such_call(request: Request, error: HTTPException) -> JSONResponse:
    told = BadInput(f"{request.method} here: {error.detail}", "see the README for the calls")
    return JSONResponse(openai_api.error_body(told), status_code=error.status_code, headers=error.headers)


class Gateway:
    """The callable behind the deployment; `orchestrator` and `experts` are Serve handles."""

    def __init__(self, settings: Settings, orchestrator: Any, experts: dict[str, Any]) -> None:
        keep_requests_out_of_logs()
        self._settings, self._orchestrator, self._experts = settings, orchestrator, experts
        self._media = MediaStore(settings.media_dir)
        self._cards: dict[str, dict[str, Any]] = {}

    @api.get("/health")
    async def health(self) -> dict[str, str]:
        """Answers while every expert does."""
        await self._describe()
        return {"status": "ok"}

    @api.get("/v1/models")
    async def models(self) -> dict[str, Any]:
        """The orchestrator and every expert."""
        mine = {"id": ORCHESTRATOR, "object": "model", "created": 0, "owned_by": "chordae"}
        return {"object": "list", "data": [mine, *(await self._describe()).values()]}

    @api.get("/{modality}/v1/models")
    async def expert_models(self, modality: str) -> dict[str, Any]:
        """One expert alone."""
        self._expert(modality)
        return {"object": "list", "data": [(await self._describe())[modality]]}

    @api.post("/v1/chat/completions")
    async def chat(self, request: Request) -> Response:
        """`chordae`, or an expert by its own name."""
        asked = await self._parse(request)
        if asked.model == ORCHESTRATOR:
            return await self._ask(asked)
        for modality, card in (self._cards or await self._describe()).items():
            if asked.model == card["id"]:
                return await self._ask_expert(modality, asked)
        names = ", ".join([ORCHESTRATOR, *(card["id"] for card in self._cards.values())])
        raise UnknownModel(f"no model {asked.model!r} here", f"use one of: {names}")

    @api.post("/{modality}/v1/chat/completions")
    async def expert_chat(self, modality: str, request: Request) -> Response:
        """One expert, whatever model the client names."""
        self._expert(modality)
        return await self._ask_expert(modality, await self._parse(request))

    @api.post("/media")
    async def upload(self, file: list[UploadFile]) -> Media:
        """Preprocess an ECG recording (several files where one recording is, as in WFDB) and keep its pictures."""
        with tempfile.TemporaryDirectory(prefix="chordae-") as directory:
            paths = []
            for index, part in enumerate(file):
                path = Path(directory) / _file_name(part.filename or "", index)
                path.write_bytes(await part.read())
                paths.append(path)
            header = next((path for path in paths if path.suffix == ".hea"), paths[0])
            if not self._cards:
                await self._describe()
            return await asyncio.to_thread(self._prepare, header)

    def _prepare(self, recording: Path) -> Media:
        ecg = prepare_ecg(recording)
        return self._keep(ecg.marcus_png, PREPROCESSING_VERSION, ecg.sidecar, ecg.clinical_png)

    def _keep(self, png: bytes, version: str, sidecar: dict[str, object], people: bytes | None = None) -> Media:
        """Keep an ECG's picture, also at the size its expert wants, so that no question waits for that."""
        media = self._media.put(png, "ecg", version, sidecar, people)
        size = self._cards.get("ecg", {}).get("chordae", {}).get("picture")
        if size is not None:
            self._media.reduced(media.id, (size[0], size[1]))
        return media

    @api.get("/media/{media_id}")
    async def picture(self, media_id: str) -> FileResponse:
        """The picture of that id."""
        return FileResponse(self._media.path(media_id), media_type="image/png")

    async def _parse(self, request: Request) -> ChatRequest:
        longest = self._settings.gateway.max_question_characters
        body = await request.body()
        if b"data:" not in body:
            return openai_api.parse(body, self._keep_data_url, longest)
        # a picture is decoded and flushed to disk: not on the event loop that streams others' answers
        return await asyncio.to_thread(openai_api.parse, body, self._keep_data_url, longest)

    def _keep_data_url(self, url: str) -> str:
        """Keep a picture sent with the question. One expert so far, so a picture is an ECG."""
        kind, _, encoded = url.partition(",")
        if not kind.startswith(("data:image/png", "data:image/jpeg")) or not kind.endswith(";base64"):
            raise BadInput("a data: URL must hold a base64 PNG or JPEG", "upload other recordings with POST /media")
        try:
            raw = base64.b64decode(encoded, validate=True)
        except ValueError as error:
            raise BadInput("the data: URL is not valid base64", "encode the picture's bytes with base64") from error
        _check_picture(raw)
        try:
            picture = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR)
        except cv2.error:
            picture = None
        if picture is None:
            raise BadInput("the data: URL holds no readable picture", "send a whole PNG or JPEG file")
        png = cv2.imencode(".png", picture)[1].tobytes()
        return self._keep(png, "as-sent", {"source": "data URL"}).id

    def _expert(self, modality: str) -> Any:
        if modality not in self._experts:
            raise UnknownModel(f"no expert {modality!r} here", f"use one of: {', '.join(self._experts)}")
        return self._experts[modality]

    async def _describe(self) -> dict[str, dict[str, Any]]:
        """Every expert's card by modality; the last ones seen give the models their names."""
        self._cards = {
            modality: await _awaited(asyncio.wait_for(expert.describe.remote(), DESCRIBE_S), f"the {modality} expert")
            for modality, expert in self._experts.items()
        }
        return self._cards

    async def _ask(self, asked: ChatRequest) -> Response:
        request_id = uuid.uuid4().hex
        question = openai_api.question_of(asked)
        asking = self._orchestrator.options(stream=True).ask.remote(question, request_id, asked.chordae.probe)
        steps = _reported(asking, ORCHESTRATOR)
        if asked.stream:
            first = await anext(steps)  # a question that cannot be answered is a 4xx, not a stream
            return StreamingResponse(self._tell(first, steps, request_id), media_type="text/event-stream")
        async for step in steps:
            if isinstance(step, Answer):
                headers = openai_api.provenance_headers(step.provenance.model_dump())
                return JSONResponse(openai_api.completion(step, ORCHESTRATOR), headers=headers)
        raise ExpertUnavailable("the orchestrator ended without an answer", "ask again")

    async def _tell(self, first: Any, rest: AsyncIterator[Any], request_id: str) -> AsyncIterator[str]:
        """Stages as they end, then the answer in words, then the end; an error is an event too."""
        try:
            for event in _events(first, request_id):
                yield event
            async for step in rest:
                for event in _events(step, request_id):
                    yield event
        except ChordaeError as error:
            yield f"data: {json.dumps(openai_api.error_body(error))}\n\n"
        yield "data: [DONE]\n\n"

    async def _ask_expert(self, modality: str, asked: ChatRequest) -> Response:
        request_id, expert = uuid.uuid4().hex, self._expert(modality)
        for media_id in openai_api.media_ids(openai_api.for_engine(asked)):
            self._media.path(media_id)
        if not asked.stream:
            answer = await _awaited(expert.chat.remote(openai_api.for_engine(asked), request_id), modality)
            return JSONResponse(answer, headers=openai_api.provenance_headers(answer["chordae"]))
        events = _reported(
            expert.options(stream=True).stream.remote(openai_api.for_engine(asked), request_id), modality
        )
        provenance = json.loads(await anext(events))

        async def told() -> AsyncIterator[str]:
            try:
                first = json.loads((await anext(events)).removeprefix("data: "))
                yield f"data: {json.dumps(first | {'chordae': provenance})}\n\n"
                async for event in events:
                    yield event
            except ChordaeError as error:
                yield f"data: {json.dumps(openai_api.error_body(error))}\n\ndata: [DONE]\n\n"

        return StreamingResponse(
            told(), media_type="text/event-stream", headers=openai_api.provenance_headers(provenance)
        )


def _events(step: Answer | tuple[str, float], request_id: str) -> Iterator[str]:
    """A finished stage, or the answer word by word, as server-sent events."""
    if not isinstance(step, Answer):
        yield openai_api.event(request_id, ORCHESTRATOR, extension={"stage": step[0], "seconds": step[1]})
        return
    for word in re.findall(r"\s*\S+", step.text):
        yield openai_api.event(request_id, ORCHESTRATOR, word)
    extension = step.model_dump(mode="json", exclude={"text"})
    yield openai_api.event(request_id, ORCHESTRATOR, finish=step.finish_reason, extension=extension)


def _check_picture(raw: bytes) -> None:
    """Refuse what is no PNG or JPEG, or too large, by its header alone: a small file may unpack to gigabytes."""
    try:
        with Image.open(io.BytesIO(raw), formats=("PNG", "JPEG")) as header:
            pixels = header.width * header.height
    except Image.DecompressionBombError:
        pixels = MAX_PIXELS + 1
    except (OSError, ValueError, SyntaxError) as error:  # what Pillow raises for what it cannot read
        raise BadInput("the data: URL holds no readable picture", "send a whole PNG or JPEG file") from error
    if pixels > MAX_PIXELS:
        raise BadInput(f"the picture has more than {MAX_PIXELS // 10**6} million pixels", "send a smaller one")


def _file_name(sent: str, index: int) -> str:
    """A made-up name, for names of files may be names of patients; a WFDB header refers to the names as sent."""
    name = re.split(r"[/\\]", sent)[-1]
    if re.fullmatch(r"\w[\w. -]{0,59}\.(hea|dat|mat)", name):
        return name
    suffix = re.search(r"\.[a-z0-9]{1,8}\Z", name, re.IGNORECASE | re.ASCII)
    return f"recording-{index}{suffix[0] if suffix else ''}"


async def _awaited(reply: Any, who: str) -> Any:
    try:
        return await reply
    except Exception as error:  # noqa: BLE001 - every failure behind a handle becomes one of the project's errors
        raise _named(error, who) from None  # what failed may quote the request


async def _reported(replies: Any, who: str) -> AsyncIterator[Any]:
    try:
        async for reply in replies:
            yield reply
    except Exception as error:  # noqa: BLE001 - every failure behind a handle becomes one of the project's errors
        raise _named(error, who) from None  # what failed may quote the request


def _named(error: Exception, who: str) -> ChordaeError:
    if isinstance(error, ChordaeError):
        while isinstance(cause := getattr(error, "cause", None), ChordaeError):
            error = cause  # Ray wraps an error at every hop; the innermost is the one that was raised
        return error
    if isinstance(error, BackPressureError):
        return Overloaded(f"too many questions wait for {who}", "ask again in a moment")
    return ExpertUnavailable(f"{who} failed ({type(error).__name__})", "ask again; the replica is being replaced")


GatewayDeployment: Any = serve.deployment(serve.ingress(api)(Gateway))
