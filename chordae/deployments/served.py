"""What every part of the gateway's API stands on: the orchestrator, the experts and their cards, the media store."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from typing import Any

from fastapi import Response

from chordae.deployments import openai_api, pictures
from chordae.deployments.intake import Sent, prepare_sent
from chordae.deployments.openai_api import ChatRequest
from chordae.deployments.trial import reasoners
from chordae.deployments.uploads import UploadStore
from chordae.deployments.web import awaited, expert_answer
from chordae.platform.errors import UnknownModel
from chordae.platform.schemas import Media, Modality
from chordae.platform.settings import REASONER, Settings
from chordae.platform.telemetry import keep_requests_out_of_logs

DESCRIBE_S = 10.0  # a call to a deployment without a live replica waits for one


class Served:
    """The base of the gateway's parts; `orchestrator`, `experts` and `candidate`, a reasoner's, are Serve handles."""

    def __init__(self, settings: Settings, orchestrator: Any, experts: dict[str, Any], candidate: Any = None) -> None:
        keep_requests_out_of_logs()
        self._settings, self._orchestrator, self._experts = settings, orchestrator, experts
        self._reasoners = reasoners(settings, experts.get(REASONER), candidate)
        self._media = UploadStore(settings.media_dir)
        self._cards: dict[str, dict[str, Any]] = {}
        self._seen: dict[str, float] = {}

    async def _card(self, modality: str, age_s: float = 0) -> dict[str, Any]:
        """An expert's card, of that age at most. Raises UnknownModel or ExpertUnavailable."""
        if modality not in self._experts:
            raise UnknownModel(f"no {modality} expert is served here", "add one under `experts` in the settings")
        if time.monotonic() - self._seen.get(modality, -math.inf) >= age_s:
            described = asyncio.wait_for(self._experts[modality].describe.remote(), DESCRIBE_S)
            self._cards[modality] = await awaited(described, f"the {modality} expert")
            self._seen[modality] = time.monotonic()
        return self._cards[modality]

    def _size(self) -> pictures.Size:
        """At which the ECG expert wants its pictures, as far as it has said; the others look at videos."""
        size = self._cards.get("ecg", {}).get("chordae", {}).get("picture")
        return None if size is None else (size[0], size[1])

    async def _keep(self, study: Sequence[Sent], wanted: Modality | None = None) -> Media:
        """Prepare one study and keep its media. Raises UnreadableRecording; nothing is kept then."""
        prepared = await asyncio.to_thread(prepare_sent, study, wanted)
        if prepared.modality == "ecg" and "ecg" in self._experts and "ecg" not in self._cards:
            await self._card("ecg")
        return await asyncio.to_thread(pictures.keep_study, self._media, prepared, self._size())

    async def _ask_expert(self, modality: str, asked: ChatRequest) -> Response:
        about = next(iter(openai_api.media_ids(openai_api.for_engine(asked))), "")
        expert = self._experts[modality].options(session_id=about)  # the replica that knows it (`study_router.py`)
        return await expert_answer(asked, modality, expert.chat.remote, expert.options(stream=True).stream.remote)
