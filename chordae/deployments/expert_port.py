"""An expert's own port: OpenAI's API in the very process that holds the engine, without a gateway between.

HAProxy sends the expert's outer port to its Serve application (`/ecg/v1/...`); any model name means that expert there.
The orchestrator and the gateway reach the same replicas over handles.
"""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response
from ray import serve

from chordae.deployments.expert import Expert
from chordae.deployments.web import expert_answer, new_api, read_question
from chordae.platform.schemas import Modality
from chordae.platform.settings import Settings

api = new_api()


class ExpertReplica(Expert):
    """`Expert` with its engine loaded, on HTTP: a replica is ready once this constructor returns."""

    async def __init__(self, modality: Modality, settings: Settings) -> None:  # type: ignore[misc]
        super().__init__(modality, settings)
        await self.start()

    @api.get("/v1/models")
    async def models(self) -> dict[str, Any]:
        """This expert alone."""
        return {"object": "list", "data": [await self.describe()]}

    @api.post("/v1/chat/completions")
    async def completions(self, request: Request) -> Response:
        """An unprobed answer, whatever model the client names."""
        asked = await read_question(request, self._media, self._manifest.picture, self._longest_question)
        return await expert_answer(asked, self._modality, self.chat, self.stream)


ExpertDeployment: Any = serve.deployment(serve.ingress(api)(ExpertReplica))
