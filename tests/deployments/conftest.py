"""A platform without Ray or model, and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fakes import MakePlatform, Platform


@pytest.fixture
async def platform(make_platform: MakePlatform) -> Platform:
    return make_platform()


@pytest.fixture
async def http(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    async with platform.http() as client:
        yield client
