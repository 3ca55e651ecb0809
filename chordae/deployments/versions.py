"""The versions of one replica: the one it serves, the gate before it, and the task that brings it to what is wanted."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import AbstractAsyncContextManager
from typing import Any

from chordae.deployments.beginning import Beginning
from chordae.deployments.loaded import Loaded
from chordae.deployments.reconcile import Desired, Reconciler
from chordae.deployments.swap import Swap, SwapReport
from chordae.deployments.weights_gate import WeightsGate
from chordae.platform.architecture import difference
from chordae.platform.engine import ChatEngine
from chordae.platform.errors import BadSettings, ChordaeError, ExpertUnavailable, VersionRefused
from chordae.platform.noun import WeightsVersion
from chordae.platform.settings import SwapSettings
from chordae.platform.wanted import Wanted

FLOAT32_TOLERANCE, HALF_TOLERANCE = 1e-3, 0.05
"""Of a log-probability, nats: two implementations, in full and in half precision."""


class Versions:
    """What a model's answers ask of their weights."""

    def __init__(
        self, engine: ChatEngine, beginning: Beginning, desired: Desired | None, settings: SwapSettings, dtype: str
    ) -> None:
        """`dtype` is the engine's; without `desired` the settings' checkpoint is served for ever."""
        self.loaded: Loaded = beginning.loaded
        self._engine, self._beginning = engine, beginning
        self._gate = WeightsGate()
        tolerance = settings.tolerance or (FLOAT32_TOLERANCE if dtype == "float32" else HALF_TOLERANCE)
        self._swap = Swap(engine, self._gate, settings.drain_s, tolerance)
        self._reconciler: Reconciler | None = None
        self._task: asyncio.Task[None] | None = None
        if desired is not None:
            name, replica = beginning.loaded.weights.name, uuid.uuid4().hex
            self._reconciler = Reconciler(desired, name, replica, settings, lambda: self.loaded.weights, self.change)

    async def start(self) -> None:
        """Start the engine, prove what it was started with, and follow what is wanted from now on.

        Raises:
            ChordaeError: it was started with a version that it cannot load, or that does not write what its trainer
                says, and there is nothing else to fall back on.
        """
        began = self._beginning
        if began.registered:
            problem, worst = await self._begun()
        else:
            await self._engine.start()
            problem, worst = None, None
        if problem is not None:
            await self._fall_back(problem)
        if self._reconciler is None:
            return
        problem, report = problem or began.problem, None
        if began.wanted is not None and problem is not None:
            wanted = WeightsVersion(name=began.wanted.model, version=began.wanted.version, digest=began.wanted.digest)
            told = {"problem": str(problem), "code": problem.code, "worst": worst}
            report = SwapReport(outcome="refused", old=self.loaded.weights, new=wanted, **told)
        self._reconciler.begun(began.wanted, report)
        self._task = asyncio.create_task(self._reconciler.run())

    async def _begun(self) -> tuple[ChordaeError | None, float | None]:
        """What is wrong with a registered version, on an engine that is started with it."""
        try:
            await self._engine.start()
        except (BadSettings, ExpertUnavailable) as error:
            return error, None
        return await self._swap.prove(self.loaded)

    async def _fall_back(self, problem: ChordaeError) -> None:
        other = await asyncio.to_thread(self._beginning.fallback)
        if other.weights.digest == self.loaded.weights.digest:
            raise problem
        refused = isinstance(problem, VersionRefused)  # by its probes: the engine runs, and can take others of its kind
        if refused and not await asyncio.to_thread(difference, other.directory, self.loaded.directory):
            worse, _ = await self._swap.load(other)
        else:
            await self._engine.restart(other.directory)
            worse, _ = await self._swap.prove(other)
        if worse is not None:
            raise worse
        self.loaded = other

    def passing(self) -> AbstractAsyncContextManager[None]:
        """Hold the gate for one answer. Raises ExpertUnavailable where no weights are left to answer with."""
        return self._gate.passing()

    def check(self) -> None:
        """Raises ExpertUnavailable where no weights are left to answer with, or nobody follows what is wanted."""
        self._gate.check()
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()

    async def change(self, wanted: Wanted) -> SwapReport:
        """Serve that version, or go on with this one."""
        return await self._swap.to(wanted, self.loaded, self._take)

    def _take(self, loaded: Loaded) -> None:
        self.loaded = loaded

    def state(self) -> dict[str, Any]:
        """For the model card: what is served, what is wanted, what became of the last change."""
        if self._reconciler is not None:
            return self._reconciler.state()
        told = {"serving": self.loaded.weights.model_dump(), "wanted": None, "behind": False, "ready": True}
        return told | {"refused": "", "registry": "", "last_swap": None}

    def stop(self) -> None:
        """Follow what is wanted no longer."""
        if self._task is not None:
            self._task.cancel()
