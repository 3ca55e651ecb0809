"""The orchestrator's port: OpenAI's API, for the orchestrator and every expert by its name; and media in and out.

An expert's own port leads past this, to the expert itself (`expert_port.py`).
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import secrets
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from fastapi import Request, Response, UploadFile
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from ray import serve

from chordae.deployments import openai_api, pictures
from chordae.deployments.openai_api import ChatRequest
from chordae.deployments.web import awaited, expert_answer, new_api, read_question, reported
from chordae.platform.errors import ChordaeError, ExpertUnavailable, UnknownModel
from chordae.platform.media import MediaStore
from chordae.platform.schemas import Answer, Media
from chordae.platform.settings import Settings
from chordae.platform.telemetry import keep_requests_out_of_logs
from chordae.preprocessing.identity import KEY_BYTES, Site
from chordae.preprocessing.study import prepare_study

api = new_api()
ORCHESTRATOR = "chordae"
DESCRIBE_S = 10.0  # a call to a deployment without a live replica waits for one
CARD_S = 10.0  # an expert that is deployed anew goes by its old name for no longer


class Gateway:
    """The callable behind the deployment; `orchestrator` and `experts` are Serve handles."""

    def __init__(self, settings: Settings, orchestrator: Any, experts: dict[str, Any]) -> None:
        keep_requests_out_of_logs()
        self._settings, self._orchestrator, self._experts = settings, orchestrator, experts
        self._media = MediaStore(settings.media_dir)
        self._cards: dict[str, dict[str, Any]] = {}
        self._seen: dict[str, float] = {}

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

    @api.post("/v1/chat/completions")
    async def chat(self, request: Request) -> Response:
        """`chordae`, or an expert by its own name."""
        longest = self._settings.gateway.max_question_characters
        asked = await read_question(request, self._media, self._size(), longest)
        if asked.model == ORCHESTRATOR:
            return await self._ask(asked)
        return await self._ask_expert(await self._named(asked.model), asked)

    @api.post("/media")
    async def upload(self, file: list[UploadFile]) -> Media:
        """Preprocess a study and keep its picture or video: an ECG, or an archive or DICOM files of an echo or a CMR.

        Several files are one study, for example header and signals of WFDB.
        """
        with tempfile.TemporaryDirectory(prefix="chordae-") as directory:
            paths = []
            for index, part in enumerate(file):
                path = Path(directory) / _file_name(part.filename or "", index)
                path.write_bytes(await part.read())
                paths.append(path)
            alone = paths[0] if len(paths) == 1 else Path(directory)
            header = next((path for path in paths if path.suffix == ".hea"), alone)
            if not self._cards:
                await self._describe()
            return await asyncio.to_thread(self._prepare, header)

    def _prepare(self, study: Path) -> Media:
        # whose it is decides only whether it is of one patient: the hashes and the key that made them are dropped
        prepared = prepare_study(study, Site("upload", secrets.token_bytes(KEY_BYTES)))
        return pictures.keep_study(self._media, prepared, self._size())

    def _size(self) -> pictures.Size:
        """At which the ECG expert wants its pictures; the others look at videos."""
        size = self._cards.get("ecg", {}).get("chordae", {}).get("picture")
        return None if size is None else (size[0], size[1])

    @api.get("/media/{media_id}")
    async def picture(self, media_id: str) -> FileResponse:
        """The picture or video of that id."""
        return FileResponse(self._media.path(media_id))

    async def _named(self, model: str) -> str:
        """The modality of the expert of that name. Raises UnknownModel."""
        for modality, card in list(self._cards.items()):
            if model == card["id"] and model == (await self._card(modality, CARD_S))["id"]:
                return modality
        for modality, card in (await self._describe()).items():  # a new name, maybe
            if model == card["id"]:
                return modality
        names = ", ".join([ORCHESTRATOR, *(card["id"] for card in self._cards.values())])
        raise UnknownModel(f"no model {model!r} here", f"use one of: {names}")

    async def _describe(self) -> dict[str, dict[str, Any]]:
        """Every expert's card by modality; the last ones seen give the models their names."""
        return {modality: await self._card(modality) for modality in self._experts}

    async def _card(self, modality: str, age_s: float = 0) -> dict[str, Any]:
        """An expert's card, of that age at most."""
        if time.monotonic() - self._seen.get(modality, -math.inf) >= age_s:
            described = asyncio.wait_for(self._experts[modality].describe.remote(), DESCRIBE_S)
            self._cards[modality] = await awaited(described, f"the {modality} expert")
            self._seen[modality] = time.monotonic()
        return self._cards[modality]

    async def _ask(self, asked: ChatRequest) -> Response:
        request_id = uuid.uuid4().hex
        question = openai_api.question_of(asked)
        asking = self._orchestrator.options(stream=True).ask.remote(question, request_id, asked.chordae.probe)
        steps = reported(asking, ORCHESTRATOR)
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
        expert = self._experts[modality]
        return await expert_answer(asked, modality, expert.chat.remote, expert.options(stream=True).stream.remote)


def _events(step: Answer | tuple[str, float], request_id: str) -> Iterator[str]:
    """A finished stage, or the answer word by word, as server-sent events."""
    if not isinstance(step, Answer):
        yield openai_api.event(request_id, ORCHESTRATOR, extension={"stage": step[0], "seconds": step[1]})
        return
    for word in re.findall(r"\s*\S+", step.text):
        yield openai_api.event(request_id, ORCHESTRATOR, word)
    extension = step.model_dump(mode="json", exclude={"text"})
    yield openai_api.event(request_id, ORCHESTRATOR, finish=step.finish_reason, extension=extension)


def _file_name(sent: str, index: int) -> str:
    """A made-up name, for names of files may be names of patients; a WFDB header refers to the names as sent."""
    name = re.split(r"[/\\]", sent)[-1]
    if re.fullmatch(r"\w[\w. -]{0,59}\.(hea|dat|mat)", name):
        return name
    suffix = re.search(r"\.[a-z0-9]{1,8}\Z", name, re.IGNORECASE | re.ASCII)
    return f"recording-{index}{suffix[0] if suffix else ''}"


GatewayDeployment: Any = serve.deployment(serve.ingress(api)(Gateway))
