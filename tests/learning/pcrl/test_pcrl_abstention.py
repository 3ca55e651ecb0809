"""Reasons to abstain beside what `test_pcrl_votes` shows: each alone, their limits, and the label's figures."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from chordae.learning.pcrl.abstention import AbstentionSettings, PseudoLabel, pseudo_label
from chordae.learning.pcrl.uncertainty import VotingAnswer, uncertainty

BY_TOKENS = AbstentionSettings(entropy_weight=1.0)
"""Other wordings then change no weight: votes can be counted by hand."""


def answers(original: str, rephrased: str = "", unfaithful: int = 0, sure: float = 1.0) -> list[VotingAnswer]:
    """An answer a letter, "-" without a category; the first `unfaithful` of the original wording fail."""
    return [
        VotingAnswer(
            category=None if letter == "-" else letter,
            logprobs=(math.log(sure),) * 3,
            wording=wording,
            faithful=wording > 0 or place >= unfaithful,
        )
        for wording, letters in enumerate((original, rephrased))
        for place, letter in enumerate(letters)
    ]


def label(given: list[VotingAnswer], settings: AbstentionSettings = BY_TOKENS, unlike: bool = False) -> PseudoLabel:
    return pseudo_label("x", given, settings, unlike_training=unlike)


@pytest.mark.parametrize(
    ("given", "unlike", "why"),
    [
        (answers("ab", "ab"), False, "no winner"),
        (answers("aab", "aab--"), False, "low margin"),
        (answers("aaaaaa", "b"), False, "rephrasing disagrees"),
        (answers("aaa", "aaa", unfaithful=2), False, "unfaithful chains"),
        (answers("aaa", "aaa"), True, "unlike the training records"),
    ],
)
def test_each_reason_alone_is_enough_and_is_the_one_that_is_named(
    given: list[VotingAnswer], unlike: bool, why: str
) -> None:
    found = label(given, unlike=unlike)
    assert found.why == (why,)
    assert found.category is None
    assert found.confidence == 0


def test_all_reasons_that_a_winner_can_have_are_named_together() -> None:
    found = label(answers("aaab", "bb-", unfaithful=3), AbstentionSettings(entropy_weight=1, least_margin=0), True)
    assert found.why == ("no winner", "unlike the training records"), "three to three"
    found = label(answers("aaaab", "bb-", unfaithful=4), unlike=True)
    assert found.why == ("low margin", "rephrasing disagrees", "unfaithful chains", "unlike the training records")


def test_a_limit_itself_is_allowed() -> None:
    assert label(answers("aab", "--"), AbstentionSettings(entropy_weight=1, least_margin=0.2)).why == (
        "rephrasing disagrees",
    ), "a margin of 1 in 5, and blanks agree with nobody"
    assert label(answers("aaaa", "aaaa", unfaithful=2)).category == "a", "half may fail"
    assert label(answers("aaaa", "aaaa", unfaithful=3)).category is None


def test_chains_of_other_categories_and_of_other_wordings_are_not_held_against_the_winner() -> None:
    given = answers("baaaa", "aaaa", unfaithful=1)
    given += [VotingAnswer(category="a", logprobs=(0.0,), wording=1, faithful=False)] * 5
    assert label(given, AbstentionSettings(entropy_weight=1, most_unfaithful=0)).category == "a"


def test_one_wording_alone_cannot_disagree() -> None:
    assert label(answers("aaaa")).category == "a"


def test_without_answers_there_is_no_winner_and_nothing_is_certain() -> None:
    found = label([])
    assert (found.category, found.why, found.uncertainty, found.margin) == (None, ("no winner",), 1.0, 0.0)


def test_confidence_is_the_margin_times_the_mean_certainty_of_the_winners_answers() -> None:
    given = answers("aaaab", "aaaaa", sure=0.8)
    settings = AbstentionSettings(entropy_weight=0.5)
    found = label(given, settings)
    doubts = [uncertainty(one, given, 0.5) for one in given]
    weight = {name: sum(1 - d for one, d in zip(given, doubts, strict=True) if one.category == name) for name in "ab"}
    margin = (weight["a"] - weight["b"]) / (weight["a"] + weight["b"])
    assert found.confidence == pytest.approx(margin * weight["a"] / 9)
    assert found.uncertainty == pytest.approx(1 - weight["a"] / 9)


@pytest.mark.parametrize("field", ["least_margin", "most_unfaithful", "entropy_weight"])
@pytest.mark.parametrize("value", [-0.1, 1.1])
def test_settings_outside_0_to_1_are_refused(field: str, value: float) -> None:
    with pytest.raises(ValidationError, match=field):
        AbstentionSettings.model_validate({field: value})
