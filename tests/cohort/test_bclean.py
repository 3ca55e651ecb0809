"""B-Clean leaves out what the text gives away, and nearly nothing of what it does not."""

import numpy as np
import pytest
from invented import samples

from chordae.cohort.bclean import answer_from_text, filter_items
from chordae.cohort.dataset import Item
from chordae.cohort.items import build_items
from chordae.cohort.questions import NONE_SHARE
from chordae.platform.errors import BadInput


@pytest.fixture(scope="module")
def clean() -> list[Item]:
    return [item for modality in ("ecg", "cmr") for item in build_items(samples(modality, 250), "mcq", 120, seed=1)]


def _told(item: Item) -> Item:
    """A question whose introduction goes with what is true, as a history that was written afterwards does."""
    return item.model_copy(update={"question": f"History {_number(item.finding)}: {item.question}"})


def _number(name: str) -> int:
    return sum(ord(letter) * place for place, letter in enumerate(name, start=1))


def test_a_clean_set_stays_and_its_text_answers_no_better_than_a_blind_guess(clean: list[Item]) -> None:
    kept, done = filter_items(clean)
    assert done.asked == len(clean) == 1800
    assert done.removed == len(clean) - len(kept)
    assert done.removed / done.asked < 0.02
    right = np.mean([item.correct == len(item.options) - 1 for item in clean])
    assert done.chance == pytest.approx(right, abs=0.02), "always saying none is the best blind guess"
    assert done.accuracy_before == pytest.approx(done.chance, abs=0.03)
    assert done.accuracy_after == pytest.approx(done.chance, abs=0.03)


def test_a_set_whose_words_go_with_the_answers_is_left_out(clean: list[Item]) -> None:
    kept, done = filter_items([_told(item) for item in clean])
    assert done.accuracy_before > 0.85
    assert done.removed > 0.75 * done.asked
    assert len(kept) == done.asked - done.removed


def test_of_a_set_in_which_some_questions_leak_mostly_those_are_left_out() -> None:
    items = build_items(samples("ecg", 300), "mcq", 240, seed=6)
    told = {item.id for number, item in enumerate(items) if number % 3 == 0}
    kept, done = filter_items([_told(item) if item.id in told else item for item in items])
    left = {item.id for item in kept}
    others = {item.id for item in items} - told
    assert done.accuracy_before > done.chance + 0.05
    assert len(told - left) / len(told) > 0.5
    assert len(others - left) / len(others) < 0.15
    assert done.accuracy_after < done.accuracy_before - 0.05


def test_a_set_in_which_diseases_are_as_rare_as_in_life_is_not_fair_and_is_filtered() -> None:
    """Where nine in ten studies are normal, naming the normal option answers the question."""
    items = build_items(samples("echo", 300), "mcq", 400, seed=2)
    rare = {item.id for number, item in enumerate(items) if item.negative or number % 12 == 0}
    skewed = [item for item in items if item.id in rare]
    kept, done = filter_items(skewed)
    assert done.accuracy_before > done.chance + 0.1
    assert done.removed > 0.2 * done.asked
    assert len(kept) == done.asked - done.removed


def test_the_text_only_model_never_answers_patients_that_it_was_fitted_on() -> None:
    """Every question of a patient carries that patient's own word: only a model that saw the patient could use it."""
    items = build_items(samples("ecg", 60), "mcq", 120, seed=3)
    one_topic = [item for item in items if item.topic == "rhythm"]
    marked = [item.model_copy(update={"question": f"{item.patient}? {item.question}"}) for item in one_topic]
    assert answer_from_text(marked).correct.mean() == pytest.approx(NONE_SHARE["ecg"], abs=0.12)


def test_what_cannot_be_filtered_is_refused() -> None:
    with pytest.raises(BadInput, match="multiple-choice"):
        filter_items(build_items(samples("ecg", 40), "vqa", 5, seed=4))
    with pytest.raises(BadInput, match="too few patients"):
        filter_items([item.model_copy(update={"patient": "a"}) for item in build_items(samples("ecg", 9), "mcq", 2, 5)])
