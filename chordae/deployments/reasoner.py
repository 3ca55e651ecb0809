"""The CMR reasoner on Ray Serve: a chat model of text alone that diagnoses records.

Its chain is checked and its probabilities come from constrained decoding: `chordae.platform.diagnosis.reasoning`.
Nothing of a record is logged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chordae.deployments.beginning import begin
from chordae.deployments.chat_model import ChatModel
from chordae.deployments.reconcile import Desired
from chordae.platform.diagnosis.category import Language
from chordae.platform.diagnosis.diagnosis import Diagnosis
from chordae.platform.diagnosis.examine import Problem
from chordae.platform.diagnosis.reasoning import ReasonerEngine, Reasoning
from chordae.platform.diagnosis.record import CmrRecord
from chordae.platform.errors import BadInput, BadSettings
from chordae.platform.settings import Settings
from chordae.platform.text_engine import TextEngine
from chordae.platform.wanted import Wanted
from chordae.platform.weights import fetch_checkpoint, read_manifest


class Reasoner(ChatModel):
    """The callable behind the deployment; tests give it an engine of their own."""

    def __init__(
        self,
        settings: Settings,
        engine: ReasonerEngine | None = None,
        patience_s: float | None = None,
        desired: Desired | None = None,
        instead: Wanted | None = None,
    ) -> None:
        """`patience_s` for one record; none: as long as an expert may take. `desired`, `instead` as an expert's."""
        wanted = settings.reasoner
        if wanted is None:
            raise BadSettings("there is no reasoner in the settings", "add one under `reasoner`")
        checkpoint = fetch_checkpoint(wanted.model, wanted.revision)
        manifest = read_manifest(checkpoint)
        if manifest.modality is not None:
            problem = f"{manifest.name} is an expert for {manifest.modality}, not a reasoner"
            raise BadSettings(problem, "set reasoner.model to another checkpoint")
        began = begin(checkpoint, desired, instead)
        self._thinker = engine or TextEngine(began.loaded.directory, manifest.name, wanted.engine)
        super().__init__(settings, wanted, began, self._thinker, desired)
        self._context = wanted.engine.max_model_len
        self._patience_s = patience_s or settings.orchestrator.expert_timeout_s

    async def diagnose(
        self, record: CmrRecord, language: Language | None, request_id: str, noticed: Sequence[Problem] = ()
    ) -> Diagnosis:
        """The diagnosis of one record. Raises as `Reasoning.diagnose` does."""
        async with self._versions.passing():
            return await self._reasoning().diagnose(record, language, request_id, noticed)

    def _reasoning(self) -> Reasoning:
        fitted = self._loaded.temperature
        return Reasoning(
            engine=self._thinker,
            weights=self._loaded.weights,
            settings_digest=self._settings_digest,
            context=self._context,
            longest=self._longest_answer,
            timeout_s=self._patience_s,
            temperature=None if fitted is None else fitted.temperature,
        )

    def _described(self) -> dict[str, Any]:
        fitted = self._loaded.temperature
        temperature = 1.0 if fitted is None else fitted.temperature
        return {"kind": "reasoner", "temperature": temperature, "calibrated": fitted is not None}

    def _answered(self) -> dict[str, Any]:
        return {}

    def _with_file(self, part: dict[str, Any], read: bool) -> dict[str, Any]:
        if part.get("type") != "text":
            raise BadInput("the reasoner reads text alone", "ask an expert about recordings, or the model chordae")
        return part
