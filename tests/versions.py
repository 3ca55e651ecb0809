"""Registered versions of a checkpoint, a registry that is a dictionary, and an engine whose weights are a number."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from fakes import PICTURE_SIZE, FakeEngine
from safetensors.numpy import load_file, save_file

from chordae.platform.canaries import CanaryProbe, write_canaries
from chordae.platform.engine import Continuation
from chordae.platform.errors import BadSettings, ExpertUnavailable
from chordae.platform.wanted import Wanted
from chordae.platform.weights import CANARIES, VERSION, identify

TOLD = "test"


def register(directory: Path, model: str, version: str, probes: Sequence[CanaryProbe] = ()) -> Wanted:
    """Write what the registry writes beside a checkpoint: canary probes, if any, and digests by file."""
    if probes:
        write_canaries(directory, probes, TOLD)
    later = {VERSION, CANARIES, "README.md"}
    files = [path for path in sorted(directory.iterdir()) if path.is_file() and path.name not in later]
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    told = [probe.model_dump(mode="json") for probe in probes]
    (directory / VERSION).write_text(json.dumps({"files": digests, "canaries": told}))
    return Wanted(model, version, identify(directory).digest, directory)


class InMemoryDesired:
    """What is wanted, by model; one turn at a time, whoever asks first."""

    def __init__(self, *wanted: Wanted) -> None:
        self.by_model = {one.model: one for one in wanted}
        self.turn: dict[str, str] = {}
        self.turns: list[str] = []
        self.reachable = True
        self._lock = threading.Lock()

    def wanted(self, model: str) -> Wanted | None:
        if not self.reachable:
            raise ExpertUnavailable("the registry does not answer", "wait")
        return self.by_model.get(model)

    def problem(self, model: str) -> str:
        return ""

    def want(self, wanted: Wanted) -> None:
        self.by_model[wanted.model] = wanted

    def take_turn(self, model: str, replica: str, lease_s: float) -> bool:
        with self._lock:
            if self.turn.setdefault(model, replica) != replica:
                return False
            self.turns.append(replica)
            return True

    def give_turn(self, model: str, replica: str) -> None:
        with self._lock:
            if self.turn.get(model) == replica:
                del self.turn[model]


def checkpoint_of(directory: Path, value: float, name: str = "ecg-fake", **tensors: np.ndarray) -> Path:
    """A checkpoint in every respect but that it is no model: its only weights are this number."""
    directory.mkdir(parents=True)
    save_file({"w": np.full(6, value, np.float32), **tensors}, directory / "model.safetensors")
    (directory / "config.json").write_text(json.dumps({"model_type": "fake", "transformers_version": str(value)}))
    (directory / "tokenizer.json").write_text("{}")
    manifest = {"name": name, "version": "?", "picture": PICTURE_SIZE}
    (directory / "manifest.json").write_text(json.dumps(manifest))
    return directory


def canary_of(value: float, logprob: float = -0.25) -> CanaryProbe:
    """What `ValueEngine` writes with these weights."""
    return CanaryProbe(prompt_ids=(1, 2), token_ids=(int(value), 7), logprobs=(logprob, logprob))


def version_of(folder: Path, value: int, model: str = "ecg-fake", **tensors: np.ndarray) -> Wanted:
    """A registered version with those weights and a canary that fits."""
    directory = checkpoint_of(folder / f"{model}-{value}", value, model, **tensors)
    return register(directory, model, str(value), [canary_of(value)])


@dataclass
class ValueEngine(FakeEngine):
    """Says the number that its weights are, in every word; notes if they change while it speaks."""

    value: float = 0.0
    words: int = 6
    loads: list[str] = field(default_factory=list)
    restarts: list[str] = field(default_factory=list)
    fails: set[str] = field(default_factory=set)  # names of directories that cannot be loaded
    speaking: int = 0
    replay_logprob: float = -0.25

    async def restart(self, checkpoint: Path) -> None:
        self.restarts.append(checkpoint.name)
        self.value = float(load_file(checkpoint / "model.safetensors")["w"][0])

    async def reload(self, weights: Path) -> None:
        assert not self.speaking, "weights changed within an answer"
        self.loads.append(weights.name)
        await asyncio.sleep(0.001)
        self.value = math.nan  # some of each
        if weights.name in self.fails:
            raise BadSettings(f"vLLM cannot load the weights of {weights.name}", "cut off")
        self.value = float(load_file(weights / "model.safetensors")["w"][0])

    async def replay(self, prompt: Sequence[int] | dict[str, Any], limit: int) -> Continuation:
        value = -1 if math.isnan(self.value) else int(self.value)
        return Continuation([value, 7][:limit], [self.replay_logprob] * 2)

    async def _words(self, number: int) -> AsyncIterator[str]:
        self.speaking += 1
        try:
            for _ in range(self.words):
                yield f" v{self.value:.0f}"
                await asyncio.sleep(0.001)
        finally:
            self.speaking -= 1
