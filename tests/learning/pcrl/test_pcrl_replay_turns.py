"""Replay beside what `test_pcrl_replay` shows: properties over many shares, sizes and seeds."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chordae.learning.pcrl.replay import shares, with_noise, with_replay

seeds = st.integers(0, 2**31)
eighths = st.integers(0, 8)


@given(st.integers(1, 12), st.integers(1, 9), eighths, st.integers(1, 30), seeds)
def test_any_share_is_exact_and_every_labelled_case_comes_as_often_as_the_others_within_one(
    size: int, pool: int, share: int, steps: int, seed: int
) -> None:
    cases, labelled = list(range(size)), [f"old {number}" for number in range(pool)]
    count = floor(Fraction(size * share, 8) + Fraction(1, 2))
    counted: Counter[str] = Counter(dict.fromkeys(labelled, 0))
    for step in range(steps):
        assert shares(size, share / 8) == (size - count, count)
        drawn: list[object] = list(with_replay([*map(str, cases[count:])], labelled, count, seed, step))
        replayed = [str(one) for one in drawn if one in labelled]
        assert (len(drawn), len(replayed)) == (size, count)
        counted.update(replayed)
    assert max(counted.values()) - min(counted.values()) <= 1


@given(st.integers(0, 40), seeds)
def test_a_run_resumed_at_any_step_draws_what_an_unbroken_one_draws(first: int, seed: int) -> None:
    cases, labelled = [str(number) for number in range(6)], ["x", "y", "z", "w"]
    unbroken = [with_replay(cases, labelled, 3, seed, step) for step in range(first + 3)]
    assert [with_replay(cases, labelled, 3, seed, step) for step in range(first, first + 3)] == unbroken[first:]


@given(st.integers(0, 12), st.integers(0, 15), eighths, seeds)
def test_no_noise_comes_twice_and_cases_that_stay_keep_their_place(size: int, pool: int, share: int, seed: int) -> None:
    cases, noise = [str(number) for number in range(size)], [f"noise {number}" for number in range(pool)]
    count = floor(Fraction(size * share, 8) + Fraction(1, 2))
    if count > pool:
        with pytest.raises(ValueError, match="noise cases are needed"):
            with_noise(cases, noise, share / 8, seed)
        return
    drawn = with_noise(cases, noise, share / 8, seed)
    taken = [one for one in drawn if one in noise]
    assert len(taken) == len(set(taken)) == count
    assert all(one == cases[place] for place, one in enumerate(drawn) if one not in noise)
    assert with_noise(cases, noise, share / 8, seed) == drawn


def test_which_cases_give_way_differs_from_step_to_step_and_leaves_the_given_lists_alone() -> None:
    cases, labelled = [str(number) for number in range(20)], ["x", "y"]
    kept = {
        tuple(place for place, one in enumerate(with_replay(cases, labelled, 5, 1, step)) if one in labelled)
        for step in range(20)
    }
    assert len(kept) > 15
    assert (len(cases), labelled) == (20, ["x", "y"])


@pytest.mark.parametrize("share", [-0.01, 1.01, float("nan")])
def test_noise_by_a_share_outside_0_to_1_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        with_noise(["a"], ["b"], share, 1)


def test_a_step_before_the_first_is_refused() -> None:
    with pytest.raises(ValueError, match="from 0"):
        with_replay(["a"], ["b"], 1, 1, -1)
