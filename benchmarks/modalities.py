"""A probed answer about several modalities: against the same unprobed, and against the slowest of them probed alone.

On the platform that `benchmarks.serving` has started, with the experts that its settings name. Every question is about
recordings that no cache has seen: the same pixels each time, in a file of its own and so under an id of its own. The
question stays the same, so that its rephrasings are written once, while it warms up.
"""

from __future__ import annotations

import itertools
import secrets
import struct
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import psutil

from benchmarks.cmr import _write_study
from benchmarks.entry import entry
from chordae.deployments import supervisor
from chordae.platform.media import MediaStore
from chordae.platform.schemas import KIND_OF, Modality
from chordae.platform.settings import Settings
from chordae.platform.weights import read_manifest
from chordae.preprocessing.dicom import bundled_ecg, bundled_echo
from chordae.preprocessing.identity import KEY_BYTES, Site
from chordae.preprocessing.study import PreparedStudy, prepare_study

QUESTION = "What is the rhythm, what is the ejection fraction, and is there late gadolinium enhancement?"
ROUNDS, WARM_UP = 30, 2


async def measure(settings: Settings, http: aiohttp.ClientSession, rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """Both ratios, where more than one expert is served; the second has a bar where every engine has its own core."""
    served = [one for one in KIND_OF if one in settings.experts]
    if len(served) < 2:
        return []
    asking = _Asking(settings, http, served)
    ways: list[tuple[tuple[Modality, ...], bool]] = [(tuple(served), True), (tuple(served), False)]
    ways += [((one,), True) for one in served]
    seconds: dict[tuple[tuple[Modality, ...], bool], list[float]] = {way: [] for way in ways}
    for number in range(rounds + WARM_UP):
        for way in itertools.islice(itertools.cycle(ways), number % len(ways), number % len(ways) + len(ways)):
            took = await asking.seconds(*way)
            if number >= WARM_UP:
                seconds[way].append(took)
    probed, unprobed, *alone = (median(seconds[way]) for way in ways)
    own_cores = (psutil.cpu_count(logical=False) or 1) > len(served)
    name = f"{len(served)} modalities ({', '.join(served)}), probed"
    return [
        entry(f"{name} / unprobed", probed / unprobed, "x", "<= 1.5"),
        entry(f"{name} / the slowest of them alone", probed / max(alone), "x", "<= 1.25" if own_cores else ""),
        entry(name, probed, "s"),
        entry(f"{name}: experts that were asked", min(asking.asked[len(served)]), "", f">= {len(served)}"),
    ]


class _Asking:
    """One recording of each modality, and questions about fresh copies."""

    def __init__(self, settings: Settings, http: aiohttp.ClientSession, modalities: Sequence[Modality]) -> None:
        self._http, self._url = http, f"{supervisor.base_url(settings)}/v1/chat/completions"
        self._store = MediaStore(settings.media_dir)
        self._studies = {one: study_of(one) for one in modalities}
        self.asked: dict[int, list[int]] = {1: [], len(modalities): []}
        """By how many recordings there were: how many experts answered; to whom a question goes is the splitter's."""
        self._size = read_manifest(Path(settings.experts["ecg"].model)).picture if "ecg" in settings.experts else None

    async def seconds(self, modalities: Sequence[Modality], probe: bool) -> float:
        """How long a complete answer takes."""
        content: list[dict[str, Any]] = [{"type": "text", "text": QUESTION}]
        for one in modalities:
            part = f"{KIND_OF[one]}_url"
            content.append({"type": part, part: {"url": f"/media/{self._fresh(one)}"}})
        messages = [{"role": "user", "content": content}]
        body = {"model": "chordae", "messages": messages, "temperature": 0.0, "chordae": {"probe": probe}}
        started = time.perf_counter()
        async with self._http.post(self._url, json=body) as reply:
            answer = await reply.json()
        took = time.perf_counter() - started
        assert reply.status == 200, answer
        told = answer["chordae"]
        assert not told["unprobed"] and not set(told["missing"]) & set(modalities), told
        self.asked[len(modalities)].append(len(told["answers"]))
        return took

    def _fresh(self, modality: Modality) -> str:
        """The id of a copy: an MP4 with one more box, a PNG with bytes after its end, which all decoders pass over."""
        study, noise = self._studies[modality], secrets.token_bytes(16)
        end = struct.pack(">I4s", 8 + len(noise), b"free") + noise if study.kind == "video" else noise
        media = self._store.put(study.content + end, modality, study.version, kind=study.kind)
        if modality == "ecg" and self._size is not None:
            self._store.reduced(media.id, self._size)
        return media.id


def study_of(modality: Modality) -> PreparedStudy:
    """A prepared recording of that modality."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "study"
        if modality == "cmr":
            _write_study(made)
        recording = {"ecg": bundled_ecg, "echo": bundled_echo, "cmr": lambda: made}[modality]()
        return prepare_study(recording, Site("bench", secrets.token_bytes(KEY_BYTES)))
