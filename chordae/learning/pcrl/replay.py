"""Cases of another kind mixed into a list, a stated share of the whole: replayed labelled cases, or noise.

Replay keeps what was learned: in each step some prompts are labelled cases. Noise is what prospective data bring along
(CMR-R, PCRL: "some of them noise"); a study of the method states how much of it there is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from chordae.learning.pcrl.config import PcrlConfig

T = TypeVar("T")


def shares(places: int, share: float) -> tuple[int, int]:
    """Of a step's places, how many new and how many labelled cases have (`share`, rounded half up).

    Raises:
        ValueError: a share outside 0 to 1.
    """
    labelled = _count(places, share)
    return places - labelled, labelled


def with_replay(new: Sequence[T], labelled: Sequence[T], count: int, seed: int, step: int) -> list[T]:
    """A step's prompts: the new cases in their order, and `count` labelled ones between them.

    Labelled cases come in a shuffled order that goes on from step to step, so that each is replayed about equally
    often. Which they are, and where, depends on seed and step alone: a resumed run replays the same.

    Raises:
        ValueError: a step below 0, or no labelled cases to be replayed.
    """
    if step < 0:
        raise ValueError("steps count from 0")
    if count and not labelled:
        raise ValueError("labelled cases are to be replayed, but there are none")
    total = len(new) + count
    places = set(np.random.default_rng((seed, 1, step)).permutation(total)[:count].tolist())
    own, replayed = iter(new), iter(in_turns(labelled, step * count, count, seed))
    return [next(replayed if place in places else own) for place in range(total)]


def in_turns(items: Sequence[T], first: int, count: int, seed: int) -> list[T]:
    """Places `first` to `first + count` of an endless order that holds every item once before any comes again."""
    turns: dict[int, list[T]] = {}
    for turn in {place // len(items) for place in range(first, first + count)}:
        turns[turn] = _shuffled(items, seed, turn)
    return [turns[place // len(items)][place % len(items)] for place in range(first, first + count)]


def with_noise(cases: Sequence[T], noise: Sequence[T], share: float, seed: int) -> list[T]:
    """As many as `cases`, of which `share` are noise instead; none of the noise is taken twice.

    Raises:
        ValueError: less noise than the share needs, or a share outside 0 to 1.
    """
    count = _count(len(cases), share)
    if count > len(noise):
        raise ValueError(f"{count} noise cases are needed, {len(noise)} are there")
    return _placed(cases, _shuffled(noise, seed, 0)[:count], np.random.default_rng((seed, 2)))


def _count(total: int, share: float) -> int:
    if not 0 <= share <= 1:
        raise ValueError("a share is from 0 to 1")
    return math.floor(total * share + 0.5)


def _shuffled(items: Sequence[T], seed: int, turn: int) -> list[T]:
    return [items[one] for one in np.random.default_rng((seed, 0, turn)).permutation(len(items))]


def _placed(cases: Sequence[T], chosen: Sequence[T], rng: np.random.Generator) -> list[T]:
    result = list(cases)
    for place, item in zip(rng.permutation(len(result))[: len(chosen)], chosen, strict=True):
        result[place] = item
    return result


def steps_for(config: PcrlConfig, cases: int) -> int:
    """Steps a round, as many as the configuration has at least, in which each of so many cases comes up once."""
    new, _ = shares(config.step_prompts, config.replay)
    return max(config.round_steps, math.ceil(math.ceil(cases / config.rounds) / new)) if new else config.round_steps
