"""Stage 3's reward is 1 for the right option and 0 for anything else."""

import numpy as np
import pytest
from invented import sample

from chordae.cohort.dataset import Item
from chordae.cohort.findings import topics
from chordae.cohort.questions import LETTERS, Mcq, ask_mcq
from chordae.cohort.wording import NONE_OPTION
from chordae.learning.grading import grade
from chordae.learning.rewards import chose_right


def asked(listed: bool, seed: int = 0) -> Mcq:
    rng = np.random.default_rng(seed)
    topic = next(topic for topic in topics("cmr") if topic.key == "lv_function")
    return ask_mcq(sample("cmr", rng), topic, rng, listed=listed)


@pytest.mark.parametrize("listed", [True, False])
def test_the_right_option_is_worth_one_in_words_by_letter_and_in_both(listed: bool) -> None:
    mcq = asked(listed)
    option, letter = mcq.options[mcq.correct], LETTERS[mcq.correct]
    for answer in (mcq.answer, option, letter, f"{option} ({letter})"):
        assert chose_right(mcq, answer) == 1.0


@pytest.mark.parametrize("listed", [True, False])
def test_every_other_option_nothing_and_two_at_once_are_worth_nothing(listed: bool) -> None:
    mcq = asked(listed)
    wrong = [index for index in range(len(mcq.options)) if index != mcq.correct]
    for index in wrong:
        assert chose_right(mcq, f"{mcq.options[index]} ({LETTERS[index]})") == 0.0
        assert chose_right(mcq, f"{mcq.options[mcq.correct]}, or {mcq.options[index]}") == 0.0
    assert chose_right(mcq, "") == 0.0
    assert chose_right(mcq, "I cannot tell.") == 0.0


def test_the_truth_in_words_is_right_where_it_is_not_listed() -> None:
    mcq = asked(listed=False)
    assert mcq.options[mcq.correct] == NONE_OPTION
    assert chose_right(mcq, f"{mcq.finding}.") == 1.0


def test_it_is_what_evaluation_counts() -> None:
    for seed in range(20):
        mcq = asked(bool(seed % 2), seed)
        item = Item(
            id="1",
            patient="p",
            site="s",
            modality=mcq.modality,
            media="none",
            kind="mcq",
            category=mcq.category,
            topic=mcq.topic,
            question=mcq.question,
            options=mcq.options,
            correct=mcq.correct,
            answer=mcq.answer,
        )
        for answer in (*mcq.options, *LETTERS, mcq.finding, "Normal.", mcq.answer):
            assert chose_right(mcq, answer) == float(grade(item, answer).option == mcq.correct), answer
