"""Large classes are used up before anything comes again, small ones are reused, deficits are filled."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chordae.learning.curriculum.pools import Pool, Pools
from chordae.platform.errors import BadInput, BadSettings

SMALL_BELOW = 6
sizes = st.lists(st.integers(1, 15), min_size=1, max_size=5)
quotas = st.lists(st.lists(st.integers(0, 8), min_size=5, max_size=5), min_size=1, max_size=12)


def examples(counts: list[int]) -> dict[str, list[str]]:
    return {f"class {number}": [f"{number}-{one}" for one in range(count)] for number, count in enumerate(counts)}


def wanted(ids: dict[str, list[str]], numbers: list[int]) -> dict[str, int]:
    """A quota for these classes that can be met."""
    quota, room = {}, sum(map(len, ids.values()))
    for name, number in zip(ids, numbers, strict=False):
        quota[name] = min(number, room)
        room -= quota[name]
    return quota


@settings(deadline=None)
@given(sizes, quotas, st.integers(0, 2**32))
def test_a_draw_is_as_large_as_its_quota_and_holds_nothing_twice(
    counts: list[int], asked: list[list[int]], seed: int
) -> None:
    ids, generator = examples(counts), np.random.default_rng(seed)
    pools = Pools.begin(ids, SMALL_BELOW, generator)
    for numbers in asked:
        quota = wanted(ids, numbers)
        drawn = pools.draw(quota, generator)
        every = [one for some in drawn.values() for one in some]
        assert len(every) == len(set(every)) == sum(quota.values())
        for name, some in drawn.items():
            assert set(some) <= set(ids[name])
            assert len(some) >= min(quota[name], len(ids[name])), "nothing is taken from a class that can supply it"


@settings(deadline=None)
@given(sizes, quotas, st.integers(0, 2**32))
def test_no_example_of_a_large_class_comes_again_before_all_the_others_did(
    counts: list[int], asked: list[list[int]], seed: int
) -> None:
    ids, generator = examples(counts), np.random.default_rng(seed)
    pools = Pools.begin(ids, SMALL_BELOW, generator)
    seen: dict[str, list[str]] = {name: [] for name in ids}
    for numbers in asked:
        for name, some in pools.draw(wanted(ids, numbers), generator).items():
            seen[name] += some
    for name, drawn in seen.items():
        size = len(ids[name])
        if size < SMALL_BELOW:
            continue
        for start in range(0, len(drawn), size):
            one_pass = drawn[start : start + size]
            assert len(set(one_pass)) == len(one_pass)


def test_a_small_class_gives_its_size_at_most_and_the_rest_comes_evenly_from_the_others() -> None:
    filled: Counter[str] = Counter()
    ids = examples([2, 40, 40])
    for seed in range(300):
        generator = np.random.default_rng(seed)
        drawn = Pools.begin(ids, SMALL_BELOW, generator).draw({"class 0": 8}, generator)
        assert sorted(drawn["class 0"]) == ["0-0", "0-1"]
        filled.update({name: len(some) for name, some in drawn.items()})
    assert filled["class 1"] + filled["class 2"] == 6 * 300
    assert abs(filled["class 1"] - filled["class 2"]) < 3 * np.sqrt(6 * 300)  # binomial: 3.2 standard errors of 900


def test_a_small_class_is_reused_evenly() -> None:
    generator = np.random.default_rng(0)
    pools = Pools.begin(examples([5, 20]), SMALL_BELOW, generator)
    counts = Counter(one for _ in range(1000) for one in pools.draw({"class 0": 2}, generator)["class 0"])
    assert len(counts) == 5
    assert all(abs(count - 400) < 4 * np.sqrt(1000 * 0.4 * 0.6) for count in counts.values())


def test_passes_differ_in_their_order() -> None:
    generator = np.random.default_rng(0)
    pools = Pools.begin(examples([20]), SMALL_BELOW, generator)
    passes = [pools.draw({"class 0": 20}, generator)["class 0"] for _ in range(3)]
    assert len(set(passes)) == 3
    assert all(sorted(one) == sorted(passes[0]) for one in passes)


@settings(deadline=None)
@given(sizes, quotas, st.integers(0, 2**32))
def test_pools_read_from_json_draw_the_same(counts: list[int], asked: list[list[int]], seed: int) -> None:
    ids, generator = examples(counts), np.random.default_rng(seed)
    pools = Pools.begin(ids, SMALL_BELOW, generator)
    for number, numbers in enumerate(asked):
        again = Pools.model_validate_json(pools.model_dump_json())
        first = pools.draw(wanted(ids, numbers), np.random.default_rng(number))
        assert again.draw(wanted(ids, numbers), np.random.default_rng(number)) == first
        assert again == pools


def test_more_than_there_is_is_refused_and_nothing_was_drawn() -> None:
    generator = np.random.default_rng(0)
    pools = Pools.begin(examples([3, 10]), SMALL_BELOW, generator)
    before = pools.model_copy(deep=True)
    with pytest.raises(BadSettings, match="13 examples"):
        pools.draw({"class 1": 14}, generator)
    assert pools == before


@pytest.mark.parametrize("ids", [{}, {"a": []}, {"a": ["1"], "b": []}, {"a": ["1"], "b": ["1"]}, {"a": ["1", "1"]}])
def test_empty_classes_and_examples_that_are_there_twice_are_refused(ids: dict[str, list[str]]) -> None:
    with pytest.raises(BadInput):
        Pools.begin(ids, SMALL_BELOW, np.random.default_rng(0))


def test_the_threshold_itself_is_large() -> None:
    pools = Pools.begin(examples([5, 6]), SMALL_BELOW, np.random.default_rng(0))
    assert [pool.small for pool in pools.by_class.values()] == [True, False]
    assert isinstance(pools.by_class["class 0"], Pool)
