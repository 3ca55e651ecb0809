"""Weights change under load: a closed loop of clients over all models, while versions are promoted in turn.

A platform of its own, with its registry in a temporary directory. Every client asks one question about one recording,
so that each version has one right answer, known before: other words mix versions, or are given the wrong name.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import numpy as np
import yaml

from benchmarks.entry import entry
from benchmarks.modalities import study_of
from benchmarks.perturbed import perturbed
from chordae.cohort.record_cases import Reading, draw_case
from chordae.cohort.sites import load_site
from chordae.deployments import supervisor
from chordae.learning.checkpoint import add_probes
from chordae.platform.diagnosis.prompts import messages
from chordae.platform.engine import Engine
from chordae.platform.ledger_promotions import PromotionLedger
from chordae.platform.media import MediaStore
from chordae.platform.registry.models import Models
from chordae.platform.registry.promotion import Promotions
from chordae.platform.schemas import KIND_OF
from chordae.platform.settings import REASONER, EngineSettings, Settings, load_settings
from chordae.platform.weights import read_manifest

CONFIG = Path("configs/laptop.yaml")
CLIENTS, SWAPS, STEADY_S = 32, 20, 60.0
TWICE = "ecg"
"""The model with two replicas."""
ONE = "import sys; from benchmarks.swapping import start_engine; start_engine(sys.argv[1:])"
"""Not `-m`: the engine's process, which is spawned, would import all of this again."""
QUESTIONS = {"ecg": "What is the rhythm?", "echo": "What is the systolic function?", "cmr": "Is there a scar?"}


@dataclass(frozen=True)
class Answer:
    """What a client got."""

    model: str
    began: float
    seconds: float
    digest: str
    text: str


@dataclass(frozen=True)
class Swapped:
    """A promotion: when the last replica had opened on it, and for how long none of its answers could be given."""

    model: str
    digest: str
    begun: float
    opened: float
    without_service_s: float


