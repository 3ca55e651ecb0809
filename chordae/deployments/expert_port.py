"""An expert's own port: OpenAI's API in the very process that holds the engine, without a gateway between.

HAProxy sends the expert's outer port to its Serve application (`/ecg/v1/...`); any model name means that expert there.
The orchestrator and the gateway reach the same replicas over handles.
"""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from ray import serve

from chordae.deployments.expert import Expert
from chordae.deployments.openai_api import ChatRequest
from chordae.deployments.openapi_document import COMPLETION, ModelList, json_body
from chordae.deployments.uploads import UploadStore
from chordae.deployments.web import expert_answer, new_api, read_question
from chordae.platform.registry.desired import Desired
from chordae.platform.schemas import Modality
from chordae.platform.settings import Settings
from chordae.platform.wanted import Wanted

api = new_api()


class ExpertReplica(Expert):
    """`Expert` with its engine loaded, on HTTP: a replica is ready once this constructor returns."""

    async def __init__(self, modality: Modality, settings: Settings, instead: Wanted | None = None) -> None:  # type: ignore[misc]
        super().__init__(modality, settings, desired=Desired(settings.data_dir, settings.swap.poll_s), instead=instead)
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
        """This expert alone."""
        return {"object": "list", "data": [await self.describe()]}

    @api.post(
        "/v1/chat/completions", response_class=JSONResponse, responses=COMPLETION, openapi_extra=json_body(ChatRequest)
    )
    async def completions(self, request: Request) -> Response:
        """An unprobed answer, whatever model the client names."""
        store = UploadStore(self._media.directory)  # a picture that comes with the question is an upload
        asked = await read_question(request, store, self._manifest.picture, self._longest_question)
        return await expert_answer(asked, self._modality, self.chat, self.stream)


ExpertDeployment: Any = serve.deployment(serve.ingress(api)(ExpertReplica))
