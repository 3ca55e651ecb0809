"""What serving costs: a probed answer against an unprobed one, and gateway + Serve against the bare engine.

What it costs for several modalities is in `benchmarks.modalities`. Both engines of the last measure are loaded at the
same time and take turns, so that both see the same machine.
"""

import asyncio
import io
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from benchmarks import modalities
from benchmarks.entry import entry
from chordae.deployments import supervisor
from chordae.platform.engine import Engine
from chordae.platform.media import MediaStore
from chordae.platform.settings import Settings, load_settings
from chordae.platform.weights import read_manifest
from chordae.preprocessing.dicom import bundled_ecg
from chordae.preprocessing.ecg import clean, read_ecg

CONFIG = Path("configs/laptop.yaml")
QUESTION = "What is the rhythm, and is there any conduction or ST-segment abnormality?"
CONCURRENT, REQUESTS, ROUNDS, PICTURES = 16, 64, 8, 40


def measure() -> list[dict[str, Any]]:
    """The serving measures, on one platform."""
    settings = load_settings(CONFIG)
    supervisor.start_detached(CONFIG, print)
    try:
        return asyncio.run(_measure(settings))
    finally:
        supervisor.stop_running(settings)


async def _measure(settings: Settings) -> list[dict[str, Any]]:
    checkpoint = Path(settings.experts["ecg"].model)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        several = await modalities.measure(settings, http)
        pictures = _Pictures(settings, http)
        # Ray gives a replica as many OpenMP threads as cores; the engine it is compared with gets the same.
        os.environ["OMP_NUM_THREADS"] = str(max(1, int(settings.experts["ecg"].replicas.num_cpus)))
        bare = Engine(checkpoint, read_manifest(checkpoint).name, settings.experts["ecg"].engine, settings.media_dir)
        await bare.start()
        try:
            probing = await _probing(settings, http, pictures)
            return [*several, probing, await _throughput(settings, http, bare, pictures)]
        finally:
            bare.stop()


class _Pictures:
    """The same ECG again and again, each with a noise of its own of 2 uV: new to every cache, alike to the model."""

    def __init__(self, settings: Settings, http: aiohttp.ClientSession) -> None:
        self._http, self._url = http, f"{supervisor.base_url(settings)}/media"
        self._signal = clean(read_ecg(bundled_ecg())).signal
        self._store, self._rng = MediaStore(settings.media_dir), np.random.default_rng(time.time_ns())
        self._size = read_manifest(Path(settings.experts["ecg"].model)).picture or (672, 896)

    async def uploaded(self) -> str:
        """One in the platform's media store, by id."""
        file = io.BytesIO()
        np.save(file, self._signal + self._rng.normal(0, 0.002, self._signal.shape).astype(np.float32))
        form = aiohttp.FormData()
        form.add_field("file", file.getvalue(), filename="ecg.npy")
        async with self._http.post(self._url, data=form()) as reply:
            assert reply.status == 200, await reply.text()
            return str((await reply.json())["id"])

    def file(self, media_id: str) -> str:
        """The same as the engine is given it: a file of the model's size, by URL."""
        return self._store.reduced(media_id, self._size).as_uri()


def _request(url: str) -> dict[str, Any]:
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": QUESTION}]
    return {"messages": [{"role": "user", "content": content}], "temperature": 0.0}


async def _post(http: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> dict[str, Any]:
    async with http.post(url, json=body) as reply:
        answer: dict[str, Any] = await reply.json()
        assert reply.status == 200, answer
        return answer


async def _probing(settings: Settings, http: aiohttp.ClientSession, pictures: _Pictures) -> dict[str, Any]:
    url = f"{supervisor.base_url(settings)}/v1/chat/completions"
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for number in range(PICTURES + 2):
        for probe in (True, False) if number % 2 else (False, True):
            body = _request(f"/media/{await pictures.uploaded()}") | {"model": "chordae", "chordae": {"probe": probe}}
            started = time.perf_counter()
            await _post(http, url, body)
            if number >= 2:  # the first ones warm up
                seconds[probe].append(time.perf_counter() - started)
    ratio = statistics.median(seconds[True]) / statistics.median(seconds[False])
    return entry("probed answer (5 generations) / unprobed answer", ratio, "x", "<= 1.5")


async def _throughput(
    settings: Settings, http: aiohttp.ClientSession, bare: Engine, pictures: _Pictures
) -> dict[str, Any]:
    url = f"http://127.0.0.1:{settings.experts['ecg'].port}/v1/chat/completions"
    name = read_manifest(Path(settings.experts["ecg"].model)).name
    longest = settings.experts["ecg"].max_answer_tokens

    async def through_bare(picture: str) -> None:
        await bare.chat(_request(picture) | {"model": name, "max_completion_tokens": longest})

    async def through_gateway(picture: str) -> None:
        await _post(http, url, _request(picture) | {"model": name})

    ratios = []
    for number in range(ROUNDS + 1):
        ids = [await pictures.uploaded() for _ in range(REQUESTS)]
        turns = [
            (through_bare, [pictures.file(one) for one in ids]),
            (through_gateway, [f"/media/{one}" for one in ids]),
        ]
        rates = {}
        for ask, urls in turns if number % 2 else reversed(turns):
            rates[ask] = await _rate(ask, urls)
        if number:  # the first round warms up
            ratios.append(rates[through_gateway] / rates[through_bare])
            print(
                f"round {number}: {rates[through_gateway]:.1f}/s through the gateway, {rates[through_bare]:.1f}/s bare"
            )
    ratio = statistics.median(ratios)
    return entry(f"gateway + Serve / bare engine, throughput at {CONCURRENT}", ratio, "x", ">= 0.9")


async def _rate(ask: Callable[[str], Awaitable[None]], urls: list[str]) -> float:
    """Requests per second with CONCURRENT of them in flight."""
    queue = list(urls)

    async def worker() -> None:
        while queue:
            await ask(queue.pop())

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(CONCURRENT)))
    return len(urls) / (time.perf_counter() - started)
