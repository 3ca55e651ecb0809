"""Several streams of steps at once, told as one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import TypeVar

from chordae.platform.errors import ChordaeError

Name = TypeVar("Name")
Step = TypeVar("Step")


async def side_by_side(streams: Mapping[Name, AsyncIterator[Step]]) -> AsyncIterator[tuple[Name, Step | ChordaeError]]:
    """The steps of every stream as they come, by its name.

    An error of the project's own is the last step of its stream, and the others go on; any other ends them all and is
    raised. Who stops listening ends them too.
    """
    told: asyncio.Queue[tuple[Name, Step | BaseException | None]] = asyncio.Queue()

    async def listen(name: Name, stream: AsyncIterator[Step]) -> None:
        try:
            async for step in stream:
                told.put_nowait((name, step))
            told.put_nowait((name, None))
        except BaseException as error:  # noqa: BLE001 - raised below, in the task of whoever listens; a cancellation too
            told.put_nowait((name, error))

    tasks = [asyncio.create_task(listen(name, stream)) for name, stream in streams.items()]
    open_streams = len(tasks)
    try:
        while open_streams:
            name, step = await told.get()
            if step is None or isinstance(step, BaseException):
                open_streams -= 1
            if isinstance(step, ChordaeError):
                yield name, step
            elif isinstance(step, BaseException):
                raise step
            elif step is not None:
                yield name, step
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
