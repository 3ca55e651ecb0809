"""From a record to a diagnosis: examine, prompt, chain, check, probabilities.

The same for whoever has an engine: a Serve replica, the command line, an evaluation.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from chordae.platform.diagnosis.category import CATEGORIES, Language
from chordae.platform.diagnosis.check import check
from chordae.platform.diagnosis.diagnosis import Diagnosis
from chordae.platform.diagnosis.examine import WITHHOLDING, Examined, Problem, examine
from chordae.platform.diagnosis.parsing import parse
from chordae.platform.diagnosis.probabilities import OPEN, probabilities
from chordae.platform.diagnosis.prompts import messages
from chordae.platform.diagnosis.record import CmrRecord
from chordae.platform.diagnosis.temperature import scaled
from chordae.platform.engine import ChatEngine
from chordae.platform.errors import BadInput, ExpertUnavailable
from chordae.platform.noun import Provenance, WeightsVersion

SHORTEST_CHAIN = 64
"""Tokens that must be left for the chain; and one is kept for the category."""


class ReasonerEngine(ChatEngine, Protocol):
    """What a reasoner needs of an engine; tests have one without a model."""

    @property
    def tokenizer(self) -> Any:
        """The model's own (Hugging Face), with its chat template."""
        ...

    async def next_logprobs(self, prompt_ids: Sequence[int], among: Sequence[int]) -> list[float]: ...


@dataclass(frozen=True)
class Reasoning:
    """A running engine, and what is known of its weights."""

    engine: ReasonerEngine
    weights: WeightsVersion
    settings_digest: str
    context: int
    """Tokens of prompt and chain at most."""
    longest: int
    """Tokens of a chain at most."""
    timeout_s: float
    temperature: float | None = None
    """Fitted for these weights; none: 1, and the diagnosis says that it is not calibrated."""

    async def diagnose(
        self, record: CmrRecord, language: Language | None, request_id: str, noticed: Sequence[Problem] = ()
    ) -> Diagnosis:
        """The diagnosis of one record, with no category rather than a doubtful one.

        Args:
            record: as it was read.
            language: of prompt and chain; none: that of the description.
            request_id: goes into the provenance.
            noticed: what reading the record brought to light.

        Raises:
            BadInput: the record is longer than the model's context.
            ExpertUnavailable: the engine failed, or took longer than `timeout_s`.
        """
        examined = examine(record, noticed)
        spoken = language or examined.language
        fixed: dict[str, Any] = {
            "language": spoken,
            "problems": examined.problems,
            "record": digest(record),
            "weights": self.weights,
            "provenance": Provenance(
                request_id=request_id, weights=(self.weights,), media=(), settings_digest=self.settings_digest
            ),
            "temperature": self.temperature or 1.0,
            "calibrated": self.temperature is not None,
        }
        if examined.withheld:
            reason = next(one.text for one in examined.problems if one.kind in WITHHOLDING)
            return Diagnosis(category=None, reason=reason, flagged=True, why=(reason,), **fixed)
        try:
            async with asyncio.timeout(self.timeout_s):
                return await self._reason(examined, spoken, request_id, fixed)
        except TimeoutError as error:
            problem = f"the reasoner did not answer in {self.timeout_s:.0f} s"
            raise ExpertUnavailable(problem, "ask again later") from error

    def fits(self, record: CmrRecord, language: Language) -> bool:
        """Whether the model's context has room for the record and a chain."""
        return self._prompt(messages(examine(record).record, language))[1] >= SHORTEST_CHAIN

    def _prompt(self, asked: list[dict[str, str]]) -> tuple[list[int], int]:
        """Its token ids, and how many more there is room for."""
        prompt = self.engine.tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=False)
        return prompt, min(self.longest, self.context - len(prompt) - 1)

    async def _reason(
        self, examined: Examined, language: Language, request_id: str, fixed: dict[str, Any]
    ) -> Diagnosis:
        record, tokenizer = examined.record, self.engine.tokenizer
        asked = messages(record, language)
        prompt, room = self._prompt(asked)
        if room < SHORTEST_CHAIN:
            problem = f"the record has {len(prompt)} tokens, too many for the reasoner's context of {self.context}"
            raise BadInput(problem, "shorten its description")
        request = {"model": self.weights.name, "request_id": request_id, "messages": asked}
        reply = await self.engine.chat(request | {"temperature": 0.0, "max_completion_tokens": room})
        written = str(reply["choices"][0]["message"].get("content") or "").strip()
        cut = reply["choices"][0]["finish_reason"] == "length"
        chain = parse(written)
        found = check(chain, record)
        told: dict[str, Any] = fixed | {"written": written, "chain": chain, "check": found}
        why = [*(["The chain was cut off."] if cut else []), *chain.problems, *found.problems]
        if chain.category is None:
            reason = " ".join(why[:2]) or "The reasoner gave no category."
            return Diagnosis(category=None, reason=reason, flagged=True, why=tuple(why), **told)
        opened = tokenizer(OPEN, add_special_tokens=False)["input_ids"]
        raw = await probabilities(self.engine, [*prompt, *opened], tokenizer, language)
        shares = dict(zip(CATEGORIES, scaled(raw, fixed["temperature"]), strict=True))
        likeliest = max(shares, key=shares.__getitem__)
        if likeliest != chain.category:
            why.append(f"On the record alone {likeliest} is likeliest, the chain's answer is {chain.category}.")
        return Diagnosis(category=chain.category, probabilities=shares, flagged=bool(why), why=tuple(why), **told)


def digest(record: CmrRecord) -> str:
    """SHA-256 of what the record says, whosever it is."""
    return hashlib.sha256(record.model_dump_json(exclude={"patient_key"}).encode()).hexdigest()
