"""The orchestrator's port: OpenAI's API, for the orchestrator and every expert by its name; and media in and out.

Further calls are in `studies_api.py` (studies and stored answers), `diagnoses_api.py` (records) and `web_api.py` (the
experts' web ports). An expert's own port leads past this, to the expert itself (`expert_port.py`).
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

from fastapi import Request, Response, UploadFile
from fastapi.responses import FileResponse, JSONResponse
from ray import serve

from chordae.deployments import diagnoses_api, openai_api, studies_api, web_api
from chordae.deployments.diagnoses_api import DiagnosesApi
from chordae.deployments.given_records import read_given
from chordae.deployments.intake import received
from chordae.deployments.openai_api import ChatRequest
from chordae.deployments.openapi_document import COMPLETION, FILE, Health, ModelList, json_body
from chordae.deployments.web import EventStream, last_answer, new_api, read_question, reported
from chordae.deployments.web_api import WebApi
from chordae.platform.errors import ChordaeError, UnknownModel
from chordae.platform.schemas import Answer, Media

api = new_api()
ORCHESTRATOR = "chordae"
CARD_S = 10.0  # an expert that is deployed anew goes by its old name for no longer


class Gateway(WebApi, DiagnosesApi):
    """The callable behind the deployment: these calls, and those of its bases."""

    @api.get("/health")
    async def health(self) -> Health:
        """Answers while every expert does."""
        await self._describe()
        return Health(status="ok")

    @api.get("/v1/models", response_model=None, responses={200: {"model": ModelList}})
    async def models(self) -> dict[str, Any]:
        """The orchestrator and every expert."""
        mine = {"id": ORCHESTRATOR, "object": "model", "created": 0, "owned_by": "chordae"}
        return {"object": "list", "data": [mine, *(await self._describe()).values()]}

    @api.post(
        "/v1/chat/completions", response_class=JSONResponse, responses=COMPLETION, openapi_extra=json_body(ChatRequest)
    )
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
        return await self._keep(await received(file))

    @api.get("/media/{media_id}", response_class=FileResponse, responses=FILE)
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

    async def _ask(self, asked: ChatRequest) -> Response:
        request_id = uuid.uuid4().hex
        question = openai_api.question_of(asked)
        if asked.chordae.record is not None:
            read = read_given(asked.chordae.record, asked.chordae.noticed)
            question = question.model_copy(update={"record": read.record, "noticed": read.problems})
        asking = self._orchestrator.options(stream=True).ask.remote(question, request_id, asked.chordae.probe)
        steps = reported(asking, ORCHESTRATOR)
        if asked.stream:
            first = await anext(steps)  # a question that cannot be answered is a 4xx, not a stream
            return EventStream(self._tell(first, steps, request_id), steps)
        answer = await last_answer(steps)
        headers = openai_api.provenance_headers(answer.provenance.model_dump())
        return JSONResponse(openai_api.completion(answer, ORCHESTRATOR), headers=headers)

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


def _events(step: Answer | tuple[str, float], request_id: str) -> Iterator[str]:
    """A finished stage, or the answer word by word, as server-sent events."""
    if not isinstance(step, Answer):
        yield openai_api.event(request_id, ORCHESTRATOR, extension={"stage": step[0], "seconds": step[1]})
        return
    for word in re.findall(r"\s*\S+", step.text):
        yield openai_api.event(request_id, ORCHESTRATOR, word)
    extension = step.model_dump(mode="json", exclude={"text"})
    yield openai_api.event(request_id, ORCHESTRATOR, finish=step.finish_reason, extension=extension)


api.include_router(web_api.router)
api.include_router(studies_api.router)
api.include_router(diagnoses_api.router)
GatewayDeployment: Any = serve.deployment(serve.ingress(api)(Gateway))
