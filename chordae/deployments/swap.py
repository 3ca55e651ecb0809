"""New weights on one replica, as a transaction: it ends with the new ones proven, or with the old ones back.

stage and check -> close the gate -> running answers finish -> load in place, forget all that came from the old ->
replay the canary probes -> open. What fails before the gate closes changes nothing at all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Literal

from pydantic import Field

from chordae.deployments.canary import replay
from chordae.deployments.loaded import Loaded
from chordae.deployments.staging import stage
from chordae.deployments.weights_gate import WeightsGate
from chordae.platform.engine import ChatEngine
from chordae.platform.errors import (
    BadInput,
    BadSettings,
    ChordaeError,
    ExpertUnavailable,
    StillAnswering,
    VersionRefused,
)
from chordae.platform.noun import Noun, WeightsVersion
from chordae.platform.wanted import Wanted

Outcome = Literal["swapped", "refused", "restored", "postponed", "broken"]
"""New weights serve; they never were loaded; they were, and the old ones are back; answers took too long; neither
serves."""


class SwapReport(Noun):
    """What became of one attempt."""

    outcome: Outcome
    old: WeightsVersion
    new: WeightsVersion
    closed_s: float = Field(0.0, description="For how long answers waited at the gate, draining included")
    drain_s: float = Field(0.0, description="Of that, until the last running answer was out")
    worst: float | None = Field(None, description="Largest canary difference, nats; none: not replayed")
    problem: str = Field("", description="Why the new weights do not serve")
    code: str = Field("", description="The error's name")


class Swap:
    """The transaction for one engine behind one gate."""

    def __init__(self, engine: ChatEngine, gate: WeightsGate, drain_s: float, tolerance: float) -> None:
        """`tolerance` of canary log-probabilities, nats."""
        self._engine, self._gate, self._drain_s, self._tolerance = engine, gate, drain_s, tolerance

    async def to(self, wanted: Wanted, old: Loaded, take: Callable[[Loaded], None]) -> SwapReport:
        """Serve another version, or go on with the old one; never raises for what a version is to blame for.

        Args:
            wanted: the version.
            old: what is served.
            take: makes a version that which answers name; called while no answer is being given.
        """
        asked = WeightsVersion(name=wanted.model, version=wanted.version, digest=wanted.digest)
        versions = {"old": old.weights, "new": asked}
        try:
            new = await asyncio.to_thread(stage, wanted, old)
        except VersionRefused as error:
            return SwapReport(outcome="refused", problem=str(error), code=error.code, **versions)
        began = time.monotonic()
        try:
            await self._gate.close(self._drain_s)
        except StillAnswering as error:
            waited = time.monotonic() - began
            told = {"problem": str(error), "code": error.code}
            return SwapReport(outcome="postponed", closed_s=waited, drain_s=waited, **told, **versions)
        drained = time.monotonic() - began
        outcome: Outcome = "broken"
        try:
            same = new.weights.digest == old.weights.digest  # then its name and what was fitted to it change alone
            problem, worst = (None, None) if same else await self.load(new)
            if problem is None:
                take(new)
                outcome = "swapped"
            elif isinstance(problem, StillAnswering):  # the engine had not begun to change
                outcome = "postponed"
            elif await self._restored(old):
                outcome = "restored"
        finally:  # broken also where this was given up halfway, or failed in a way that nobody has thought of
            if outcome == "broken":
                self._gate.break_off(_broken(old))
            else:
                self._gate.open()
        return SwapReport(
            outcome=outcome,
            closed_s=time.monotonic() - began,
            drain_s=drained,
            worst=worst,
            problem="" if problem is None else str(problem),
            code="" if problem is None else problem.code,
            **versions,
        )

    async def prove(self, version: Loaded) -> tuple[ChordaeError | None, float | None]:
        """Replay the canary probes of what the engine holds. Returns what is wrong, and the largest difference."""
        if version.canaries is None:
            return None, None
        try:
            verdict = await replay(self._engine, version.canaries, version.directory, self._tolerance)
        except (BadInput, ExpertUnavailable) as error:
            return error, None
        except OSError as error:
            return VersionRefused(f"a canary's media cannot be read ({error.strerror})", "check the file system"), None
        if verdict.passed:
            return None, verdict.worst
        whose = f"version {version.weights.version} of {version.weights.name} does not write what its trainer says"
        wrong = VersionRefused(f"{whose} ({verdict.problem})", "compute its probes again, or train it again")
        return wrong, verdict.worst

    async def load(self, version: Loaded) -> tuple[ChordaeError | None, float | None]:
        """Load over what is there, and `prove`; while nothing is being answered."""
        try:
            await self._engine.reload(version.directory)
        except (BadSettings, ExpertUnavailable, StillAnswering) as error:
            return error, None
        return await self.prove(version)

    async def _restored(self, old: Loaded) -> bool:
        problem, _ = await self.load(old)
        return problem is None


def _broken(old: Loaded) -> ExpertUnavailable:
    problem = f"{old.weights.name} has no weights that it can answer with"
    return ExpertUnavailable(problem, "its replica is being replaced; ask again")
