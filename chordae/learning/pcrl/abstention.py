"""A pseudo-label, or none and why: a case that the answers do not settle is not trained on.

Wrong votes collide when there are few options, so a majority alone is not enough. Every rule that applies is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Literal

from pydantic import Field

from chordae.learning.pcrl.uncertainty import VotingAnswer, uncertainty
from chordae.learning.pcrl.vote import Vote, vote
from chordae.platform.noun import Noun

Why = Literal[
    "no winner", "low margin", "rephrasing disagrees", "unfaithful chains", "unlike the training records", "too long"
]


class AbstentionSettings(Noun):
    """When a case gets no pseudo-label."""

    least_margin: float = Field(0.3, ge=0, le=1, description="Of the vote, in shares of the weight.")
    most_unfaithful: float = Field(
        0.5, ge=0, le=1, description="Share of the winner's chains about the record as it came that may fail."
    )
    entropy_weight: float = Field(0.5, ge=0, le=1, description="Of the entropy in the uncertainty, beside consistency.")


class PseudoLabel(Noun):
    """What an unlabelled case counts as, and how far that can be trusted."""

    case: str
    category: str | None = Field(description="None: abstained, `why` says why")
    why: tuple[Why, ...] = Field(description="Empty where there is a category")
    margin: float = Field(ge=0, le=1)
    uncertainty: float = Field(ge=0, le=1, description="Mean of the winner's answers; of all where there is no winner")
    votes: Mapping[str, float] = Field(description="Shares of the weight")

    @property
    def confidence(self) -> float:
        """margin * (1 - uncertainty), 0 to 1; 0 where it abstained."""
        return 0.0 if self.category is None else self.margin * (1 - self.uncertainty)


def pseudo_label(
    case: str, answers: Sequence[VotingAnswer], settings: AbstentionSettings, *, unlike_training: bool
) -> PseudoLabel:
    """Vote and judge the vote.

    Args:
        case: id of the case.
        answers: about its record in the original and in rephrased wordings.
        settings: limits.
        unlike_training: what `ood.RecordDetector` says of the record.

    Raises:
        ValueError: as `sequence_entropy`.
    """
    doubts = [uncertainty(one, answers, settings.entropy_weight) for one in answers]
    result = vote([one.category for one in answers], doubts)
    why = _why(answers, doubts, result, settings)
    if unlike_training:
        why.append("unlike the training records")
    counted = [
        doubt
        for one, doubt in zip(answers, doubts, strict=True)
        if result.winner is None or one.category == result.winner
    ]
    return PseudoLabel(
        case=case,
        category=None if why else result.winner,
        why=tuple(why),
        margin=result.margin,
        uncertainty=fmean(counted) if counted else 1.0,
        votes=result.shares,
    )


def _why(
    answers: Sequence[VotingAnswer], doubts: Sequence[float], result: Vote, settings: AbstentionSettings
) -> list[Why]:
    if result.winner is None:
        return ["no winner"]
    why: list[Why] = []
    if result.margin < settings.least_margin:
        why.append("low margin")
    if _rephrasing_disagrees(answers, doubts):
        why.append("rephrasing disagrees")
    # of the record as it came: a chain may copy a reordered one badly and be right about the patient all the same
    chains = [one.faithful for one in answers if one.category == result.winner and one.wording == 0]
    if not chains or chains.count(False) / len(chains) > settings.most_unfaithful:
        why.append("unfaithful chains")
    return why


def _rephrasing_disagrees(answers: Sequence[VotingAnswer], doubts: Sequence[float]) -> bool:
    """Whether the original and the rephrased record have other winners; without both there is nothing to say."""
    halves = []
    for rephrased in (False, True):
        some = [
            (one.category, doubt) for one, doubt in zip(answers, doubts, strict=True) if (one.wording > 0) == rephrased
        ]
        if not some:
            return False
        halves.append(vote([name for name, _ in some], [doubt for _, doubt in some]).winner)
    return halves[0] != halves[1]
