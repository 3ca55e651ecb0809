"""Multiple-choice grading: by letter or by text, exclusions apart, chance known."""

from collections.abc import Sequence

import pytest

from chordae.learning.answering import Asked
from chordae.learning.evaluation import chosen_option, draw_questions, evaluate_mcq

OPTIONS = ("Sinus rhythm", "Atrial fibrillation", "Sinus tachycardia", "None of the other options")


@pytest.mark.parametrize(
    ("answer", "chosen"),
    [
        ("Atrial fibrillation (B)", 1),
        ("(C)", 2),
        ("b", 1),
        ("B.", 1),
        ("Option C", 2),
        ("Atrial fibrillation.", 1),
        ("Sinus bradycardia: none of the other options (D)", 3),
        ("Sinus bradycardia, so none of the other options", 3),
        ("No ECG was provided, so I cannot answer.", None),
        ("", None),
        ("Sinus rhythm or atrial fibrillation", None),
        ("(A) or (B)", None),
        ("(Z)", None),
        ("Atrial fibrillation (A)", 1),
        ("Unsure", None),
    ],
)
def test_an_answer_is_graded_by_letter_or_by_text(answer: str, chosen: int | None) -> None:
    assert chosen_option(answer, OPTIONS) == chosen


def answering(mode: str):  # type: ignore[no-untyped-def]
    _, questions = draw_questions(200, seed=5, size=None)
    by_question = {mcq.question: mcq for mcq in questions}

    def generate(asked: Sequence[Asked]) -> list[str]:
        mcqs = [by_question[question] for question, _ in asked]
        if mode == "truth":
            return [mcq.answer for mcq in mcqs]
        if mode == "first":
            return ["(A)" for _ in mcqs]
        return ["No ECG was provided, so I cannot answer."] * len(mcqs)

    return generate


def test_the_truth_scores_everything() -> None:
    score = evaluate_mcq(answering("truth"), n=200, seed=5, with_picture=False)
    assert score.accuracy == 1.0
    assert score.excluded == 0
    assert set(score.categories) == {"rhythm", "conduction", "st", "rate"}
    assert score.by_letter == 1.0
    assert score.interval[0] > 0.97


def test_a_right_finding_with_a_wrong_letter_counts_and_the_letter_is_graded_apart() -> None:
    truthful = answering("truth")

    def misplacing(asked: Sequence[Asked]) -> list[str]:
        return [answer[:-3] + "(A)" for answer in truthful(asked)]

    score = evaluate_mcq(misplacing, n=200, seed=5, with_picture=False)
    assert score.accuracy == 1.0
    assert score.by_letter == pytest.approx(score.chance, abs=0.1)


def test_always_the_first_letter_scores_chance() -> None:
    score = evaluate_mcq(answering("first"), n=200, seed=5, with_picture=False)
    assert score.accuracy == pytest.approx(score.chance, abs=0.1)
    assert score.interval[0] < score.chance < score.interval[1]


def test_refusals_are_excluded_and_the_forced_choice_is_told_apart() -> None:
    def first(asked: Sequence[Asked], candidates: Sequence[Sequence[str]]) -> list[int]:
        return [0] * len(asked)

    score = evaluate_mcq(answering("refuse"), n=200, seed=5, with_picture=False, choose=first)
    assert score.excluded == 200
    assert score.correct == score.incorrect == 0
    assert score.forced == pytest.approx(score.chance, abs=0.1)
