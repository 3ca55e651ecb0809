"""A reasoner without a model: an engine that writes a chain by rule, and a record for it to read."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fakes import FakeEngine, FakeHandle, Platform, embed_words, three_experts

from chordae.deployments.gateway import Gateway
from chordae.deployments.orchestrator import Orchestrator
from chordae.deployments.reasoner import Reasoner
from chordae.platform.diagnosis.chain import write_chain
from chordae.platform.diagnosis.record import CmrRecord, Finding, Parameter
from chordae.platform.settings import Settings

RECORD = CmrRecord(
    parameters=(
        Parameter(name="LV EF", value=40.9, unit="%", low=59, high=83),
        Parameter(name="LV EDV", value=102, unit="mL", low=99, high=199),
        Parameter(name="LV ESV", value=60, unit="mL", low=17, high=69),
    ),
    description=(
        Finding(number=1, text="Normal size of the left ventricle", normal=True),
        Finding(number=2, text="Subendocardial late enhancement, inferior", normal=False),
    ),
    sex="female",
    age=54,
)
FAITHFUL = write_chain(RECORD, "myocardial infarction", ["LV EF", "LV EDV"], [2], ["LV EF", 2])
UNFAITHFUL = FAITHFUL.replace("40.9", "20.9")
UNANSWERED = FAITHFUL.split("<answer>")[0]
TWICE = FAITHFUL + "<answer>normal</answer>"
FIRST = {"m": -1.0, "n": -3.0}
"""Log-probabilities of the first letters of the categories that this reasoner thinks of; of all others -9."""


class Characters:
    """A tokenizer of one token a character."""

    def __call__(self, text: str, add_special_tokens: bool = True) -> dict[str, list[int]]:
        return {"input_ids": [ord(one) for one in text]}

    def apply_chat_template(self, messages: list[dict[str, str]], **_: Any) -> list[int]:
        return [ord(one) for message in messages for one in message["content"]]


@dataclass
class FakeReasonerEngine(FakeEngine):
    """Writes the same chain to every record, in words a token; likes some first letters better than others."""

    writes: str | Callable[[], str] = FAITHFUL
    delay_s: float = 0.0
    asked: list[tuple[int, ...]] = field(default_factory=list)

    @property
    def tokenizer(self) -> Any:
        return _CHARACTERS

    async def chat(self, request: dict[str, Any]) -> dict[str, Any]:
        self.requests.append(request)
        await asyncio.sleep(self.delay_s)
        text = self.writes if isinstance(self.writes, str) else self.writes()
        message = {"role": "assistant", "content": text}
        return self._envelope(request, "chat.completion") | {
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]
        }

    async def next_logprobs(self, prompt_ids: Sequence[int], among: Sequence[int]) -> list[float]:
        self.asked.append(tuple(prompt_ids))
        return [FIRST.get(chr(token), -9.0) if chr(prompt_ids[-1]) == ">" else _even(among) for token in among]


def _even(among: Sequence[int]) -> float:
    return -math.log(len(among))


_CHARACTERS = Characters()


def with_reasoner(tmp_path: Path, model_dir: Path, **branches: Any) -> Settings:
    """`three_experts`, and a reasoner."""
    reasoner = {"model": str(model_dir), "port": 8030, "max_answer_tokens": 700}
    return three_experts(tmp_path, model_dir, reasoner=reasoner, **branches)


class ReasonerPlatform(Platform):
    """A platform whose experts are joined by a reasoner with that engine."""

    def __init__(self, settings: Settings, thinker: FakeReasonerEngine) -> None:
        super().__init__(settings, FakeEngine())
        self.thinker = thinker
        self.experts["reasoner"] = FakeHandle(Reasoner(settings, thinker))
        self.orchestrator = Orchestrator(settings, self.experts, embed_words)
        self.gateway = Gateway(settings, FakeHandle(self.orchestrator), self.experts)
