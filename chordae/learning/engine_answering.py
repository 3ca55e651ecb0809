"""Greedy answers of a checkpoint as it is served: by vLLM, from picture files. What `chordae evaluate` judges."""

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2

from chordae.learning.answering import Asked, Generate
from chordae.platform.engine import Engine
from chordae.platform.settings import ExpertSettings
from chordae.platform.weights import read_manifest

IN_FLIGHT = 32


@contextmanager
def engine_generate(checkpoint: Path, settings: ExpertSettings) -> Iterator[Generate]:
    """A function from questions to greedy answers, while the engine of `checkpoint` runs."""
    name = read_manifest(checkpoint).name
    with tempfile.TemporaryDirectory() as directory, asyncio.Runner() as runner:
        engine = Engine(checkpoint, name, settings, Path(directory))
        runner.run(engine.start())
        try:
            yield lambda asked: runner.run(_answers(engine, name, asked, settings.max_answer_tokens, Path(directory)))
        finally:
            engine.stop()


async def _answers(engine: Engine, name: str, asked: Sequence[Asked], longest: int, directory: Path) -> list[str]:
    slots = asyncio.Semaphore(IN_FLIGHT)

    async def answer(number: int, one: Asked) -> str:
        question, picture = one
        content: list[dict[str, Any]] = [{"type": "text", "text": question}]
        if picture is not None:
            path = directory / f"{number}.png"
            cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
            content.insert(0, {"type": "image_url", "image_url": {"url": path.as_uri()}})
        request = {"model": name, "messages": [{"role": "user", "content": content}], "temperature": 0.0}
        async with slots:
            reply = await engine.chat(request | {"max_completion_tokens": longest})
        return str(reply["choices"][0]["message"]["content"] or "").strip()

    return list(await asyncio.gather(*(answer(number, one) for number, one in enumerate(asked))))
