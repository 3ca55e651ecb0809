"""A round that drifts is stopped, an unchanged one hardly ever, however often it is looked at."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.spatial.distance import jensenshannon
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.weightstats import ttest_ind as welch

from chordae.learning.pcrl.brakes import BrakeSettings, RoundFigures, brake, total_variation

SETTINGS, LOOKS = BrakeSettings(), 20
CLASSES = 8


def figures(rng: np.random.Generator, accuracy: float = 0.85, entropy: float = 0.3, drift: float = 0.0) -> RoundFigures:
    """Of 150 sentinels, 600 answers and 300 unlabelled cases."""
    prior = np.full(CLASSES, (1 - drift) / CLASSES)
    prior[0] += drift
    right = rng.random(150) < accuracy
    return RoundFigures(
        sentinels={str(place): bool(one) for place, one in enumerate(right)},
        pseudo_labels={str(place): bool(one) for place, one in enumerate(rng.random(100) < 0.95)},
        entropies=tuple(rng.exponential(entropy, 600)),
        prior={str(name): int(count) for name, count in enumerate(rng.multinomial(300, prior))},
    )


def test_an_unchanged_model_is_hardly_ever_stopped_in_a_whole_round_of_looks() -> None:
    """At every look all answers are drawn anew, which is more change than one model shows."""
    stopped = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        start = figures(rng)
        stopped += any(brake(start, figures(rng), SETTINGS, LOOKS) for _ in range(LOOKS))
    assert stopped <= 4, "four figures, each stops at most alpha of the rounds"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"accuracy": 0.6}, "sentinel accuracy"),
        ({"entropy": 0.1}, "entropy"),
        ({"entropy": 0.9}, "entropy"),
        ({"drift": 0.5}, "class prior"),
    ],
)
def test_what_drifts_past_its_limit_stops_the_round_and_is_named(change: dict[str, float], reason: str) -> None:
    rng = np.random.default_rng(1)
    halt = brake(figures(rng), figures(rng, **change), SETTINGS, LOOKS)
    assert halt is not None
    assert halt.reason == reason
    assert f"{halt.now:.3f}" in halt.sentence


def test_pseudo_labels_that_become_wrong_stop_it_though_the_sentinels_stay_right() -> None:
    start = figures(np.random.default_rng(1))
    worse = start.model_copy(update={"pseudo_labels": {name: int(name) % 2 == 0 for name in start.pseudo_labels}})
    halt = brake(start, worse, SETTINGS, LOOKS)
    assert halt is not None
    assert halt.reason == "pseudo-label accuracy"


def test_a_drop_is_judged_by_the_exact_mcnemar_test_on_the_sentinels_that_both_have() -> None:
    names = [str(number) for number in range(60)]
    before = dict.fromkeys(names, True) | {"gone": True}
    after = {name: int(name) >= 14 for name in names} | {"new": False}
    after |= {"3": True}
    start = RoundFigures(sentinels=before, pseudo_labels={}, entropies=(), prior={})
    halt = brake(start, start.model_copy(update={"sentinels": after}), SETTINGS, LOOKS)
    assert halt is not None
    assert halt.p == pytest.approx(mcnemar([[47, 13], [0, 0]], exact=True).pvalue / 2)
    assert "on 60 sentinels" in halt.sentence


def test_an_entropy_is_judged_by_welchs_test() -> None:
    rng = np.random.default_rng(2)
    before, after = rng.exponential(0.3, 80), rng.exponential(0.9, 50)
    start = RoundFigures(sentinels={}, pseudo_labels={}, entropies=tuple(before), prior={})
    halt = brake(start, start.model_copy(update={"entropies": tuple(after)}), SETTINGS, LOOKS)
    assert halt is not None
    assert halt.p == pytest.approx(welch(before, after, usevar="unequal")[1])


def test_a_small_move_or_one_that_chance_explains_does_not_stop() -> None:
    few = {str(number): True for number in range(6)}
    start = RoundFigures(sentinels=few, pseudo_labels={}, entropies=(0.3,), prior={"a": 3})
    worse = start.model_copy(update={"sentinels": few | {"0": False, "1": False}, "prior": {"b": 2}})
    assert brake(start, worse, SETTINGS, LOOKS) is None, "two of six lost, and five answers, say little"
    rng = np.random.default_rng(3)
    assert brake(figures(rng), figures(rng, accuracy=0.83, entropy=0.35), SETTINGS, LOOKS) is None


def test_figures_that_one_moment_lacks_are_not_compared() -> None:
    empty = RoundFigures(sentinels={}, pseudo_labels={}, entropies=(), prior={})
    assert brake(empty, figures(np.random.default_rng(1)), SETTINGS, LOOKS) is None
    with pytest.raises(ValidationError):
        RoundFigures(sentinels={}, pseudo_labels={}, entropies=(float("inf"),), prior={})


def test_total_variation_is_half_the_sum_of_differences() -> None:
    one, other = np.array([3.0, 1.0, 0.0]), np.array([0.0, 2.0, 2.0])
    assert total_variation(one, other) == pytest.approx(0.75)
    assert total_variation(one, 7 * one) == pytest.approx(0)
    p, q = one / one.sum(), other / other.sum()
    assert 1 - total_variation(one, other) == pytest.approx(np.minimum(p, q).sum()), "what both have in common"
    assert jensenshannon(p, q) > 0
