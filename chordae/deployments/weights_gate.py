"""The gate that every answer of a replica goes through, so that weights change between answers and never within one.

An answer is inside from before its first prompt to after its last token, all its probes included.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chordae.platform.errors import ChordaeError, StillAnswering


class WeightsGate:
    """Open, closed or broken; of one event loop. Answers pass an open gate, wait before a closed one, and fail at a
    broken one."""

    def __init__(self) -> None:
        self._inside = 0
        self._open, self._empty = asyncio.Event(), asyncio.Event()
        self._open.set()
        self._empty.set()
        self._broken: ChordaeError | None = None

    @property
    def inside(self) -> int:
        """How many answers are being given."""
        return self._inside

    def check(self) -> None:
        """Raises what `break_off` was given."""
        if self._broken is not None:
            raise self._broken

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        """Hold the gate for one answer. Raises what `break_off` was given."""
        while not self._open.is_set():  # it may have closed again before a waiting answer had its turn
            await self._open.wait()
        self.check()
        self._inside += 1
        self._empty.clear()
        try:
            yield
        finally:
            self._inside -= 1
            if not self._inside:
                self._empty.set()

    async def close(self, deadline_s: float) -> None:
        """Let nothing in, and wait until the last answer is out. Only one may close it at a time.

        Raises:
            StillAnswering: answers were still being given after that time; the gate is open again.
        """
        self._open.clear()
        try:
            async with asyncio.timeout(deadline_s):
                await self._empty.wait()
        except TimeoutError as error:
            self.open()
            problem = f"{self._inside} answers were still being given after {deadline_s:g} s"
            raise StillAnswering(problem, "the weights change later, or raise swap.drain_s") from error
        except BaseException:  # raised again: whoever wanted to close it has gone
            self.open()
            raise

    def open(self) -> None:
        """Let the waiting ones in."""
        self._open.set()

    def break_off(self, error: ChordaeError) -> None:
        """From now on every answer fails with this error: no weights are left that could give it."""
        self._broken = error
        self._open.set()
