"""The vote beside what `test_pcrl_votes` shows: against exact fractions, scaled, renamed, with blanks, and tied."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chordae.learning.pcrl.vote import vote

tenths = st.integers(0, 10)
named = st.lists(st.tuples(st.sampled_from("abcd"), tenths), min_size=1, max_size=12)
ballots = st.lists(st.tuples(st.one_of(st.none(), st.sampled_from("abcd")), tenths), max_size=12)


def exact(votes: list[tuple[str | None, int]]) -> tuple[str | None, Fraction]:
    """Winner and margin in exact arithmetic, doubts in tenths."""
    sums: dict[str, Fraction] = {}
    for name, doubt in votes:
        if name is not None:
            sums[name] = sums.get(name, Fraction(0)) + 1 - Fraction(doubt, 10)
    ranked = sorted(sums.values(), reverse=True)
    first, second = [*ranked, Fraction(0), Fraction(0)][:2]
    if first == second:
        return None, Fraction(0)
    total = sum(ranked, Fraction(0)) + sum(name is None for name, _ in votes)
    return next(name for name, weight in sums.items() if weight == first), (first - second) / total


@given(ballots)
def test_winner_and_margin_are_those_of_exact_arithmetic(votes: list[tuple[str | None, int]]) -> None:
    found = vote([name for name, _ in votes], [doubt / 10 for _, doubt in votes])
    winner, margin = exact(votes)
    assert found.winner == winner
    assert found.margin == pytest.approx(float(margin))


@given(named, st.floats(0.05, 1))
def test_if_all_answers_are_less_certain_by_one_factor_nothing_changes(
    votes: list[tuple[str, int]], factor: float
) -> None:
    names, sure = [name for name, _ in votes], [1 - doubt / 10 for _, doubt in votes]
    found = vote(names, [1 - one for one in sure])
    scaled = vote(names, [1 - factor * one for one in sure])
    assert (scaled.winner, scaled.tie) == (found.winner, found.tie)
    assert scaled.margin == pytest.approx(found.margin, abs=1e-9)
    assert dict(scaled.shares) == pytest.approx(dict(found.shares))


@given(named)
def test_categories_by_other_names_get_the_same_vote(votes: list[tuple[str, int]]) -> None:
    doubts = [doubt / 10 for _, doubt in votes]
    other = dict(zip("abcd", "zxyw", strict=True))
    found, renamed = vote([name for name, _ in votes], doubts), vote([other[name] for name, _ in votes], doubts)
    assert renamed.winner == (None if found.winner is None else other[found.winner])
    assert renamed.margin == pytest.approx(found.margin)


@given(named, st.integers(1, 5), st.floats(0, 1))
def test_blanks_lower_the_margin_however_sure_they_are_and_change_no_winner(
    votes: list[tuple[str, int]], blanks: int, doubt: float
) -> None:
    names, doubts = [name for name, _ in votes], [one / 10 for _, one in votes]
    found, more = vote(names, doubts), vote([*names, *[None] * blanks], [*doubts, *[doubt] * blanks])
    assert more.winner == found.winner
    weight = math.fsum(1 - one for one in doubts)
    assert more.margin == pytest.approx(found.margin * weight / (weight + blanks))


@pytest.mark.parametrize(
    ("names", "doubts"),
    [("ab", [0.3, 0.3]), ("aaab", [0.9, 0.9, 0.9, 0.7]), ("abc", [0, 0, 0]), ("abcc", [0, 0, 0.5, 0.5])],
)
def test_equal_weights_at_the_top_are_a_tie_that_nobody_wins_rounding_or_not(names: str, doubts: list[float]) -> None:
    found = vote(list(names), doubts)
    assert found.tie
    assert (found.winner, found.margin) == (None, 0)


def test_a_tie_below_the_top_is_none_and_a_lonely_answer_wins_wholly() -> None:
    assert vote(list("aabc"), [0] * 4).winner == "a"
    alone = vote(["a"], [0.99])
    assert (alone.winner, alone.tie, alone.margin) == ("a", False, pytest.approx(1))


@pytest.mark.parametrize(("names", "doubts"), [("a", []), ("a", [math.nan]), ("ab", [0.1, -0.1])])
def test_a_doubt_that_is_missing_or_no_share_is_refused(names: str, doubts: list[float]) -> None:
    with pytest.raises(ValueError, match=r"shorter|0 to 1"):
        vote(list(names), doubts)
