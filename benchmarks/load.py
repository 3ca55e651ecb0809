"""Fifty clients at once with mixed questions: what they get, and whether gateway and orchestrator grow over a thousand.

The whole platform as `chordae up` starts it, HAProxy and all, but for its experts, which answer without a model after a
tenth of a second, and take so few questions at a time that some must be refused. Refused means 503 that says so and
when to ask again; everything else that is not a complete answer is an error. In a process of its own: Serve's settings
are read when Ray is imported.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import aiohttp
import psutil

from benchmarks.entry import entry
from benchmarks.instant import InstantEngine, instant_settings
from benchmarks.ports import free_ports
from chordae.deployments import supervisor
from chordae.deployments.expert import Expert
from chordae.platform.ledger import Ledger
from chordae.platform.media import MediaStore
from chordae.platform.schemas import KIND_OF, Modality
from chordae.platform.settings import Settings

CLIENTS, QUESTIONS, WARM_UP = 50, 1000, 250
PLACES = {"num_cpus": 0, "max_ongoing_requests": 12, "max_queued_requests": 4}
DELAY_S = 0.1
WATCHED = ("gateway", "orchestrator")
MiB = 1024**2


def measure(clients: int = CLIENTS, questions: int = QUESTIONS, warm_up: int = WARM_UP) -> list[dict[str, Any]]:
    """Errors, refusals, and how much the two processes' own memory grew after the warm-up."""
    command = [sys.executable, "-m", "benchmarks.load", *map(str, (clients, questions, warm_up))]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}, stdout=subprocess.PIPE, check=True
    )
    entries: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return entries


class InstantExpert(Expert):
    """An expert whose engine is none."""

    def __init__(self, modality: Modality, settings: Settings) -> None:
        super().__init__(modality, settings, InstantEngine(modality, delay_s=DELAY_S))


def _run(folder: Path, clients: int, questions: int, warm_up: int) -> list[dict[str, Any]]:
    ports = iter(free_ports(5))
    gateway = {"port": next(ports), "internal_port": next(ports)}
    settings = instant_settings(folder, PLACES, ports, gateway=gateway, orchestrator={"language": "ecg"})
    os.environ.update(supervisor._SERVING)
    supervisor.start_ray(settings.cluster)
    from ray import serve

    from chordae.deployments import app

    instant = partial(app.expert, deployment=serve.deployment(InstantExpert))
    with (
        patch.object(app, "expert", instant),
        supervisor._platform(settings, lambda stage: print(stage, file=sys.stderr), threading.Event()),
    ):
        return asyncio.run(_ask_all(settings, clients, questions, warm_up))


async def _ask_all(settings: Settings, clients: int, questions: int, warm_up: int) -> list[dict[str, Any]]:
    requests = _requests(settings)
    async with aiohttp.ClientSession(supervisor.base_url(settings), connector=aiohttp.TCPConnector(limit=0)) as http:
        warm = await _outcomes(http, clients, itertools.islice(requests, warm_up))
        before = _memory()
        told = await _outcomes(http, clients, itertools.islice(requests, questions))
        after = _memory()
    told += warm
    errors = {outcome: count for outcome, count in told.items() if outcome not in ("answered", "refused")}
    print(f"{told['answered']} answered, {told['refused']} refused, {errors or 'no'} errors", file=sys.stderr)
    name = f"{clients} mixed questions at once"
    return [
        entry(f"{name}, {warm_up + questions} in all: errors", sum(errors.values()), "", "<= 0"),
        entry(f"{name}: answered", told["answered"] / told.total(), ""),
        entry(f"{name}: refused with Retry-After", told["refused"] / told.total(), ""),
        *(
            entry(f"memory of the {one} after {questions} questions / before", after[one] / before[one], "x", "<= 1.05")
            for one in WATCHED
        ),
        *(entry(f"memory of the {one}", after[one] / MiB, "MiB") for one in WATCHED),
    ]


def _busy(error: str) -> bool:
    """Whether an error says that too many wait: in the orchestrator's words, or in HAProxy's."""
    return json.loads(error)["error"]["code"] in ("overloaded", "unavailable")


async def _outcomes(
    http: aiohttp.ClientSession, clients: int, requests: Iterator[tuple[str, dict[str, Any]]]
) -> Counter[str]:
    told: Counter[str] = Counter()

    async def client() -> None:
        for path, body in requests:
            outcome = await _outcome(http, path, body)
            told[outcome] += 1
            if outcome == "refused":
                await asyncio.sleep(DELAY_S)  # impatient: it was told to wait for seconds

    await asyncio.gather(*(client() for _ in range(clients)))
    return told


async def _outcome(http: aiohttp.ClientSession, path: str, body: dict[str, Any]) -> str:
    try:
        async with http.post(path, json=body) as reply:
            text = await reply.text()
    except aiohttp.ClientError as error:
        return type(error).__name__
    if reply.status == 503 and "Retry-After" in reply.headers and _busy(text):
        return "refused"
    if reply.status != 200:
        return f"{reply.status}: {text[:200]}"
    if not body.get("stream"):
        return "answered" if json.loads(text) else "empty"
    events = [line.removeprefix("data: ") for line in text.strip().split("\n\n")]
    broken = next((event for event in events[:-1] if "error" in json.loads(event)), None)
    if broken is not None:  # it was refused after the first stage: too late for a status
        return "refused" if _busy(broken) else broken
    return "answered" if events[-1] == "[DONE]" else "cut off"


def _requests(settings: Settings) -> Iterator[tuple[str, dict[str, Any]]]:
    """No two questions alike: one or three recordings, probed or not, whole or streamed, by chat or by study."""
    store, ledger = MediaStore(settings.media_dir), Ledger(settings.ledger_url)
    media = {
        one: [store.put(f"{one} {number}".encode(), one, "bench-1", kind=kind).id for number in range(20)]
        for one, kind in KIND_OF.items()
    }
    for number in range(20):
        ledger.keep_sent(f"{number:032x}", [media[one][number] for one in KIND_OF])
    ledger.close()
    kinds: list[tuple[Modality, ...]] = [*((one,) for one in KIND_OF), tuple(KIND_OF)]
    for number in itertools.count():
        text = f"Question {number}: what is the rhythm, what is the ejection fraction, and is there late enhancement?"
        asked, which = kinds[number % 4], number // 4 % 20
        if number % 7 == 0:
            yield "/v1/answers", {"study": f"{which:032x}", "question": text}
            continue
        content: list[dict[str, Any]] = [
            {"type": f"{KIND_OF[one]}_url", f"{KIND_OF[one]}_url": {"url": f"/media/{media[one][which]}"}}
            for one in asked
        ]
        messages = [{"role": "user", "content": [*content, {"type": "text", "text": text}]}]
        body = {"model": "chordae", "messages": messages, "stream": number % 3 == 0}
        if number % 5 == 0 and len(asked) == 1:
            yield "/v1/chat/completions", body | {"model": f"{asked[0]}-instant"}
        else:
            yield "/v1/chat/completions", body | {"chordae": {"probe": number % 2 == 0}}


def _memory() -> dict[str, int]:
    """Bytes that the replicas of each deployment have for themselves alone."""
    found: Counter[str] = Counter()
    for process in psutil.Process().children(recursive=True):
        title = " ".join(process.cmdline())
        for one in WATCHED:
            if title.startswith(f"ray::ServeReplica:chordae:{one}"):
                found[one] += process.memory_full_info().uss
    assert all(found[one] for one in WATCHED), "no replica found"
    return dict(found)
