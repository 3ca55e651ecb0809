"""Unanimous groups are replaced, in place, so often and no more, and every rollout is counted."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chordae.learning.curriculum.filters.filter import unanimous
from chordae.learning.curriculum.filters.none import keep_all
from chordae.learning.curriculum.filters.zero_variance import ReplaceUnanimous


@dataclass(frozen=True)
class Answers:
    name: str
    rewards: tuple[float, ...]


EQUAL, MIXED = (1.0, 1.0), (1.0, 0.0)
groups_of = st.lists(st.sampled_from([EQUAL, MIXED]), max_size=8).map(
    lambda rewards: [Answers(str(number), one) for number, one in enumerate(rewards)]
)


def refuse(count: int) -> list[Answers]:
    raise AssertionError("nothing was to be rolled out")


@given(groups_of)
def test_without_a_filter_nothing_changes_and_unanimous_groups_are_counted(groups: list[Answers]) -> None:
    result = keep_all(groups, refuse)
    assert result.groups == groups
    assert (result.replaced, result.left) == (0, result.unanimous)
    assert result.unanimous == sum(group.rewards == EQUAL for group in groups)


@given(groups_of, st.lists(st.booleans(), min_size=40, max_size=40), st.integers(1, 4))
def test_only_unanimous_groups_are_replaced_in_their_places(
    groups: list[Answers], luck: list[bool], resamplings: int
) -> None:
    asked: list[int] = []
    chance = iter(luck)

    def roll(count: int) -> list[Answers]:
        asked.append(count)
        return [Answers("new", MIXED if next(chance) else EQUAL) for _ in range(count)]

    result = ReplaceUnanimous(resamplings)(groups, roll)
    assert len(result.groups) == len(groups)
    for before, after in zip(groups, result.groups, strict=True):
        assert after == before if before.rewards == MIXED else after.name == "new"
    assert result.unanimous == sum(group.rewards == EQUAL for group in groups)
    assert result.left == sum(group.rewards == EQUAL for group in result.groups)
    assert result.replaced == sum(asked)
    assert len(asked) <= resamplings
    assert asked == sorted(asked, reverse=True), "only what is still unanimous is asked for again"
    assert result.left == 0 or len(asked) == resamplings, "it is only given up after the last resampling"


def test_rewards_that_differ_in_the_last_digit_are_not_equal() -> None:
    assert unanimous((0.1 + 0.2, 0.1 + 0.2))
    assert not unanimous((0.1 + 0.2, 0.3))


def test_a_rollout_of_another_size_is_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ReplaceUnanimous(1)([Answers("a", EQUAL)], lambda count: [])
