"""Which cases a step has: shares are exact, turns are fair, and a resumed run draws what it would have drawn."""

from __future__ import annotations

from collections import Counter

import pytest

from chordae.learning.pcrl.replay import in_turns, shares, with_noise, with_replay

CASES = [f"new {number}" for number in range(8)]
LABELLED = [f"old {number}" for number in range(5)]


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.25, 2), (0.3, 2), (0.31, 2), (0.5, 4), (1.0, 8)])
def test_a_step_has_its_share_of_labelled_cases_and_loses_no_place(share: float, count: int) -> None:
    assert shares(8, share) == (8 - count, count)
    drawn = with_replay(CASES[count:], LABELLED, count, seed=1, step=3)
    assert len(drawn) == 8
    assert sum(one in LABELLED for one in drawn) == count
    assert [one for one in drawn if one in CASES] == CASES[count:], "every new case is there, in its order"


def test_labelled_cases_come_about_equally_often_and_a_resumed_run_draws_the_same() -> None:
    steps = [with_replay(CASES[:6], LABELLED, 2, seed=1, step=step) for step in range(50)]
    counted = Counter(one for step in steps for one in step if one in LABELLED)
    assert sum(counted.values()) == 100
    assert max(counted.values()) - min(counted.values()) <= 1
    assert with_replay(CASES[:6], LABELLED, 2, seed=1, step=37) == steps[37]
    assert with_replay(CASES[:6], LABELLED, 2, seed=2, step=37) != steps[37]


def test_turns_hold_everything_once_before_anything_comes_again() -> None:
    drawn = in_turns(LABELLED, 0, 15, seed=4)
    for first in (0, 5, 10):
        assert sorted(drawn[first : first + 5]) == LABELLED
    assert in_turns(LABELLED, 3, 9, seed=4) == drawn[3:12]


def test_noise_takes_its_share_and_nothing_of_it_twice() -> None:
    noise = [f"noise {number}" for number in range(4)]
    drawn = with_noise(CASES, noise, 0.5, seed=1)
    assert sorted(one for one in drawn if one in noise) == noise
    assert sum(one in CASES for one in drawn) == 4
    with pytest.raises(ValueError, match="5 noise cases are needed, 4 are there"):
        with_noise(CASES, noise, 0.6, seed=1)


def test_shares_outside_0_to_1_and_a_share_of_nothing_are_refused() -> None:
    for share in (-0.1, 1.1):
        with pytest.raises(ValueError, match="share"):
            shares(8, share)
    with pytest.raises(ValueError, match="none"):
        with_replay(CASES, [], 1, 1, 0)
    assert with_replay(CASES, [], 0, 1, 0) == CASES
