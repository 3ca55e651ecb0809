"""A replica's background task: serve the version that is wanted, one replica at a time.

Desired state, not commands: whoever starts late, or slept through a promotion, reads the same and comes to the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from chordae.deployments.swap import SwapReport
from chordae.platform.errors import ChordaeError, ExpertUnavailable, VersionUnreadable
from chordae.platform.noun import WeightsVersion
from chordae.platform.settings import SwapSettings
from chordae.platform.wanted import Wanted
from chordae.platform.weights import VERSION

_log = logging.getLogger(__name__)
RETRY_S = 60.0
"""After which a version whose files were missing, damaged or unreadable is looked at again: a pass of all its bytes."""


class Desired(Protocol):
    """Where it stands what is to be served; calls may block, and raise ChordaeError where it cannot be reached."""

    def wanted(self, model: str) -> Wanted | None:
        """The version of a model; none: what the settings say."""
        ...

    def problem(self, model: str) -> str:
        """Why what `wanted` says may be out of date; empty: it is not."""
        ...

    def take_turn(self, model: str, replica: str, lease_s: float) -> bool:
        """Whether this replica may change its weights now; no other may, until it gives its turn back or `lease_s`."""
        ...

    def give_turn(self, model: str, replica: str) -> None:
        """The next one may."""
        ...


class Reconciler:
    """Of one replica."""

    def __init__(
        self,
        desired: Desired,
        model: str,
        replica: str,
        settings: SwapSettings,
        serving: Callable[[], WeightsVersion],
        swap: Callable[[Wanted], Awaitable[SwapReport]],
    ) -> None:
        """`replica` is this one's name among those of the model; `serving` and `swap` are its own."""
        self._desired, self._model, self._replica, self._settings = desired, model, replica, settings
        self._serving, self._swap = serving, swap
        self._wanted: Wanted | None = None
        self._refused: tuple[Wanted, str] | None = None
        self._taken: tuple[Wanted, str] | None = None
        self._retry_at = math.inf
        self._last: SwapReport | None = None
        self._unreachable = ""

    async def run(self) -> None:
        """Step for ever; until cancelled, or the swap has broken the replica."""
        while self._last is None or self._last.outcome != "broken":
            await self.step()
            await asyncio.sleep(self._settings.poll_s + self._patience_s())

    def _patience_s(self) -> float:
        """After a change that was put off: so that new answers wait at the gate a fifth of the time at most."""
        return 4 * self._last.closed_s if self._last is not None and self._last.outcome == "postponed" else 0.0

    async def step(self) -> None:
        """Read what is wanted, and change to it if it is not what is served and it is this replica's turn."""
        try:
            self._wanted = await asyncio.to_thread(self._desired.wanted, self._model)
            self._unreachable = await asyncio.to_thread(self._desired.problem, self._model)
            if self._refused is not None and self._refused[0] != self._wanted:
                self._refused = None  # something else was wanted meanwhile
            if self._wanted is None or not await self._is_due(self._wanted):
                return
        except (ChordaeError, OSError) as error:  # served on; asked again at the next step
            if not self._unreachable:
                _log.warning("what is wanted of %s is not known: %s", self._model, error)
            self._unreachable = str(error)
            return
        try:
            if await self._take_turn():
                await self._change_in_turn(self._wanted)
        finally:
            await self._give_turn()

    def begun(self, wanted: Wanted | None, report: SwapReport | None = None) -> None:
        """Note what was wanted when this replica started; with a report: and what was wrong with it."""
        self._wanted, self._last = wanted, report
        self._taken = None if wanted is None or self.behind else _mark(wanted)
        if wanted is not None and report is not None and report.code != ExpertUnavailable.code:
            self._refused, self._retry_at = _mark(wanted), _retry_at(report.code)

    @property
    def behind(self) -> bool:
        """Whether another version is wanted than is served."""
        serving, wanted = self._serving(), self._wanted
        return wanted is not None and (wanted.digest, wanted.version) != (serving.digest, serving.version)

    @property
    def refused(self) -> bool:
        """Whether it is behind because what is wanted cannot be served."""
        return self.behind and self._refused is not None and self._refused[0] == self._wanted

    @property
    def ready(self) -> bool:
        """Whether it serves what it can serve."""
        return not self.behind or self.refused

    def state(self) -> dict[str, Any]:
        """For the model card and `/health`."""
        wanted = self._wanted
        return {
            "serving": self._serving().model_dump(),
            "wanted": None
            if wanted is None
            else {"name": wanted.model, "version": wanted.version, "digest": wanted.digest},
            "behind": self.behind,
            "ready": self.ready,
            "refused": self._last.problem if self.refused and self._last is not None else "",
            "registry": self._unreachable,
            "last_swap": None if self._last is None else self._last.model_dump(),
        }

    async def _is_due(self, wanted: Wanted) -> bool:
        """Whether it is not served, or not as it lies there now, and has not been refused as it lies there now."""
        mark = await _marked(wanted)
        if self._refused == mark and time.monotonic() < self._retry_at:
            return False
        return self.behind or (self._taken is not None and mark[1] not in ("", self._taken[1]))

    async def _take_turn(self) -> bool:
        try:
            return await asyncio.to_thread(self._desired.take_turn, self._model, self._replica, self._settings.lease_s)
        except ChordaeError as error:
            self._unreachable = str(error)
            return False

    async def _change_in_turn(self, wanted: Wanted) -> None:
        """The change, the lease renewed as long as it lasts: large weights on slow storage take their time."""
        change = asyncio.create_task(self._change(wanted))
        try:
            while not (await asyncio.wait([change], timeout=self._settings.lease_s / 3))[0]:
                await self._take_turn()
            await change
        finally:
            change.cancel()

    async def _change(self, wanted: Wanted) -> None:
        mark = await _marked(wanted)  # before: what changes meanwhile is looked at again
        self._last = await self._swap(wanted)
        last = self._last
        level = logging.INFO if last.outcome == "swapped" else logging.WARNING
        told = (self._model, wanted.version, last.outcome, last.closed_s, last.problem)
        _log.log(level, "%s, version %s: %s; closed for %.2f s. %s", *told)
        blamed = last.outcome in ("refused", "restored") and last.code != ExpertUnavailable.code
        self._taken = mark if last.outcome == "swapped" else self._taken
        self._refused = mark if blamed else None  # an engine that failed says nothing of the version: tried again
        self._retry_at = _retry_at(last.code)

    async def _give_turn(self) -> None:
        try:
            await asyncio.shield(asyncio.to_thread(self._desired.give_turn, self._model, self._replica))
        except ChordaeError as error:  # the lease ends by itself
            self._unreachable = str(error)


def _retry_at(code: str) -> float:
    """When a version that was refused is looked at again though nobody registered it anew, by the monotonic clock."""
    return time.monotonic() + RETRY_S if code == VersionUnreadable.code else math.inf


def _mark(wanted: Wanted) -> tuple[Wanted, str]:
    """A version as it lies there now: registered again, say with a calibration, it deserves another look."""
    try:
        return wanted, hashlib.sha256((wanted.directory / VERSION).read_bytes()).hexdigest()
    except OSError:
        return wanted, ""


async def _marked(wanted: Wanted) -> tuple[Wanted, str]:
    return await asyncio.to_thread(_mark, wanted)
