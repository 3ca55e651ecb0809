"""How unsure an answer is: what its tokens say of it, and whether other wordings of the record get the same answer.

CMR-R names both signals, length-normalised sequence entropy and verbal consistency, but gives no formula for their sum.
Here a certainty is the weighted mean of exp(-entropy), the geometric mean of the tokens' probabilities (Malinin and
Gales, "Uncertainty Estimation in Autoregressive Structured Prediction", ICLR 2021, section 3), and the consistency.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import Field

from chordae.platform.noun import Noun


class VotingAnswer(Noun):
    """One sampled answer about a case. `category` is a diagnosis, or the option of a multiple-choice question."""

    category: str | None = Field(description="None: the answer has no readable category")
    logprobs: tuple[float, ...] = Field(description="Natural log-probabilities of the sampled tokens")
    wording: int = Field(0, ge=0, description="0: the record as it came; 1, 2, ...: its rephrasings")
    faithful: bool = Field(True, description="Whether the chain holds against the record")


def sequence_entropy(logprobs: Sequence[float]) -> float:
    """-mean of the tokens' log-probabilities, in nats, 0 or more; infinite for an empty answer or an impossible token.

    Raises:
        ValueError: a log-probability above 0 (by more than rounding), or one that is not a number.
    """
    if any(math.isnan(one) or one > 1e-6 for one in logprobs):
        raise ValueError("log-probabilities are at most 0")
    return max(0.0, -math.fsum(logprobs) / len(logprobs)) if logprobs else math.inf


def consistency(answer: VotingAnswer, answers: Sequence[VotingAnswer]) -> float | None:
    """Share of the answers to other wordings of the record that have this answer's category, 0 to 1.

    Answers without a category agree with none. None where no other wording was answered: nothing is known then.
    """
    others = [one for one in answers if one.wording != answer.wording]
    if not others:
        return None
    agreeing = sum(one.category is not None and one.category == answer.category for one in others)
    return agreeing / len(others)


def uncertainty(answer: VotingAnswer, answers: Sequence[VotingAnswer], entropy_weight: float = 0.5) -> float:
    """1 - (w exp(-entropy) + (1 - w) consistency), 0 to 1; by entropy alone where there is no other wording.

    An answer without a category is wholly uncertain.

    Args:
        answer: the one that is judged.
        answers: all of the case.
        entropy_weight: w, 0 to 1.

    Raises:
        ValueError: as `sequence_entropy`; a weight outside 0 to 1.
    """
    if not 0 <= entropy_weight <= 1:
        raise ValueError("the weight of the entropy is from 0 to 1")
    sure = math.exp(-sequence_entropy(answer.logprobs))
    if answer.category is None:
        return 1.0
    agreed = consistency(answer, answers)
    certainty = sure if agreed is None else entropy_weight * sure + (1 - entropy_weight) * agreed
    return min(1.0, max(0.0, 1.0 - certainty))
