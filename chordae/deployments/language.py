"""The orchestrator's language tasks, put to the expert that the settings name: split a question, say it otherwise.

What comes back is checked where it is used (`decomposition.py`, `rephrasing.py`); that the expert fails or is late is a
reason to do without it.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

from chordae.deployments.decomposition import Decomposition, decompose
from chordae.deployments.rephrasing import Rephrasing, rephrasings
from chordae.platform.errors import ChordaeError, ExpertUnavailable
from chordae.platform.probing import Embed
from chordae.platform.schemas import Modality

ANSWER_TOKENS = 160
TEMPERATURE = 0.8
"""Rephrasings are sampled: at 0 all candidates would be the same."""
REMEMBERED = 1024
"""Questions whose rephrasings are kept: hospitals ask the same ones over and over, and get the same probes for them."""


class LanguageTasks:
    """Both tasks over one Serve handle; without one, rules and the bank do them."""

    def __init__(self, expert: Any | None, embed: Embed, timeout_s: float) -> None:
        self._expert, self._embed, self._timeout_s = expert, embed, timeout_s
        self._remembered: OrderedDict[tuple[Modality, str], tuple[Rephrasing, ...]] = OrderedDict()

    async def split(self, question: str, available: tuple[Modality, ...], request_id: str) -> Decomposition:
        """What each available modality is asked."""
        expert = self._expert

        async def ask(prompt: str, schema: dict[str, Any]) -> str:
            structured = {"type": "json_schema", "json_schema": {"name": "sub_queries", "schema": schema}}
            return await self._said(expert, {"response_format": structured}, prompt, f"{request_id}-split")

        return await decompose(question, available, None if expert is None else ask)

    async def reword(self, question: str, modality: Modality, request_id: str) -> tuple[Rephrasing, ...]:
        """Three rephrasings, the same ones each time the question is asked, as far back as is remembered."""
        key = (modality, question)
        if key not in self._remembered:
            expert, number = self._expert, itertools.count()

            async def ask(prompt: str) -> str:
                name = f"{request_id}-reword-{modality}-{next(number)}"
                return await self._said(expert, {"temperature": TEMPERATURE}, prompt, name)

            asked: Callable[[str], Awaitable[str]] | None = None if expert is None else ask
            self._remembered[key] = await rephrasings(question, modality, asked, self._embed)
            while len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)
        self._remembered.move_to_end(key)
        return self._remembered[key]

    async def _said(self, expert: Any, options: dict[str, Any], prompt: str, request_id: str) -> str:
        messages = [{"role": "user", "content": [{"type": "text", "text": prompt}]}]
        request = options | {"messages": messages, "max_completion_tokens": ANSWER_TOKENS}
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await expert.chat.remote(request, request_id)
        except (ChordaeError, TimeoutError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever killed the call, the task is done without it
            raise ExpertUnavailable(f"the language model failed ({type(error).__name__})", "ask again") from None
        return str(answer["choices"][0]["message"]["content"])
