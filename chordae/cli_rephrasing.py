"""Questions in other words for calibration and benchmark, as the platform with these settings would put them.

A threshold fitted on other rephrasings than are served would judge other wordings than it saw.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from chordae.deployments.language import ANSWER_TOKENS, TEMPERATURE
from chordae.deployments.rephrasing import rephrase, rephrasings
from chordae.learning.engine_answering import EngineExpert, engine_expert
from chordae.learning.probed_answers import Rephrase
from chordae.platform.probing import Embed
from chordae.platform.schemas import Modality
from chordae.platform.settings import Settings
from chordae.platform.weights import fetch_checkpoint

AT_ONCE = 6
"""Questions at the engine; each has six candidates."""


@contextmanager
def rephraser(settings: Settings, embed: Embed) -> Iterator[Rephrase]:
    """By the expert that `orchestrator.language` names, while its engine runs; by the bank where it names none.

    Raises:
        BadSettings: that expert's checkpoint cannot be served.
    """
    language = settings.orchestrator.language
    if language is None:
        yield lambda questions: [rephrase(*one) for one in questions]
        return
    expert = settings.experts[language]
    with engine_expert(fetch_checkpoint(expert.model, expert.revision), expert, language) as engine:
        yield lambda questions: engine.runner.run(_all(engine, questions, embed))


async def _all(engine: EngineExpert, questions: Sequence[tuple[str, Modality]], embed: Embed) -> list[tuple[str, ...]]:
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(question: str, modality: Modality) -> tuple[str, ...]:
        seeds = itertools.count()  # sampled, as served, but the same again another time

        async def ask(prompt: str) -> str:
            sampled = {"temperature": TEMPERATURE, "max_completion_tokens": ANSWER_TOKENS, "seed": next(seeds)}
            return await engine.say(prompt, sampled)

        async with slots:
            return tuple(each.text for each in await rephrasings(question, modality, ask, embed))

    return list(await asyncio.gather(*(one(*each) for each in questions)))
