"""Do the weights that were loaded write what their trainer says they write?"""

from __future__ import annotations

import base64
import copy
import mimetypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chordae.platform.canaries import Canaries, CanaryProbe, media_parts
from chordae.platform.engine import ChatEngine


@dataclass(frozen=True)
class Verdict:
    """Of all probes of one version."""

    passed: bool
    worst: float
    """Largest difference of a token's log-probability from the trainer's, nats; over tokens that are the same."""
    problem: str = ""
    """Empty where all passed."""


async def replay(engine: ChatEngine, canaries: Canaries, checkpoint: Path, tolerance: float) -> Verdict:
    """Put every probe to the engine and compare tokens and log-probabilities (at most `tolerance` nats apart).

    Raises:
        BadInput: vLLM refuses a probe.
        ExpertUnavailable: the engine is dead.
    """
    worst = 0.0
    for number, probe in enumerate(canaries.probes, 1):
        written = await engine.replay(_prompt(probe, checkpoint), len(probe.token_ids))
        for place, (token, logprob) in enumerate(zip(probe.token_ids, probe.logprobs, strict=True), 1):
            where = f"canary probe {number} of {len(canaries.probes)}, token {place}"
            if place > len(written.ids) or written.ids[place - 1] != token:
                other = written.ids[place - 1] if place <= len(written.ids) else "nothing"
                return Verdict(False, worst, f"{where}: {other} instead of the trainer's {token}")
            apart = abs(written.logprobs[place - 1] - logprob)
            if not apart <= tolerance:  # also where it is NaN
                return Verdict(
                    False, apart, f"{where}: logprob {apart:.2g} nats from the trainer's, over {tolerance:g}"
                )
            worst = max(worst, apart)
        if len(written.ids) > len(probe.token_ids):
            return Verdict(False, worst, f"canary probe {number} of {len(canaries.probes)} goes on")
    return Verdict(True, worst)


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
