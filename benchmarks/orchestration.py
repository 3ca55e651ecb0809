"""What the orchestrator itself takes for a probed answer, by the clock: everything but model time.

Its experts answer at once, 200 words each, and its embedding is made of random numbers. What is left is the split, the
rephrasings, reading the answers, agreement, what contradicts what, and the summary. The embedding model's time is told
beside it: two answers an expert, of which in service the first is embedded while others are still being written.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.entry import entry
from benchmarks.instant import WORDS, InstantHandle, instant_settings, told
from chordae.deployments.orchestrator import Orchestrator
from chordae.platform.embedding import load_embedding
from chordae.platform.media import MediaStore
from chordae.platform.schemas import KIND_OF, Answer, Modality, Question
from chordae.platform.settings import Settings

QUESTION = "What is the rhythm, what is the ejection fraction, and is there late enhancement?"
ROUNDS = 100
MODALITIES: tuple[tuple[Modality, ...], ...] = (("ecg",), ("ecg", "echo", "cmr"))


def measure(rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """Median milliseconds for one modality and for three, and of the embedding model for one answer."""
    with tempfile.TemporaryDirectory() as folder:
        settings = instant_settings(Path(folder))
        medians = [asyncio.run(_milliseconds(settings, modalities, rounds)) for modalities in MODALITIES]
    names = [f"orchestration, {len(one)} x 5 answers of {WORDS} words" for one in MODALITIES]
    return [
        *(entry(name, clock, "ms", "<= 30") for name, clock in zip(names, medians, strict=True)),
        entry(f"embedding model, an answer of {WORDS} words", _embedding(max(5, rounds // 5)), "ms"),
    ]


async def _milliseconds(settings: Settings, modalities: Sequence[Modality], rounds: int) -> float:
    """The median."""
    orchestrator = Orchestrator(settings, {one: InstantHandle(one) for one in KIND_OF}, _no_embedding)
    store = MediaStore(settings.media_dir)
    media = [store.put(one.encode(), one, "bench-1", kind=KIND_OF[one]).id for one in modalities]
    question = Question(text=QUESTION, media=tuple(media))
    clock = []
    for number in range(rounds + 3):
        started = time.perf_counter()
        *_, answer = [step async for step in orchestrator.ask(question, f"{number:032x}")]
        assert isinstance(answer, Answer) and not answer.missing and not answer.unprobed, answer
        if number >= 3:  # the first ones warm up
            clock.append(1e3 * (time.perf_counter() - started))
    return median(clock)


def _no_embedding(texts: Sequence[str]) -> NDArray[np.float32]:
    return np.stack([np.random.default_rng(len(text)).random(384, np.float32) for text in texts])


def _embedding(rounds: int) -> float:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # what Ray gives a replica that reserves no core
    try:
        embed, seconds = load_embedding(), []
        for number in range(rounds + 1):
            text = told("ecg", random.random())  # no two alike: it remembers
            started = time.thread_time()
            embed([text])
            if number:
                seconds.append(time.thread_time() - started)
    finally:
        torch.set_num_threads(threads)
    return 1e3 * median(seconds)
