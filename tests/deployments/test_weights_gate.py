"""The gate: answers wait while it is closed, none fails, and it closes only when the last is out."""

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chordae.deployments.weights_gate import WeightsGate
from chordae.platform.errors import ExpertUnavailable, StillAnswering


async def answer(gate: WeightsGate, steps: int, log: list[str], name: str) -> None:
    async with gate.passing():
        log.append(f"in {name}")
        for _ in range(steps):
            await asyncio.sleep(0)
        log.append(f"out {name}")


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_closed_gate_lets_running_answers_out_and_none_in() -> None:
    gate, log = WeightsGate(), []
    running = asyncio.create_task(answer(gate, 5, log, "early"))
    await asyncio.sleep(0)
    closing = asyncio.create_task(gate.close(5))
    await asyncio.sleep(0)
    late = asyncio.create_task(answer(gate, 1, log, "late"))
    await closing
    await settle()
    assert log == ["in early", "out early"]
    assert gate.inside == 0
    gate.open()
    await asyncio.gather(running, late)
    assert log[2:] == ["in late", "out late"]


async def test_an_answer_that_lasts_too_long_opens_the_gate_again() -> None:
    gate, log = WeightsGate(), []
    endless = asyncio.create_task(answer(gate, 10**9, log, "endless"))
    await asyncio.sleep(0)
    closing = asyncio.create_task(gate.close(0.02))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(answer(gate, 0, log, "waiting"))
    with pytest.raises(StillAnswering, match="1 answers"):
        await closing
    await waiting
    endless.cancel()
    await gate.close(1)


async def test_answers_that_fail_or_are_given_up_leave_the_gate() -> None:
    gate = WeightsGate()
    with pytest.raises(ZeroDivisionError):
        async with gate.passing():
            raise ZeroDivisionError
    given_up = asyncio.create_task(answer(gate, 10**9, [], "given up"))
    await asyncio.sleep(0)
    given_up.cancel()
    await gate.close(1)


async def test_an_answer_given_up_while_it_waits_was_never_inside() -> None:
    gate = WeightsGate()
    await gate.close(1)
    waiting = asyncio.create_task(answer(gate, 0, [], "waiting"))
    await settle()
    waiting.cancel()
    gate.open()
    await settle()
    assert gate.inside == 0
    await gate.close(0.1)


async def test_closing_that_is_given_up_opens_the_gate() -> None:
    gate, log = WeightsGate(), []
    running = asyncio.create_task(answer(gate, 30, log, "running"))
    await asyncio.sleep(0)
    closing = asyncio.create_task(gate.close(5))
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.gather(running, answer(gate, 0, log, "after"))


async def test_a_broken_gate_fails_those_who_wait_and_those_who_come() -> None:
    gate, log = WeightsGate(), []
    await gate.close(1)
    waiting = asyncio.create_task(answer(gate, 0, log, "waiting"))
    await settle()
    gate.break_off(ExpertUnavailable("no weights", "ask again"))
    with pytest.raises(ExpertUnavailable, match="no weights"):
        await waiting
    with pytest.raises(ExpertUnavailable, match="no weights"):
        await answer(gate, 0, log, "later")
    assert log == []


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32), answers=st.integers(1, 40), closings=st.integers(1, 8))
def test_whatever_the_order_no_answer_is_inside_while_the_gate_is_closed_and_all_are_given(
    seed: int, answers: int, closings: int
) -> None:
    chance = random.Random(seed)

    async def run() -> None:
        gate, version, given = WeightsGate(), 0, 0

        async def one() -> None:
            nonlocal given
            for _ in range(chance.randrange(30)):
                await asyncio.sleep(0)
            async with gate.passing():
                seen = version
                for _ in range(chance.randrange(6)):
                    await asyncio.sleep(0)
                    assert version == seen, "the weights changed within an answer"
            given += 1

        async def swapper() -> None:
            nonlocal version
            for _ in range(closings):
                await gate.close(5)
                for _ in range(chance.randrange(4)):
                    assert gate.inside == 0
                    version += 1
                    await asyncio.sleep(0)
                gate.open()
                await asyncio.sleep(0)

        await asyncio.wait_for(asyncio.gather(swapper(), *(one() for _ in range(answers))), 10)
        assert given == answers

    asyncio.run(run())
