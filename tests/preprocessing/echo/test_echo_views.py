"""Clips are chosen for what they show and for not all showing the same; never by chance."""

import numpy as np
from echo_files import clip, fan
from hypothesis import given, settings
from hypothesis import strategies as st

from chordae.preprocessing.echo.attention import shipped_selector
from chordae.preprocessing.echo.clips import Clip
from chordae.preprocessing.echo.cycle import cycle_of
from chordae.preprocessing.echo.tiles import thumbnails
from chordae.preprocessing.echo.views import (
    Candidate,
    ViewSelector,
    describe,
    diverse,
    has_colour,
    judge,
)

SELECTOR: ViewSelector = shipped_selector()


def candidate(pixels: np.ndarray, number: int) -> Candidate:
    one = Clip(number, clip(pixels), ())
    small = thumbnails(one, cycle_of(one.instance, 24))
    return Candidate(number, small, judge(small))


def noisy(pixels: np.ndarray, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(-6, 7, pixels.shape)
    return np.where(pixels > 0, np.clip(pixels + noise, 1, 255), 0).astype(np.uint8)


def best(candidates: list[Candidate], limit: int) -> list[int]:
    """By quality and difference alone."""
    described = np.stack([describe(one.thumbnails) for one in candidates])
    return diverse(
        np.array([one.quality.overall for one in candidates]), described, [one.number for one in candidates], limit
    )


def test_many_takes_of_one_view_do_not_crowd_out_another() -> None:
    takes = [candidate(noisy(fan(0)[::5], take), take + 1) for take in range(27)]
    other = candidate(fan(3)[::5], 28)
    for chosen in (best([*takes, other], 25), SELECTOR.select([*takes, other], 25, "")):
        assert len(chosen) == 25
        assert 27 in chosen[:2]


def test_the_better_of_two_takes_is_chosen() -> None:
    sharp, dim = candidate(fan(0)[::5], 1), candidate(fan(0)[::5] // 5, 2)
    assert judge(sharp.thumbnails).overall > judge(dim.thumbnails).overall
    assert best([dim, sharp], 1) == [1]


def test_a_moving_heart_is_worth_more_than_a_frozen_one() -> None:
    moving, still = fan(0)[::5], np.repeat(np.maximum(fan(0)[:1], 20), 6, axis=0)
    assert candidate(moving, 1).quality.motion > candidate(still, 2).quality.motion


def test_equals_are_taken_in_the_order_of_the_study() -> None:
    one = candidate(fan(0)[::5], 1)
    equals = [Candidate(number, one.thumbnails, one.quality) for number in (5, 2, 9)]
    assert SELECTOR.select(equals, 3, "") == [1, 0, 2]


def test_colour_is_seen_and_makes_a_clip_another_one() -> None:
    grey = np.repeat(fan(0)[::5, ..., None], 3, axis=-1)
    coloured = grey.copy()
    coloured[:, 100:140, 140:180] = (220, 30, 30)
    plain, flow = candidate(grey, 1), candidate(coloured, 2)
    assert not has_colour(plain.thumbnails)
    assert has_colour(flow.thumbnails)
    assert float(describe(plain.thumbnails) @ describe(flow.thumbnails)) < 0.95


pictures = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).integers(0, 255, (3, 64, 64, 3), dtype=np.uint8) * (seed % 3 > 0)
)


@settings(max_examples=50, deadline=None)
@given(seeds=st.lists(pictures, max_size=12), limit=st.integers(0, 30), question=st.text(max_size=9))
def test_any_candidates_are_chosen_once_at_most_and_always_the_same(
    seeds: list[np.ndarray], limit: int, question: str
) -> None:
    candidates = [Candidate(number, small, judge(small)) for number, small in enumerate(seeds)]
    chosen = SELECTOR.select(candidates, limit, question)
    assert len(chosen) == len(set(chosen)) == min(limit, len(candidates))
    assert set(chosen) <= set(range(len(candidates)))
    assert chosen == SELECTOR.select(candidates, limit, question)
    turned = SELECTOR.select(candidates[::-1], limit, question)
    assert [len(candidates) - 1 - index for index in turned] == chosen
