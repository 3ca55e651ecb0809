"""When a round of learning stops itself: its figures held against the champion's at the round's start.

A figure stops the round where it moved by more than its limit and sampling alone hardly explains it. A round looks
many times; each look's error is the round's divided by the looks that are planned (Bonferroni), so that an unchanged
model is stopped in at most `alpha` of rounds for each figure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.stats import binomtest, ttest_ind

from chordae.platform.noun import Noun

Reason = Literal["sentinel accuracy", "pseudo-label accuracy", "entropy", "class prior"]
DRAWS, SEED = 20_000, 20_260_101


class BrakeSettings(Noun):
    """How far a figure may move."""

    sentinel_drop: float = Field(0.05, ge=0, le=1, description="Of the accuracy on labelled sentinels.")
    pseudo_label_drop: float = Field(0.05, ge=0, le=1, description="Of the pseudo-labels' accuracy on sentinels.")
    entropy_change: float = Field(0.5, gt=0, description="Of the mean entropy either way, as a share of the start's.")
    prior_drift: float = Field(0.15, ge=0, le=1, description="Total variation of the categories that are answered.")
    alpha: float = Field(0.05, gt=0, lt=1, description="Chance a figure that an unchanged model is stopped in a round.")


class RoundFigures(Noun):
    """What is watched, at one moment."""

    sentinels: Mapping[str, bool] = Field(description="By sentinel: whether it was answered right")
    pseudo_labels: Mapping[str, bool] = Field(
        description="By sentinel: whether its pseudo-label, given as if unlabelled, is right; none where it abstained"
    )
    entropies: tuple[float, ...] = Field(description="Of sampled answers, in nats")
    prior: Mapping[str, int] = Field(description="Answers by category on unlabelled cases")

    @model_validator(mode="after")
    def _countable(self) -> Self:
        if min(self.prior.values(), default=0) < 0 or not np.isfinite(self.entropies).all():
            raise ValueError("counts are 0 or more and entropies finite")
        return self


class Halt(Noun):
    """Why the round stops, and the numbers."""

    reason: Reason
    sentence: str
    start: float
    now: float
    p: float = Field(description="Chance of a move like this without any change")


def brake(start: RoundFigures, now: RoundFigures, settings: BrakeSettings, looks: int) -> Halt | None:
    """The first figure that has moved too far, or none; `looks`: how often a round is held against its start.

    Accuracies are compared on the sentinels that both moments have, one-sided by the exact McNemar test; entropies by
    Welch's test; priors by the total variation of as many draws of the pooled prior. Figures that only one of both
    moments has are not compared.
    """
    level = settings.alpha / looks
    return (
        _dropped("sentinel accuracy", start.sentinels, now.sentinels, settings.sentinel_drop, level)
        or _dropped("pseudo-label accuracy", start.pseudo_labels, now.pseudo_labels, settings.pseudo_label_drop, level)
        or _entropy(start, now, settings.entropy_change, level)
        or _prior(start.prior, now.prior, settings.prior_drift, level)
    )


def least_sentinels(settings: BrakeSettings, looks: int) -> int:
    """Of so many, answered right at the start, the loss of all is hardly chance; of fewer it may be."""
    return math.floor(math.log2(looks / settings.alpha)) + 1


def total_variation(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """(...) half the sum of absolute differences of the shares of (..., k) counts; each row needs a count."""
    a, b = first / first.sum(-1, keepdims=True), second / second.sum(-1, keepdims=True)
    distance: NDArray[np.float64] = np.abs(a - b).sum(-1) / 2
    return distance


def _dropped(
    reason: Reason, before: Mapping[str, bool], after: Mapping[str, bool], limit: float, level: float
) -> Halt | None:
    both = sorted(before.keys() & after.keys())
    if not both:
        return None
    lost = sum(before[one] and not after[one] for one in both)
    won = sum(after[one] and not before[one] for one in both)
    p = float(binomtest(lost, lost + won, alternative="greater").pvalue) if lost + won else 1.0
    was, now = (sum(some[one] for one in both) / len(both) for some in (before, after))
    if was - now <= limit or p >= level:
        return None
    sentence = f"The {reason} fell from {was:.3f} to {now:.3f} on {len(both)} sentinels; the limit is {limit:g}."
    return Halt(reason=reason, sentence=sentence, start=was, now=now, p=p)


def _entropy(start: RoundFigures, now: RoundFigures, limit: float, level: float) -> Halt | None:
    if min(len(start.entropies), len(now.entropies)) < 2:
        return None
    was, is_now = float(np.mean(start.entropies)), float(np.mean(now.entropies))
    if abs(is_now - was) <= limit * was:
        return None
    if np.ptp(start.entropies) == 0 and np.ptp(now.entropies) == 0:  # a test needs some spread; both differ for certain
        p = 0.0
    else:
        p = float(ttest_ind(start.entropies, now.entropies, equal_var=False).pvalue)
    if p >= level:
        return None
    sentence = f"The mean entropy went from {was:.3f} to {is_now:.3f} nats; it may move by {limit:.0%}."
    return Halt(reason="entropy", sentence=sentence, start=was, now=is_now, p=p)


def _prior(before: Mapping[str, int], after: Mapping[str, int], limit: float, level: float) -> Halt | None:
    names = sorted(before.keys() | after.keys())
    a, b = (np.array([float(some.get(name, 0)) for name in names]) for some in (before, after))
    if not a.sum() or not b.sum():
        return None
    moved = float(total_variation(a, b))
    if moved <= limit:
        return None
    rng, pooled = np.random.default_rng(SEED), (a + b) / (a + b).sum()
    drawn = [rng.multinomial(int(some.sum()), pooled, size=DRAWS).astype(float) for some in (a, b)]
    p = float((1 + (total_variation(*drawn) >= moved).sum()) / (1 + DRAWS))
    if p >= level:
        return None
    sentence = f"Answered categories moved by a total variation of {moved:.3f}; the limit is {limit:g}."
    return Halt(reason="class prior", sentence=sentence, start=0.0, now=moved, p=p)
