"""The reasoner's own port: OpenAI's API, as every expert has it, and nothing of records.

A record is diagnosed by `POST /v1/diagnoses` on the orchestrator's port, which keeps what was said.
"""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from ray import serve

from chordae.deployments.openai_api import ChatRequest
from chordae.deployments.openapi_document import COMPLETION, ModelList, json_body
from chordae.deployments.reasoner import Reasoner
from chordae.deployments.uploads import UploadStore
from chordae.deployments.web import expert_answer, new_api, read_question
from chordae.platform.registry.desired import Desired
from chordae.platform.settings import REASONER, Settings
from chordae.platform.wanted import Wanted

api = new_api()


class ReasonerReplica(Reasoner):
    """`Reasoner` with its engine loaded, on HTTP: a replica is ready once this constructor returns."""

    async def __init__(self, settings: Settings, instead: Wanted | None = None) -> None:  # type: ignore[misc]
        super().__init__(settings, desired=Desired(settings.data_dir, settings.swap.poll_s), instead=instead)
        self._media_dir = settings.media_dir
        await self.start()

    async def standing(self) -> dict[str, Any]:
        """What it serves, what is wanted, and Serve's name for what it was started as: for `replacement.py`."""
        return self._versions.state() | {"release": serve.get_replica_context().code_version}

    @api.get("/health", response_model=None)
    async def health(self) -> dict[str, Any]:
        """Which version is served; 503 while another is wanted that has not been tried."""
        return await self.readiness()

    @api.get("/v1/models", response_model=None, responses={200: {"model": ModelList}})
    async def models(self) -> dict[str, Any]:
        """The reasoner alone."""
        return {"object": "list", "data": [await self.describe()]}

    @api.post(
        "/v1/chat/completions", response_class=JSONResponse, responses=COMPLETION, openapi_extra=json_body(ChatRequest)
    )
    async def completions(self, request: Request) -> Response:
        """What the reasoner writes, unchecked, whatever model the client names."""
        asked = await read_question(request, UploadStore(self._media_dir), None, self._longest_question)
        return await expert_answer(asked, REASONER, self.chat, self.stream)


ReasonerDeployment: Any = serve.deployment(serve.ingress(api)(ReasonerReplica))
