"""Brakes beside what `test_pcrl_brakes` shows: each figure's false alarms by itself, p against exact counts, limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.spatial.distance import cityblock
from scipy.stats import binom, binomtest

from chordae.learning.pcrl.brakes import BrakeSettings, RoundFigures, brake, least_sentinels, total_variation

NOTHING = RoundFigures(sentinels={}, pseudo_labels={}, entropies=(), prior={})
TESTS_ALONE, LOOKS = (
    BrakeSettings(sentinel_drop=0, pseudo_label_drop=0, entropy_change=1e-9, prior_drift=0, alpha=0.2),
    5,
)
"""Without limits: only chance is held against the figures. A high alpha, so that few rounds tell its rate."""
ROUNDS = {"sentinels": 300, "pseudo_labels": 300, "entropies": 300, "prior": 40}


def drawn(figure: str, rng: np.random.Generator) -> RoundFigures:
    right = {str(place): bool(one) for place, one in enumerate(rng.random(80) < 0.8)}
    prior = {str(name): int(count) for name, count in enumerate(rng.multinomial(100, [0.5, 0.3, 0.2]))}
    every = {"sentinels": right, "pseudo_labels": right, "entropies": tuple(rng.exponential(0.3, 60)), "prior": prior}
    return NOTHING.model_copy(update={figure: every[figure]})


@pytest.mark.parametrize("figure", ROUNDS)
def test_each_figure_of_an_unchanged_model_stops_at_most_alpha_of_rounds_though_looked_at_often(figure: str) -> None:
    rounds, stopped = ROUNDS[figure], 0
    for seed in range(rounds):
        rng = np.random.default_rng((seed, 7))
        start = drawn(figure, rng)
        stopped += any(brake(start, drawn(figure, rng), TESTS_ALONE, LOOKS) for _ in range(LOOKS))
    assert stopped <= binom.ppf(0.999, rounds, TESTS_ALONE.alpha)
    assert binomtest(stopped, rounds, TESTS_ALONE.alpha, alternative="greater").pvalue > 0.001


def test_more_looks_ask_for_more_evidence() -> None:
    names = [str(number) for number in range(40)]
    start = NOTHING.model_copy(update={"sentinels": dict.fromkeys(names, True)})
    now = start.model_copy(update={"sentinels": {name: int(name) >= 6 for name in names}})
    halt = brake(start, now, BrakeSettings(), 1)
    assert halt is not None
    assert halt.p == pytest.approx(0.5**6)
    assert brake(start, now, BrakeSettings(), 3) is not None, "0.05 / 3 is above it"
    assert brake(start, now, BrakeSettings(), 4) is None, "0.05 / 4 is below it"


@pytest.mark.parametrize(("looks", "alpha"), [(1, 0.05), (2, 0.05), (7, 0.01), (1, 0.25)])
def test_of_the_least_sentinels_the_loss_of_all_pulls_the_brake_and_of_one_fewer_it_cannot(
    looks: int, alpha: float
) -> None:
    settings = BrakeSettings(alpha=alpha)
    for count, pulled in ((least := least_sentinels(settings, looks), True), (least - 1, False)):
        names = [str(number) for number in range(count)]
        start = NOTHING.model_copy(update={"sentinels": dict.fromkeys(names, True)})
        now = NOTHING.model_copy(update={"sentinels": dict.fromkeys(names, False)})
        assert (brake(start, now, settings, looks) is not None) is pulled


def test_a_drop_of_just_the_limit_goes_on() -> None:
    names = [str(number) for number in range(40)]
    start = NOTHING.model_copy(update={"sentinels": dict.fromkeys(names, True)})
    now = start.model_copy(update={"sentinels": {name: int(name) >= 20 for name in names}})
    assert brake(start, now, BrakeSettings(sentinel_drop=0.5), 20) is None
    assert brake(start, now, BrakeSettings(sentinel_drop=0.49), 20) is not None


def test_answering_better_never_stops_a_round() -> None:
    names = [str(number) for number in range(60)]
    better = {"sentinels": dict.fromkeys(names, True), "pseudo_labels": dict.fromkeys(names, True)}
    start = NOTHING.model_copy(update={key: dict.fromkeys(names, False) for key in better})
    settings = BrakeSettings(sentinel_drop=0, pseudo_label_drop=0)
    assert brake(start, start.model_copy(update=better), settings, 20) is None


def test_the_chance_of_a_moved_prior_of_two_categories_is_that_of_two_binomials_of_the_pooled_share() -> None:
    first, second = (30, 10), (21, 19)
    settings = BrakeSettings(prior_drift=0.05, alpha=0.999)
    start, now = (NOTHING.model_copy(update={"prior": dict(zip("ab", some, strict=True))}) for some in (first, second))
    halt = brake(start, now, settings, 1)
    assert halt is not None
    mass = binom.pmf(np.arange(41), 40, 51 / 80)
    apart = np.abs(np.subtract.outer(np.arange(41), np.arange(41)))
    exact = float(np.outer(mass, mass)[apart >= 9].sum())
    assert halt.now == pytest.approx(9 / 40)
    assert halt.p == pytest.approx(exact, abs=4 * math.sqrt(exact / 20_000))


def test_a_category_that_only_one_moment_knows_counts_as_a_move() -> None:
    start = NOTHING.model_copy(update={"prior": {"a": 100}})
    halt = brake(start, NOTHING.model_copy(update={"prior": {"b": 100}}), BrakeSettings(), 20)
    assert halt is not None
    assert (halt.reason, halt.now) == ("class prior", 1.0)


def test_total_variation_is_half_the_city_block_distance_row_by_row_whatever_the_counts() -> None:
    rng = np.random.default_rng(5)
    first, second = rng.integers(1, 50, (30, 6)).astype(float), rng.integers(1, 500, (30, 6)).astype(float)
    expected = [cityblock(a / a.sum(), b / b.sum()) / 2 for a, b in zip(first, second, strict=True)]
    assert total_variation(first, second) == pytest.approx(expected)


@pytest.mark.parametrize("missing", ["sentinels", "pseudo_labels", "entropies", "prior"])
def test_one_figure_that_either_moment_lacks_is_not_compared_and_the_others_are(missing: str) -> None:
    names = [str(number) for number in range(60)]
    start = RoundFigures(
        sentinels=dict.fromkeys(names, True),
        pseudo_labels=dict.fromkeys(names, True),
        entropies=(0.1, 0.2) * 50,
        prior={"a": 100, "b": 100},
    )
    bad = RoundFigures(
        sentinels=dict.fromkeys(names, False),
        pseudo_labels=dict.fromkeys(names, False),
        entropies=(1.1, 1.2) * 50,
        prior={"a": 200, "b": 0},
    )
    empty = getattr(NOTHING, missing)
    alone = NOTHING.model_copy(update={missing: getattr(start, missing)})
    assert brake(alone, bad.model_copy(update={missing: empty}), BrakeSettings(), 20) is None
    assert brake(start.model_copy(update={missing: empty}), NOTHING, BrakeSettings(), 20) is None
    assert brake(start, bad.model_copy(update={missing: empty}), BrakeSettings(), 20) is not None


def test_sentinels_of_two_moments_without_one_in_common_are_not_compared() -> None:
    start = NOTHING.model_copy(update={"sentinels": {f"a{number}": True for number in range(60)}})
    now = NOTHING.model_copy(update={"sentinels": {f"b{number}": False for number in range(60)}})
    assert brake(start, now, BrakeSettings(), 20) is None


@pytest.mark.parametrize(("was", "now", "stops"), [(0.2, 0.4, True), (0.2, 0.2, False), (0.2, 0.29, False)])
def test_entropies_without_any_spread_are_compared_by_the_limit_alone(was: float, now: float, stops: bool) -> None:
    start = NOTHING.model_copy(update={"entropies": (was,) * 5})
    halt = brake(start, NOTHING.model_copy(update={"entropies": (now,) * 5}), BrakeSettings(), 20)
    assert (halt is not None) == stops


def test_the_same_figures_give_the_same_halt() -> None:
    start = NOTHING.model_copy(update={"prior": {"a": 80, "b": 20, "c": 20}})
    now = NOTHING.model_copy(update={"prior": {"a": 30, "b": 70, "c": 20}})
    assert brake(start, now, BrakeSettings(), 20) == brake(start, now, BrakeSettings(), 20) is not None


def test_figures_that_cannot_be_are_refused() -> None:
    for wrong in ({"prior": {"a": -1}}, {"entropies": (math.nan,)}):
        with pytest.raises(ValidationError, match="finite"):
            RoundFigures.model_validate(NOTHING.model_dump() | wrong)
