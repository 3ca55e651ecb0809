"""From answers to a pseudo-label: uncertainty, vote and every reason to abstain."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chordae.learning.pcrl.abstention import AbstentionSettings, pseudo_label
from chordae.learning.pcrl.labelling import most_voted
from chordae.learning.pcrl.rewards import case_weights, weighted_advantages
from chordae.learning.pcrl.uncertainty import VotingAnswer, consistency, sequence_entropy, uncertainty
from chordae.learning.pcrl.vote import vote

SETTINGS = AbstentionSettings()
logprobs = st.lists(st.floats(-20, 0), min_size=1, max_size=30)
categories = st.lists(st.one_of(st.none(), st.sampled_from("abcd")), max_size=12)


def answer(category: str | None, wording: int = 0, sure: float = 1.0, faithful: bool = True) -> VotingAnswer:
    """An answer of ten tokens, each as likely as `sure`."""
    return VotingAnswer(category=category, logprobs=(math.log(sure),) * 10, wording=wording, faithful=faithful)


@given(logprobs)
def test_entropy_is_the_mean_of_minus_the_logprobs_whatever_the_length(found: list[float]) -> None:
    assert sequence_entropy(found) == pytest.approx(max(0.0, float(-np.mean(found))))
    assert sequence_entropy(found * 3) == pytest.approx(sequence_entropy(found), abs=1e-9)


def test_an_answer_without_tokens_or_with_an_impossible_one_is_infinitely_uncertain() -> None:
    assert sequence_entropy([]) == math.inf
    assert sequence_entropy([-1.0, -math.inf]) == math.inf
    assert uncertainty(VotingAnswer(category="a", logprobs=()), [], 1.0) == 1.0
    with pytest.raises(ValueError, match="at most 0"):
        sequence_entropy([0.5])


def test_consistency_asks_other_wordings_alone() -> None:
    answers = [answer("a"), answer("b"), answer("a", 1), answer("a", 2), answer(None, 2), answer("b", 1)]
    assert consistency(answers[0], answers) == pytest.approx(2 / 4)
    assert consistency(answers[4], answers) == 0, "no category agrees with none"
    assert consistency(answers[0], answers[:2]) is None


def test_certainty_is_the_mean_of_the_tokens_likelihood_and_the_consistency() -> None:
    answers = [answer("a", 0, 0.5), answer("a", 1), answer("b", 1)]
    assert uncertainty(answers[0], answers, 0.5) == pytest.approx(1 - (0.5 * 0.5 + 0.5 * 0.5))
    assert uncertainty(answers[0], answers, 1.0) == pytest.approx(0.5)
    assert uncertainty(answers[0], answers[:1], 0.5) == pytest.approx(0.5), "of one wording the tokens alone tell"
    assert uncertainty(answer(None), answers, 0.5) == 1.0


@given(categories, st.randoms(use_true_random=False))
def test_a_vote_does_not_depend_on_the_order_and_its_margin_is_a_share(given_: list[str | None], order: object) -> None:
    doubts = [0.1 * (place % 10) for place in range(len(given_))]
    found = vote(given_, doubts)
    pairs = list(zip(given_, doubts, strict=True))
    order.shuffle(pairs)  # type: ignore[attr-defined]
    again = vote([one for one, _ in pairs], [doubt for _, doubt in pairs])
    assert (found.winner, found.margin) == (again.winner, pytest.approx(again.margin))
    assert 0 <= found.margin <= 1
    assert sum(found.shares.values()) <= 1 + 1e-9


def test_certain_answers_outvote_more_uncertain_ones_and_blanks_lower_the_margin() -> None:
    assert vote(["a", "b", "b"], [0.0, 0.6, 0.6]).winner == "a"
    assert vote(["a", "a", "b"], [0, 0, 0]).margin == pytest.approx(1 / 3)
    assert vote(["a", "a", "b", None], [0, 0, 0, 0]).margin == pytest.approx(1 / 4)
    for tied in ([["a", "b"], [0.2, 0.2]], [[None], [0.0]], [["a"], [1.0]], [[], []]):
        assert vote(*tied).winner is None  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="0 to 1"):
        vote(["a"], [1.2])


@pytest.mark.parametrize(
    ("answers", "unlike", "why"),
    [
        ([answer("a"), answer("a"), answer("a", 1), answer("a", 1)], False, ()),
        ([answer("a"), answer("b"), answer("a", 1), answer("b", 1)], False, ("no winner",)),
        ([answer("a"), answer("a"), answer("b"), answer("a", 1), answer("b", 1), answer("a", 1)], False, ()),
        (
            [answer("a"), answer("a"), answer("b", 1), answer("b", 1, 0.5)],
            False,
            ("low margin", "rephrasing disagrees"),
        ),
        ([answer("a", faithful=False), answer("a", 1)], False, ("unfaithful chains",)),
        ([answer("a"), answer("a", 1, faithful=False)], False, ()),
        ([answer("a"), answer("a", 1)], True, ("unlike the training records",)),
        (
            [answer("a", faithful=False), answer("a"), answer("a", faithful=False), answer("a", 1)],
            True,
            ("unfaithful chains", "unlike the training records"),
        ),
    ],
)
def test_a_case_that_is_not_settled_gets_no_label_and_every_reason_is_named(
    answers: list[VotingAnswer], unlike: bool, why: tuple[str, ...]
) -> None:
    label = pseudo_label("x", answers, SETTINGS, unlike_training=unlike)
    assert label.why == why
    assert (label.category is None) == bool(why)
    assert (label.confidence > 0) == (not why)


def test_answers_that_agree_more_and_are_surer_make_a_surer_label() -> None:
    sure = pseudo_label("x", [answer("a", one % 2) for one in range(6)], SETTINGS, unlike_training=False)
    torn = [answer("a", one % 2, 0.6) for one in range(5)] + [answer("b", 1, 0.6)]
    less = pseudo_label("x", torn, SETTINGS, unlike_training=False)
    assert sure.confidence == pytest.approx(1.0)
    assert sure.confidence > less.confidence > 0


def test_a_majority_counts_heads_alone() -> None:
    assert most_voted("x", ["b", "a", "a", None]).category == "a"
    assert most_voted("x", ["b", "a"]).category == "b", "said first"
    nobody = most_voted("x", [None, None])
    assert (nobody.category, nobody.why, nobody.confidence) == (None, ("no winner",), 0.0)


def test_a_factor_on_rewards_cancels_in_a_groups_units_and_one_on_advantages_does_not() -> None:
    rewards = np.array([[0.0, 1.0, 1.0, 0.0], [2.0, 0.0, 1.0, 1.0]])

    def advantages(of: np.ndarray) -> np.ndarray:
        return (of - of.mean(1, keepdims=True)) / of.std(1, keepdims=True)

    assert advantages(0.3 * rewards) == pytest.approx(advantages(rewards))
    weighted = weighted_advantages(advantages(rewards), np.array([0.3, 1.0]))
    assert weighted[0] == pytest.approx(0.3 * advantages(rewards)[0])
    assert weighted.mean(1) == pytest.approx([0, 0])
    for wrong in (np.array([0.3]), np.array([0.3, 1.5])):
        with pytest.raises(ValueError, match="weight"):
            weighted_advantages(rewards, wrong)


def test_labelled_cases_weigh_one_and_abstained_ones_nothing() -> None:
    abstained = most_voted("x", [None])
    assert case_weights([None, most_voted("x", ["a"]), abstained]).tolist() == [1.0, 1.0, 0.0]
