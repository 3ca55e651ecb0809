"""Greedy answers of a checkpoint as it is served: by vLLM, from picture and video files. What evaluation judges."""

import asyncio
import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from chordae.learning.answering import Asked
from chordae.platform.engine import ChatEngine, Engine
from chordae.platform.errors import BadInput, ExpertUnavailable
from chordae.platform.picture import fit_picture
from chordae.platform.schemas import KIND_OF, Kind, Modality
from chordae.platform.settings import ExpertSettings
from chordae.platform.weights import read_manifest

IN_FLIGHT = 32


@dataclass(frozen=True)
class EngineExpert:
    """A running engine as evaluation asks it; `generate` and `choose` are a `Generate` and a `Choose`."""

    engine: ChatEngine
    name: str
    kind: Kind
    size: tuple[int, int] | None
    """Width and height at which the platform keeps a picture for its expert; none: as it is."""
    longest: int
    """Tokens of an answer at most."""
    directory: Path
    """A directory that the engine may read."""
    runner: asyncio.Runner
    _placed: dict[Path, Path] = field(default_factory=dict)

    def generate(self, asked: Sequence[Asked]) -> list[str]:
        """Greedy answers.

        Raises:
            BadInput: a media file is missing or unreadable.
            ExpertUnavailable: the engine is dead.
        """
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

    async def say(self, prompt: str, options: dict[str, Any]) -> str:
        """What it says to a text without any media, to be awaited in `runner`; `options` as OpenAI names them.

        Raises:
            ExpertUnavailable: the engine is dead.
        """
        request = {"model": self.name, "messages": [{"role": "user", "content": [{"type": "text", "text": prompt}]}]}
        reply = await self.engine.chat(request | options)
        return str(reply["choices"][0]["message"]["content"] or "").strip()

    async def _all(self, asked: Sequence[Asked], further: Sequence[dict[str, Any]]) -> list[str]:
        slots = asyncio.Semaphore(IN_FLIGHT)

        async def answer(one: Asked, more: dict[str, Any]) -> str:
            question, media = one
            content: list[dict[str, Any]] = [{"type": "text", "text": question}]
            async with slots:
                if media is not None:
                    content.insert(0, self._part(self._place(media)))
                request = {"model": self.name, "messages": [{"role": "user", "content": content}], "temperature": 0.0}
                reply = await self.engine.chat(request | {"max_completion_tokens": self.longest} | more)
            return str(reply["choices"][0]["message"]["content"] or "").strip()

        return list(await asyncio.gather(*(answer(*pair) for pair in zip(asked, further, strict=True))))

    def _part(self, file: Path) -> dict[str, Any]:
        kind = f"{self.kind}_url"
        return {"type": kind, kind: {"url": file.as_uri()}, "uuid": file.stem}

    def _place(self, media: Path) -> Path:
        """The file as the platform keeps it for the expert, named by its content, where the engine may read it."""
        if media in self._placed:
            return self._placed[media]
        try:
            content = media.read_bytes()
        except OSError as error:
            raise BadInput(f"cannot read {media.name}", "make the dataset again") from error
        file = self.directory / f"{hashlib.sha256(content).hexdigest()}{media.suffix}"
        if self.kind == "image" and self.size is not None:
            drawn = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
            if drawn is None:
                raise BadInput(f"{media.name} is no readable picture", "make the dataset again")
            cv2.imwrite(str(file), fit_picture(np.asarray(drawn, np.uint8), self.size))
        else:
            shutil.copyfile(media, file)
        self._placed[media] = file
        return file


@contextmanager
def engine_expert(checkpoint: Path, settings: ExpertSettings, modality: Modality = "ecg") -> Iterator[EngineExpert]:
    """The expert of `checkpoint`, while its engine runs."""
    manifest, kind = read_manifest(checkpoint), KIND_OF[modality]
    with tempfile.TemporaryDirectory() as directory, asyncio.Runner() as runner:
        engine = Engine(checkpoint, manifest.name, settings.engine, Path(directory), kind=kind)
        runner.run(engine.start())
        try:
            yield EngineExpert(
                engine, manifest.name, kind, manifest.picture, settings.max_answer_tokens, Path(directory), runner
            )
        finally:
            engine.stop()
