"""Greedy answers of a checkpoint as it is served: by vLLM, from picture files. What `chordae evaluate` judges."""

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from chordae.learning.answering import Asked
from chordae.learning.pictures import RENDERED
from chordae.platform.engine import ChatEngine, Engine
from chordae.platform.errors import ExpertUnavailable
from chordae.platform.settings import ExpertSettings
from chordae.platform.weights import read_manifest

IN_FLIGHT = 32


@dataclass(frozen=True)
class EngineExpert:
    """A running engine as evaluation asks it; `generate` and `choose` are a `Generate` and a `Choose`."""

    engine: ChatEngine
    name: str
    size: tuple[int, int]
    """Width and height of the pictures that the model was trained on."""
    longest: int
    """Tokens of an answer at most."""
    pictures: Path
    """A directory that the engine may read."""
    runner: asyncio.Runner

    def generate(self, asked: Sequence[Asked]) -> list[str]:
        """Greedy answers."""
        return self.runner.run(self._all(asked, [{}] * len(asked)))

    def choose(self, asked: Sequence[Asked], candidates: Sequence[Sequence[str]]) -> list[int]:
        """The index of the candidate that the model says when it may say nothing else.

        Greedy under vLLM's structured outputs: at every token the likeliest that still leads to a candidate.
        """
        answers = self.runner.run(self._all(asked, [{"structured_outputs": {"choice": list(c)}} for c in candidates]))
        chosen = []
        for answer, allowed in zip(answers, candidates, strict=True):
            if answer not in allowed:
                raise ExpertUnavailable(
                    f"{self.name} was cut off within an option", "raise experts.<modality>.max_answer_tokens"
                )
            chosen.append(list(allowed).index(answer))
        return chosen

    async def _all(self, asked: Sequence[Asked], further: Sequence[dict[str, Any]]) -> list[str]:
        slots = asyncio.Semaphore(IN_FLIGHT)

        async def answer(number: int, one: Asked, more: dict[str, Any]) -> str:
            question, picture = one
            content: list[dict[str, Any]] = [{"type": "text", "text": question}]
            async with slots:
                if picture is not None:
                    path = self.pictures / f"{number}.png"
                    cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
                    content.insert(0, {"type": "image_url", "image_url": {"url": path.as_uri()}})
                request = {"model": self.name, "messages": [{"role": "user", "content": content}], "temperature": 0.0}
                reply = await self.engine.chat(request | {"max_completion_tokens": self.longest} | more)
            return str(reply["choices"][0]["message"]["content"] or "").strip()

        tasks = [answer(number, *pair) for number, pair in enumerate(zip(asked, further, strict=True))]
        return list(await asyncio.gather(*tasks))


@contextmanager
def engine_expert(checkpoint: Path, settings: ExpertSettings) -> Iterator[EngineExpert]:
    """The expert of `checkpoint`, while its engine runs."""
    manifest = read_manifest(checkpoint)
    with tempfile.TemporaryDirectory() as directory, asyncio.Runner() as runner:
        engine = Engine(checkpoint, manifest.name, settings, Path(directory))
        runner.run(engine.start())
        try:
            yield EngineExpert(
                engine,
                manifest.name,
                manifest.picture or RENDERED,
                settings.max_answer_tokens,
                Path(directory),
                runner,
            )
        finally:
            engine.stop()
