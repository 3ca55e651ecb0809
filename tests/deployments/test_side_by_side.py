"""Several streams told as one end whenever the streams do."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from chordae.deployments.side_by_side import side_by_side


async def cancelled() -> AsyncIterator[str]:
    yield "begun"
    raise asyncio.CancelledError


async def test_a_stream_that_is_cancelled_from_within_ends_the_listening_instead_of_hanging() -> None:
    heard = []
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(5):
            async for name, step in side_by_side({"one": cancelled()}):
                heard.append((name, step))
    assert heard == [("one", "begun")]
