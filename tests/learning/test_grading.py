"""Which option an answer chose: in words before letters, never more than one, and strictly beside."""

import pytest
from cohorts import samples

from chordae.cohort.dataset import Item
from chordae.cohort.findings import TOPICS, Topic, topics
from chordae.cohort.items import build_items
from chordae.learning.grading import candidates, chosen_letter, chosen_option, chosen_text, grade

OPTIONS = ("Normal sinus rhythm", "Atrial fibrillation", "Sinus tachycardia", "None of the other options")
RHYTHM = next(topic for topic in TOPICS if topic.key == "rhythm")


@pytest.mark.parametrize(
    ("answer", "chosen"),
    [
        ("Atrial fibrillation (B)", 1),
        ("(C)", 2),
        ("b", 1),
        ("B.", 1),
        ("Option C", 2),
        ("Atrial fibrillation.", 1),
        ("AF", 1),
        ("Sinus bradycardia: none of the other options (D)", 3),
        ("Sinus bradycardia, so none of the other options", 3),
        ("Sinus bradycardia (B)", 3),
        ("This is sinus bradycardia.", 3),
        ("Atrial fibrillation (A)", 1),
        ("Normal sinus rhythm, no atrial fibrillation", 0),
        ("Sinus tachycardia rather than atrial fibrillation", 2),
        ("Atrial fibrillation is absent; sinus rhythm", 0),
        ("No ECG was provided, so I cannot answer.", None),
        ("", None),
        ("Normal sinus rhythm or atrial fibrillation", None),
        ("Normal sinus rhythm or sinus bradycardia", None),
        ("Normal sinus rhythm: none of the other options", None),
        ("No atrial fibrillation", None),
        ("(A) or (B)", None),
        ("(Z)", None),
        ("Unsure", None),
    ],
)
def test_an_answer_is_read_as_a_judge_reads_it(answer: str, chosen: int | None) -> None:
    assert chosen_option(answer, OPTIONS, RHYTHM) == chosen


def test_a_finding_that_is_not_offered_chooses_nothing_where_none_is_not_offered_either() -> None:
    assert chosen_option("Sinus bradycardia (B)", OPTIONS[:3], RHYTHM) is None


def test_a_rate_in_figures_chooses_the_finding_that_holds_it_unless_a_finding_is_named() -> None:
    rate = next(topic for topic in TOPICS if topic.key == "rate")
    options = ("60 to 79 bpm", "80 to 99 bpm", "None of the other options")
    assert chosen_option("About 84 bpm.", options, rate) == 1
    assert chosen_option("At 60 bpm.", options, rate) == 0
    assert chosen_option("84 bpm: 60 to 79 bpm (A)", options, rate) == 0
    assert chosen_option("130 beats per minute", options, rate) == 2


def test_without_a_topic_only_the_options_own_words_count() -> None:
    assert chosen_option("Mitral stenosis (A)", ("Mitral stenosis", "Mitral prolapse")) == 0
    assert chosen_option("AF", OPTIONS) is None


def test_the_strict_readings_forgive_nothing() -> None:
    assert chosen_text("Sinus bradycardia", OPTIONS) is None
    assert chosen_text("Normal sinus rhythm, no atrial fibrillation", OPTIONS) is None
    assert chosen_text("atrial fibrillation (A)", OPTIONS) == 1
    assert chosen_letter("atrial fibrillation (A)", OPTIONS) == 0


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: f"{topic.modality} {topic.key}")
def test_every_finding_of_the_vocabulary_is_told_from_all_the_others(topic: Topic) -> None:
    for index, name in enumerate(topic.findings):
        assert chosen_option(f"The study shows: {name}.", topic.findings, topic) == index


@pytest.mark.parametrize("modality", ["ecg", "echo", "cmr"])
def test_the_reference_answers_are_right_in_words_and_give_no_letter(modality: str) -> None:
    items: list[Item] = build_items(samples(40, modality=modality), "mcq", 30, seed=1)  # type: ignore[arg-type]
    assert len(items) == 30 * len(topics(modality))  # type: ignore[arg-type]
    for item in items:
        read = grade(item, item.answer)
        assert (read.option, read.by_text, read.by_letter) == (item.correct, item.correct, None), item.answer


def test_a_forced_choice_is_among_answers_as_they_are_taught() -> None:
    item = build_items(samples(40), "mcq", 30, seed=1)[0]
    assert [chosen_option(one, item.options) for one in candidates(item)] == list(range(len(item.options)))
