"""Experts that take no time: what is measured beside them is everything but model time."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from chordae.platform.schemas import KIND_OF, Modality
from chordae.platform.settings import Settings

WORDS = 200
"""Of an answer; tokens are no more than words in experts' own vocabularies, and a third more in the embedding's."""

_SENTENCES: dict[Modality, tuple[str, ...]] = {
    "ecg": (
        "Normal sinus rhythm at {n} bpm.",
        "Left bundle branch block, QRS {n} ms.",
        "No ST elevation.",
        "Left ventricular hypertrophy by voltage.",
        "QTc {n} ms.",
    ),
    "echo": (
        "Moderately reduced LV function, EF {n} %.",
        "No pericardial effusion.",
        "The left atrium is dilated, {n} mm.",
        "Wall thickness {n} mm.",
        "Mild mitral regurgitation.",
    ),
    "cmr": (
        "LV ejection fraction {n} %, end-diastolic volume {n} ml.",
        "No late gadolinium enhancement.",
        "Septal wall thickness {n} mm.",
        "The right ventricle is not dilated.",
        "No pericardial effusion.",
    ),
}


def told(modality: Modality, seed: object, words: int = WORDS) -> str:
    """An answer of so many words, in sentences as nano experts write them; the same for the same seed."""
    chance, text = random.Random(str(seed)), ""
    while len(text.split()) < words:
        text += chance.choice(_SENTENCES[modality]).format(n=chance.randint(20, 199)) + " "
    return " ".join(text.split()[:words])


class InstantHandle:
    """A Serve handle of an expert that has its answers ready: 500 different ones, in turn."""

    def __init__(self, modality: Modality) -> None:
        self._texts = itertools.cycle([told(modality, number) for number in range(500)])
        self._weights = {"name": f"{modality}-instant", "version": "1", "digest": "0" * 64}

    def options(self, **_: Any) -> InstantHandle:
        return self

    @property
    def chat_together(self) -> InstantHandle:
        return self

    def remote(self, requests: Sequence[dict[str, Any]], request_id: str) -> _Replies:
        return _Replies((index, self._answer()) for index in range(len(requests)))

    def _answer(self) -> dict[str, Any]:
        message = {"role": "assistant", "content": next(self._texts)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {"choices": [choice], "chordae": {"weights": [self._weights], "gate": None}}


class _Replies:
    def __init__(self, answers: Any) -> None:
        self._answers = list(answers)

    async def __anext__(self) -> Any:
        if not self._answers:
            raise StopAsyncIteration
        return self._answers.pop(0)

    def cancel(self) -> None: ...


class InstantEngine:
    """A `ChatEngine` that reads nothing and answers `words` words, `delay_s` after it was asked."""

    def __init__(self, modality: Modality, words: int = 40, delay_s: float = 0.0) -> None:
        self._modality, self._words, self._delay_s = modality, words, delay_s

    async def start(self) -> None: ...

    async def chat(self, request: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(self._delay_s)
        message = {"role": "assistant", "content": self._said(request)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return self._envelope(request, "chat.completion") | {"choices": [choice], "usage": None}

    async def open(self, request: dict[str, Any]) -> AsyncIterator[str]:
        return self._events(request)

    async def _events(self, request: dict[str, Any]) -> AsyncIterator[str]:
        envelope = self._envelope(request, "chat.completion.chunk")
        await asyncio.sleep(self._delay_s)
        for word in [*re.findall(r"\s*\S+", self._said(request)), None]:
            delta, finish = ({}, "stop") if word is None else ({"content": word}, None)
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            yield f"data: {json.dumps(envelope | {'choices': [choice]})}\n\n"
        yield "data: [DONE]\n\n"

    async def check_health(self) -> None: ...

    def stop(self) -> None: ...

    def _said(self, request: dict[str, Any]) -> str:
        return told(self._modality, request["messages"], self._words)

    def _envelope(self, request: dict[str, Any], kind: str) -> dict[str, Any]:
        return {"id": f"chatcmpl-{request['request_id']}", "object": kind, "created": 1, "model": request["model"]}


def instant_settings(
    folder: Path, replicas: dict[str, Any] | None = None, ports: Iterable[int] = (8020, 8010, 8000), **branches: Any
) -> Settings:
    """Settings with three experts whose checkpoints are checkpoints in every respect but that they are no models."""
    experts = {}
    for modality, port in zip(KIND_OF, ports, strict=True):
        checkpoint = folder / modality
        checkpoint.mkdir()
        (checkpoint / "config.json").write_text("{}")
        manifest = {"name": f"{modality}-instant", "version": "1", "modality": modality}
        (checkpoint / "manifest.json").write_text(json.dumps(manifest))
        save_file({"w": np.zeros(1, np.float32)}, checkpoint / "model.safetensors")
        experts[modality] = {"model": str(checkpoint), "port": port, "max_answer_tokens": 256}
        if replicas is not None:
            experts[modality]["replicas"] = replicas
    cluster = {"min_free_memory_bytes": 0, "object_store_bytes": 128 * 1024**2}
    return Settings(**({"data_dir": folder / "var", "experts": experts, "cluster": cluster} | branches))
