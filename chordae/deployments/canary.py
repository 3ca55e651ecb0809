"""Do the weights that were loaded write what their trainer says they write?"""

from __future__ import annotations

import asyncio
import base64
import copy
import mimetypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chordae.platform.canaries import Canaries, CanaryProbe, media_parts
from chordae.platform.engine import ChatEngine, Continuation


@dataclass(frozen=True)
class Verdict:
    """Of all probes of one version."""

    passed: bool
    worst: float
    """Largest difference of a token's log-probability from the trainer's, nats; over tokens that are the same."""
    problem: str = ""
    """Empty where all passed."""


async def replay(engine: ChatEngine, canaries: Canaries, checkpoint: Path, tolerance: float) -> Verdict:
    """Put the probes to the engine, all at once, and compare tokens and log-probabilities (at most `tolerance` apart).

    The engine decodes them as one batch: meanwhile nobody else is answered, so its time is time without service.

    Raises:
        BadInput: vLLM refuses a probe.
        ExpertUnavailable: the engine is dead.
    """
    asked = [engine.replay(_prompt(probe, checkpoint), len(probe.token_ids)) for probe in canaries.probes]
    answers = await asyncio.gather(*asked, return_exceptions=True)  # none is left running where one fails
    worst, number_of = 0.0, len(canaries.probes)
    for number, (probe, written) in enumerate(zip(canaries.probes, answers, strict=True), 1):
        if isinstance(written, BaseException):
            raise written
        apart, problem = _compared(probe, written, tolerance)
        worst = max(worst, apart)
        if problem:
            return Verdict(False, worst, f"canary probe {number} of {number_of}{problem}")
    return Verdict(True, worst)


def _compared(probe: CanaryProbe, written: Continuation, tolerance: float) -> tuple[float, str]:
    """The largest difference of one probe's log-probabilities, nats, and what is wrong; empty where nothing is."""
    worst = 0.0
    for place, (token, logprob) in enumerate(zip(probe.token_ids, probe.logprobs, strict=True), 1):
        if place > len(written.ids) or written.ids[place - 1] != token:
            other = written.ids[place - 1] if place <= len(written.ids) else "nothing"
            return worst, f", token {place}: {other} instead of the trainer's {token}"
        apart = abs(written.logprobs[place - 1] - logprob)
        if not apart <= tolerance:  # also where it is NaN
            return apart, f", token {place}: logprob {apart:.2g} nats from the trainer's, over {tolerance:g}"
        worst = max(worst, apart)
    return worst, " goes on" if len(written.ids) > len(probe.token_ids) else ""


def _prompt(probe: CanaryProbe, checkpoint: Path) -> tuple[int, ...] | dict[str, Any]:
    """As the engine takes it; media travel in the request, for an engine reads no files but those of its studies."""
    if probe.prompt_ids is not None:
        return probe.prompt_ids
    request = copy.deepcopy(probe.request or {})
    for part in media_parts(request):
        path = checkpoint / part[part["type"]]["url"]
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        data = base64.b64encode(path.read_bytes()).decode()
        part[part["type"]] = {"url": f"data:{kind};base64,{data}"}
    return request
