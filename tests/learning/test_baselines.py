"""Chance is what the construction says, the classifier on the true numbers is a ceiling where they tell all."""

import numpy as np
import pytest
from cohorts import samples

from chordae.cohort.bclean import answer_from_text
from chordae.cohort.items import build_items
from chordae.cohort.questions import blind_chance
from chordae.learning.baselines import best_guess, latent_choices, uniform_chance
from chordae.platform.errors import BadInput
from chordae.platform.schemas import Modality


@pytest.mark.parametrize("modality", ["ecg", "echo", "cmr"])
def test_the_best_guess_on_the_items_is_what_the_construction_gives(modality: Modality) -> None:
    items = build_items(samples(300, modality=modality), "mcq", 200, seed=3)
    by_construction = np.mean([blind_chance(item.modality, len(item.options)) for item in items])
    assert np.mean(best_guess(items)) == pytest.approx(by_construction, abs=0.02)


def test_the_best_guess_finds_what_a_broken_construction_gives_away() -> None:
    items = [item for item in build_items(samples(300), "mcq", 200, seed=3) if item.topic == "pericardial"]
    told = [item for item in items if item.finding == "Large pericardial effusion" and item.correct != 3]
    assert np.mean(best_guess(told)) == 1.0


def test_taking_any_option_is_right_once_in_as_many_as_there_are() -> None:
    items = build_items(samples(300), "mcq", 200, seed=3)
    assert all(uniform_chance(item) == pytest.approx(1 / len(item.options)) for item in items)


def test_a_text_only_model_stays_at_chance() -> None:
    items = build_items(samples(300), "mcq", 200, seed=3)
    assert answer_from_text(items).correct.mean() == pytest.approx(np.mean(best_guess(items)), abs=0.03)


def test_numbers_that_tell_the_findings_are_a_ceiling_near_one() -> None:
    test = samples(100, seed=1)
    items = build_items(test, "mcq", 60, seed=3)
    chosen = latent_choices(items, test, samples(300, seed=2))
    assert np.mean([one == item.correct for one, item in zip(chosen, items, strict=True)]) > 0.95


def test_numbers_that_tell_nothing_are_no_ceiling() -> None:
    def dumb(n: int, seed: int) -> list:  # type: ignore[type-arg]
        rng = np.random.default_rng(seed)
        return [one.model_copy(update={"numbers": {"x": float(rng.normal())}}) for one in samples(n, seed=seed)]

    test = dumb(100, 1)
    items = build_items(test, "mcq", 60, seed=3)
    chosen = latent_choices(items, test, dumb(300, 2))
    right = np.mean([one == item.correct for one, item in zip(chosen, items, strict=True)])
    assert right < np.mean(best_guess(items)) + 0.05


def test_numbers_that_are_missing_do_not_stop_the_ceiling() -> None:
    test = [one.model_copy(update={"numbers": dict(list(one.numbers.items())[1:])}) for one in samples(60, seed=1)]
    items = build_items(test, "mcq", 20, seed=3)
    assert len(latent_choices(items, test, samples(200, seed=2))) == len(items)


def test_questions_without_their_sample_and_topics_without_training_are_refused() -> None:
    test = samples(60, seed=1)
    items = build_items(test, "mcq", 20, seed=3)
    with pytest.raises(BadInput, match="have no sample"):
        latent_choices(items, test[1:], samples(100, seed=2))
    with pytest.raises(BadInput, match="hold no echo findings"):
        latent_choices(items, test, samples(100, modality="cmr", seed=2))
