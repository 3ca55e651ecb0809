"""Multiple-choice accuracy on simulated ECGs that training never saw, with the picture and without.

As in MARCUS, an answer that chooses no option is excluded: accuracy = correct / (correct + incorrect). A model that
says it was given no ECG is excluded everywhere, which says nothing about leaks in the questions; so the option it takes
when it must take one is graded too. That must be at chance when the picture is withheld.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from statsmodels.stats.proportion import proportion_confint

from chordae.cohort.questions import CATEGORIES, LETTERS, Mcq, draw_mcq
from chordae.cohort.wording import NONE_OPTION
from chordae.learning.answering import Asked, Choose, Generate
from chordae.learning.pictures import simulated_picture

EVALUATION_SEED = 7_777_777
"""Apart from every training seed."""


@dataclass(frozen=True)
class McqScore:
    """How a set of multiple-choice questions was answered; shares from 0 to 1."""

    asked: int
    correct: int
    incorrect: int
    excluded: int
    chance: float
    """What a blind guess reaches, averaged over the questions."""
    interval: tuple[float, float]
    """95 % of the accuracy, Wilson."""
    by_letter: float | None = None
    """Accuracy of the letters alone, among the answers that give one; none: no answer does."""
    forced: float | None = None
    """Accuracy over all questions when one option must be taken; none: not asked for."""
    forced_interval: tuple[float, float] | None = None
    categories: dict[str, "McqScore"] = field(default_factory=dict)

    @property
    def accuracy(self) -> float:
        """Correct among the questions where an option was chosen; 0 where none was."""
        answered = self.correct + self.incorrect
        return self.correct / answered if answered else 0.0

    def summary(self) -> dict[str, object]:
        """Plain numbers for a manifest."""
        result: dict[str, object] = {
            "asked": self.asked,
            "accuracy": round(self.accuracy, 4),
            "interval": [round(value, 4) for value in self.interval],
            "excluded": self.excluded,
            "chance": round(self.chance, 4),
        }
        if self.by_letter is not None:
            result["by_letter"] = round(self.by_letter, 4)
        if self.forced is not None and self.forced_interval is not None:
            result["forced_choice"] = round(self.forced, 4)
            result["forced_choice_interval"] = [round(value, 4) for value in self.forced_interval]
        if self.categories:
            result["categories"] = {name: score.summary() for name, score in self.categories.items()}
        return result


def chosen_option(answer: str, options: Sequence[str]) -> int | None:
    """Which option an answer chose: the one whose text it names, else the one whose letter it gives.

    None when nothing, or more than one thing, was chosen. As for the reference's judge, words count before letters:
    "Left bundle branch block (B)" chose that block, wherever it stands; `chosen_letter` grades the letter apart.
    """
    lowered = answer.lower()
    if NONE_OPTION in options and NONE_OPTION.lower() in lowered:
        return list(options).index(NONE_OPTION)
    named = [index for index, option in enumerate(options) if option.lower() in lowered]
    if len(named) == 1:
        return named[0]
    return None if named else chosen_letter(answer, options)


def chosen_letter(answer: str, options: Sequence[str]) -> int | None:
    """The option whose letter an answer gives: "(B)" anywhere in it, or nothing but "B", "B." or "Option B"."""
    letters = LETTERS[: len(options)]
    bracketed = set(re.findall(rf"\(([{letters}])\)", answer))
    if len(bracketed) == 1:
        return letters.index(bracketed.pop())
    bare = re.fullmatch(rf"\s*(?:option|answer)?:?\s*([{letters}])\s*[.):]?\s*", answer, re.IGNORECASE)
    return letters.index(bare.group(1).upper()) if bare else None


def evaluate_mcq(
    generate: Generate,
    n: int = 1000,
    seed: int = EVALUATION_SEED,
    with_picture: bool = True,
    choose: Choose | None = None,
    size: tuple[int, int] = (336, 224),
) -> McqScore:
    """Ask `n` questions, evenly over the categories, one fresh ECG each.

    Args:
        generate: questions with their pictures -> answers.
        n: questions.
        seed: of patients and questions.
        with_picture: whether the picture goes with the question.
        choose: questions with candidate answers -> index of the one taken; none: no forced choice.
        size: (width, height) of the pictures.
    """
    asked, questions = draw_questions(n, seed, size if with_picture else None)
    answers = generate(asked)
    picked = [chosen_option(answer, mcq.options) for answer, mcq in zip(answers, questions, strict=True)]
    letters = [chosen_letter(answer, mcq.options) for answer, mcq in zip(answers, questions, strict=True)]
    forced: list[int] | None = None
    if choose is not None:
        forced = choose(asked, [_candidates(mcq) for mcq in questions])
    parts = {}
    for category in CATEGORIES:
        members = [index for index, mcq in enumerate(questions) if mcq.category == category]
        if members:
            parts[category] = _score(
                [questions[index] for index in members],
                [picked[index] for index in members],
                [letters[index] for index in members],
                None if forced is None else [forced[index] for index in members],
            )
    return _score(questions, picked, letters, forced, parts)


def draw_questions(n: int, seed: int, size: tuple[int, int] | None) -> tuple[list[Asked], list[Mcq]]:
    """The questions of an evaluation, with pictures of `size`, or without any."""
    asked: list[Asked] = []
    questions = []
    for number in range(n):
        rng = np.random.default_rng([seed, number])
        mcq = draw_mcq(CATEGORIES[number % len(CATEGORIES)], rng)
        asked.append((mcq.question, None if size is None else simulated_picture(mcq.latents, rng, size)))
        questions.append(mcq)
    return asked, questions


def _candidates(mcq: Mcq) -> list[str]:
    return [f"{option} ({letter})" for option, letter in zip(mcq.options, LETTERS, strict=False)]


def _score(
    questions: Sequence[Mcq],
    picked: Sequence[int | None],
    letters: Sequence[int | None],
    forced: Sequence[int] | None,
    categories: dict[str, McqScore] | None = None,
) -> McqScore:
    correct = sum(choice == mcq.correct for choice, mcq in zip(picked, questions, strict=True))
    excluded = sum(choice is None for choice in picked)
    right = None if forced is None else sum(c == mcq.correct for c, mcq in zip(forced, questions, strict=True))
    lettered = [letter == mcq.correct for letter, mcq in zip(letters, questions, strict=True) if letter is not None]
    return McqScore(
        asked=len(questions),
        correct=correct,
        incorrect=len(questions) - correct - excluded,
        excluded=excluded,
        chance=float(np.mean([mcq.chance for mcq in questions])),
        interval=_interval(correct, len(questions) - excluded),
        by_letter=float(np.mean(lettered)) if lettered else None,
        forced=None if right is None else right / len(questions),
        forced_interval=None if right is None else _interval(right, len(questions)),
        categories=categories or {},
    )


def _interval(successes: int, trials: int) -> tuple[float, float]:
    if trials == 0:
        return (0.0, 1.0)
    low, high = proportion_confint(successes, trials, alpha=0.05, method="wilson")
    return float(low), float(high)
