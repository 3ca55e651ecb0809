"""Questions are fair: a blind guess is at chance, answers name the truth, no picture means no reading."""

from collections import Counter

import numpy as np
import pytest

from chordae.cohort import wording
from chordae.cohort.ecg import sample_latents
from chordae.cohort.questions import (
    CATEGORIES,
    LETTERS,
    ask_mcq,
    ask_yes_no,
    blind_conversation,
    draw_mcq,
    matching_conversation,
    question_conversation,
    report_conversation,
)


@pytest.mark.parametrize("category", CATEGORIES)
def test_no_blind_strategy_beats_chance(category: str) -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_mcq(category, rng) for _ in range(4000)]
    chance = np.mean([mcq.chance for mcq in drawn])
    by_letter = Counter(LETTERS[mcq.correct] for mcq in drawn)
    assert max(by_letter.values()) / len(drawn) < chance + 0.05
    for option in {option for mcq in drawn for option in mcq.options}:
        offered = [mcq for mcq in drawn if option in mcq.options]
        right = np.mean([mcq.options[mcq.correct] == option for mcq in offered])
        assert right == pytest.approx(np.mean([mcq.chance for mcq in offered]), abs=0.05), option


def test_options_are_distinct_and_one_of_them_is_true() -> None:
    rng = np.random.default_rng(1)
    for _ in range(500):
        latents = sample_latents(rng)
        for category in CATEGORIES:
            mcq = ask_mcq(latents, category, rng)
            truth = wording.finding(latents, category)
            assert len(set(mcq.options)) == len(mcq.options) == (3 if category == "st" else 4)
            chosen = mcq.options[mcq.correct]
            assert chosen == (truth if truth in mcq.options else wording.NONE_OPTION)
            assert mcq.answer.endswith(f"({LETTERS[mcq.correct]})")
            assert truth in mcq.answer, "the answer names the finding before the letter"


def test_the_report_names_rhythm_rate_conduction_and_st() -> None:
    rng = np.random.default_rng(2)
    latents = sample_latents(rng, rhythm="sinus", conduction="normal", st="none")
    assert wording.report(latents) == f"Sinus rhythm at {latents.rate_bpm} bpm. Normal conduction. No ST elevation."
    assert report_conversation(latents, rng).turns[0].answer == wording.report(latents)


def test_the_demonstration_question_is_taught_word_for_word() -> None:
    rng = np.random.default_rng(3)
    asked = {wording.full_question(rng) for _ in range(3000)}
    assert "What is the rhythm, and is there any conduction or ST-segment abnormality?" in asked
    assert len(asked) > 500


def test_yes_and_no_are_equally_frequent() -> None:
    rng = np.random.default_rng(4)
    for category in ("rhythm", "conduction"):
        answers = [ask_yes_no(sample_latents(rng), category, rng).answer for _ in range(600)]
        assert np.mean([answer.startswith("Yes. ") for answer in answers]) == pytest.approx(0.5, abs=0.15)


def test_turns_on_one_picture_ask_each_category_once() -> None:
    rng = np.random.default_rng(5)
    for _ in range(50):
        talk = question_conversation(sample_latents(rng), rng)
        assert talk.picture
        assert len(talk.turns) in (4, 5)


def test_without_a_picture_the_answer_is_that_none_was_given() -> None:
    rng = np.random.default_rng(6)
    for _ in range(100):
        talk = blind_conversation(rng)
        assert not talk.picture
        assert [turn.answer for turn in talk.turns] == ["No ECG was provided, so I cannot answer."]
        assert not any(finding in talk.turns[0].answer for finding in wording.findings("rhythm"))


def test_matching_gives_the_finding_in_words() -> None:
    rng = np.random.default_rng(7)
    for _ in range(50):
        for turn in matching_conversation(rng).turns:
            assert turn.question.split("\n")[0].startswith(("Finding: ", "Report: ", "The ECG was", "Known finding: "))
