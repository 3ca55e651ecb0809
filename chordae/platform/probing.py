"""Is the answer read off the picture? Agreement across rephrasings, distance from the image-absent answer, confidence.

Formulas: MARCUS, "Confidence Scoring" and "Mirage Resistance". Pure functions; the calls to experts are made elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import combinations
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import LCSseq

from chordae.platform.schemas import Confidence, Gate
from chordae.platform.self_contradiction import self_contradiction

# (n texts) -> (n, d) float32 embeddings, one row a text
Embed = Callable[[Sequence[str]], NDArray[np.float32]]

DISCLAIMER = (
    "Note: confidence in this response is low. It changed when the question was rephrased, or hardly changed when the "
    "picture was withheld, so it may not rest on the recording. Do not rely on it."
)


def rouge_l(first: str, second: str) -> float:
    """ROUGE-L F1 of two texts, 0 to 1, on lower-case alphanumeric words (Lin 2004; rouge-score without stemming)."""
    a, b = (re.findall(r"[a-z0-9]+", text.lower()) for text in (first, second))
    if not a or not b:
        return 0.0
    return 2 * LCSseq.similarity(a, b) / (len(a) + len(b))


def agreement(answers: Sequence[str]) -> float:
    """Mean pairwise ROUGE-L of two or more answers, 0 to 1."""
    return fmean(rouge_l(a, b) for a, b in combinations(answers, 2))


def image_delta(with_picture: str, without_picture: str, embed: Embed) -> float:
    """Cosine distance of two answers' embeddings, clipped to 0..1: 0 is what a mirage gives."""
    a, b = embed([with_picture, without_picture])
    cosine = float(np.dot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)))
    return min(1.0, max(0.0, 1.0 - cosine))


def confidence(
    question: str,
    original: str,
    rephrased: Sequence[str],
    without_picture: str,
    embed: Embed,
    gate: Gate,
    calibrated: bool = False,
) -> Confidence:
    """alpha * agreement + (1 - alpha) * image delta, and whether it is below the threshold.

    In an answer that contradicts itself there is none, and it is flagged. `calibrated` says whether the gate was fitted
    for the weights that answered.
    """
    contradiction = self_contradiction(question, original) or ""
    agreed = agreement([original, *rephrased])
    delta = image_delta(original, without_picture, embed)
    value = 0.0 if contradiction else gate.alpha * agreed + (1 - gate.alpha) * delta
    return Confidence(
        agreement=agreed,
        image_delta=delta,
        alpha=gate.alpha,
        threshold=gate.threshold,
        value=value,
        flagged=bool(contradiction) or value < gate.threshold,
        calibrated=calibrated,
        contradiction=contradiction,
    )


def with_disclaimer(text: str, verdict: Confidence) -> str:
    """The answer as it may be shown: where it is flagged, behind a note that says why."""
    if not verdict.flagged:
        return text
    if verdict.contradiction:
        return f"Note: this answer contradicts itself: it {verdict.contradiction}. Do not rely on it.\n\n{text}"
    return f"{DISCLAIMER}\n\n{text}"
