"""Probes are put to the engine at once, and what is wrong with one of them is still said of that one."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeEngine

from chordae.deployments.canary import replay
from chordae.platform.canaries import Canaries, CanaryProbe
from chordae.platform.engine import Continuation
from chordae.platform.errors import ExpertUnavailable

PROBES = Canaries(
    probes=tuple(CanaryProbe(prompt_ids=(one,), token_ids=(one, 7), logprobs=(-0.5, -0.25)) for one in (1, 2, 3)),
    computed_by="by hand",
)


class _Together(FakeEngine):
    """Answers only when all three are asked, the last one first."""

    def __init__(self, wrong: int = 0, dies_at: int = 0) -> None:
        super().__init__()
        self.barrier, self.running_now = asyncio.Barrier(3), 0
        self.wrong, self.dies_at = wrong, dies_at

    async def replay(self, prompt: Sequence[int] | dict[str, Any], limit: int) -> Continuation:
        assert not isinstance(prompt, dict)
        self.running_now += 1
        try:
            async with asyncio.timeout(5):
                await self.barrier.wait()
            if prompt[0] == self.dies_at:
                raise ExpertUnavailable("the engine died", "ask again")
            await asyncio.sleep(0.01 * (4 - prompt[0]))
        finally:
            self.running_now -= 1
        return Continuation([9 if prompt[0] == self.wrong else prompt[0], 7][:limit], [-0.5, -0.251])


async def test_all_probes_are_asked_at_once_and_the_largest_difference_is_kept(tmp_path: Path) -> None:
    verdict = await replay(_Together(), PROBES, tmp_path, 0.01)
    assert verdict.passed
    assert verdict.worst == pytest.approx(0.001)


async def test_the_probe_that_differs_is_named(tmp_path: Path) -> None:
    verdict = await replay(_Together(wrong=2), PROBES, tmp_path, 0.01)
    assert not verdict.passed
    assert verdict.problem == "canary probe 2 of 3, token 1: 9 instead of the trainer's 2"


async def test_where_the_engine_dies_nothing_is_left_running(tmp_path: Path) -> None:
    engine = _Together(dies_at=1)
    with pytest.raises(ExpertUnavailable):
        await replay(engine, PROBES, tmp_path, 0.01)
    assert engine.running_now == 0