def measure() -> list[dict[str, Any]]:
    """Failed, mixed and belated answers, latency against steady state, time without service against a cold start."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "settings.yaml"
        told = yaml.safe_load(CONFIG.read_text())
        told |= {"data_dir": str(Path(folder) / "var"), "swap": {"poll_s": 0.5}}
        told["cluster"]["min_free_memory_bytes"] = 0
        for name, model in told["experts"].items():
            model["replicas"] = dict(model["replicas"]) | (
                {"min_replicas": 2, "max_replicas": 2} if name == TWICE else {}
            )
        config.write_text(yaml.safe_dump(told))
        settings = load_settings(config)
        versions = _registered(settings, Path(folder))
        supervisor.start_detached(config, print)
        try:
            return asyncio.run(_measured(settings, versions))
        finally:
            supervisor.stop_running(settings)


def _registered(settings: Settings, folder: Path) -> dict[str, tuple[str, str]]:
    """Two versions of every model, the first promoted; their digests by model."""
    models, promotions = Models(settings.data_dir), _promotions(settings)
    versions = {}
    for name, model in settings.models().items():
        own = Path(model.model)
        other = perturbed(own, folder / name, seed=1)
        add_probes(other)
        versions[name] = (models.register(own).digest, models.register(other).digest)
        promotions.promote(read_manifest(own).name, "1", "bench")
    return versions


def _promotions(settings: Settings) -> Promotions:
    return Promotions(settings.data_dir, PromotionLedger(settings.ledger_url))


def _cold_start(settings: Settings) -> float:
    """Seconds from a new process to an engine that answers: what a replica that is restarted takes at least.

    Beside the same clients as the swaps: both share the machine with them, so the ratio is of like with like.
    """
    model, started = settings.experts[TWICE], time.perf_counter()
    command = [sys.executable, "-c", ONE, str(Path(model.model).resolve()), model.engine.model_dump_json()]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def start_engine(words: Sequence[str]) -> None:
    """Start the engine of a checkpoint with these settings (JSON), and end it."""
    checkpoint = Path(words[0])
    engine = Engine(checkpoint, "cold", EngineSettings.model_validate_json(words[1]), checkpoint)
    asyncio.run(engine.start())
    engine.stop()


async def _measured(settings: Settings, versions: dict[str, tuple[str, str]]) -> list[dict[str, Any]]:
    connector, patience = aiohttp.TCPConnector(limit=0, force_close=True), aiohttp.ClientTimeout(total=300)
    async with aiohttp.ClientSession(connector=connector, timeout=patience) as http:
        load = _Load(settings, http)
        right: dict[tuple[str, str], str] = {}
        swaps: list[Swapped] = []
        for turn in (1, 0):  # each version's answer, before anybody else asks
            for name in versions:
                await _promote(settings, http, name, versions[name][turn], turn)
                answer = await load.ask(name)
                right[name, answer.digest] = answer.text
        stop = asyncio.Event()
        clients = [asyncio.create_task(load.client(name, stop)) for name in list(versions) * (CLIENTS // len(versions))]
        try:
            await asyncio.sleep(STEADY_S)
            between = time.monotonic()
            for number in range(SWAPS):
                name = list(versions)[number % len(versions)]
                turn = 1 - number // len(versions) % 2
                swaps.append(await _promote(settings, http, name, versions[name][turn], turn))
            after = time.monotonic()
            cold = await asyncio.to_thread(_cold_start, settings)
        finally:
            stop.set()
            await asyncio.gather(*clients)
    steady = [one.seconds for one in load.answers if one.began + one.seconds < between]
    during = [one.seconds for one in load.answers if between <= one.began + one.seconds < after]
    mixed = sum(one.text != right.get((one.model, one.digest)) for one in load.answers)
    closed = [one.without_service_s for one in swaps]
    print(f"{len(steady)} answers in steady state, {len(during)} during {len(swaps)} swaps")
    print(f"without service: median {median(closed):.2f} s, longest {max(closed):.2f} s; cold start {cold:.1f} s")
    slower = float(np.quantile(during, 0.99) / np.quantile(steady, 0.99))
    away = median(closed) / cold
    return [
        entry(f"answers that failed during {len(swaps)} swaps, {CLIENTS} clients", load.failed, "", "<= 0"),
        entry("answers that mixed versions", mixed, "", "<= 0"),
        entry("answers of another version once all replicas had opened", _late(load.answers, swaps), "", "<= 0"),
        entry("p99 during swaps / steady state", slower, "x", "<= 2"),
        entry("time without service of a swap / cold start under the same load", away, "x", "<= 0.02"),
    ]


def _late(answers: list[Answer], swaps: list[Swapped]) -> int:
    """Answers of another version than the promoted one, begun when all served it and ended before the next."""
    late = 0
    for place, one in enumerate(swaps):
        until = next((later.begun for later in swaps[place + 1 :] if later.model == one.model), float("inf"))
        begun = [said for said in answers if said.model == one.model and one.opened < said.began]
        late += sum(said.digest != one.digest and said.began + said.seconds < until for said in begun)
    return late


async def _promote(settings: Settings, http: aiohttp.ClientSession, name: str, digest: str, turn: int) -> Swapped:
    """Promote, and wait until every replica serves it: twenty cards in a row, each over a connection of its own."""
    model, begun = settings.models()[name], time.monotonic()
    known = read_manifest(Path(model.model)).name
    promotions = _promotions(settings)
    if "champion" not in Models(settings.data_dir).version(known, str(turn + 1)).aliases:
        await asyncio.to_thread(promotions.promote, known, str(turn + 1), "bench")
    seen, card = 0, {}
    while seen < 20:
        async with http.get(f"http://127.0.0.1:{model.port}/v1/models") as reply:
            card = (await reply.json())["data"][0]["chordae"]
        seen = seen + 1 if card["weights"]["digest"] == digest and not card["swap"]["behind"] else 0
        assert not card["swap"].get("refused"), card
        await asyncio.sleep(0 if seen else 0.05)
    last = card["swap"].get("last_swap") or {}
    return Swapped(name, digest, begun, time.monotonic(), last.get("closed_s", 0.0) - last.get("drain_s", 0.0))


class _Load:
    """Clients that ask, and ask again when they have their answer."""

    def __init__(self, settings: Settings, http: aiohttp.ClientSession) -> None:
        self._settings, self._http = settings, http
        self.answers: list[Answer] = []
        self.failed = 0
        store = MediaStore(settings.media_dir)
        self._asked = {name: _question(name, store, settings) for name in settings.experts}
        record = draw_case(load_site("university"), 1, 1, Reading()).record
        self._asked[REASONER] = {"messages": messages(record, "en"), "max_completion_tokens": 64}

    async def client(self, name: str, stop: asyncio.Event) -> None:
        """One of them."""
        while not stop.is_set():
            try:
                self.answers.append(await self.ask(name))
            except (aiohttp.ClientError, AssertionError, TimeoutError, json.JSONDecodeError) as error:
                self.failed += 1
                print(f"{name} failed: {error!r}"[:300])

    async def ask(self, name: str) -> Answer:
        """One answer, of the model's own port."""
        model, began = self._settings.models()[name], time.monotonic()
        body = self._asked[name] | {"model": "any", "temperature": 0.0}
        async with self._http.post(f"http://127.0.0.1:{model.port}/v1/chat/completions", json=body) as reply:
            answer = await reply.json()
            assert reply.status == 200, answer
        (weights,) = answer["chordae"]["weights"]
        text = str(answer["choices"][0]["message"]["content"])
        return Answer(name, began, time.monotonic() - began, weights["digest"], text)


def _question(name: str, store: MediaStore, settings: Settings) -> dict[str, Any]:
    study = study_of(name)
    media = store.put(study.content, name, study.version, kind=study.kind)
    size = read_manifest(Path(settings.experts[name].model)).picture
    if name == "ecg" and size is not None:
        store.reduced(media.id, size)
    part = f"{KIND_OF[name]}_url"
    content = [{"type": part, part: {"url": f"/media/{media.id}"}}, {"type": "text", "text": QUESTIONS[name]}]
    return {"messages": [{"role": "user", "content": content}]}
