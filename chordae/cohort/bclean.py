"""B-Clean: multiple-choice questions that can be answered from their text are left out (after MARCUS).

A text-only model looks at nothing but a question's words and options. It is cross-fitted: patients are divided into
folds, and each fold's questions are answered by a model that was fitted on the others'. It scores every option by
logistic regression on TF-IDF of what a reader of the text alone could go by: the option, its words, its place, whether
it is the longest, and each word of the question together with it (with what is not listed, for "None of the other
options").

By construction (`questions`) a listed option is right with probability (1 - r) / m and "None of the other options" with
r, whatever the text. A question is left out where the model is right *and* its probability for the right option lies
more than `MARGIN` above that. Being right is not enough: whoever always says none is right in half of the questions,
and leaving those out would keep the questions where none is wrong, which a text-only model could then exploit.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from chordae.cohort.dataset import Item
from chordae.cohort.findings import TOPICS
from chordae.cohort.questions import NONE_SHARE, blind_chance
from chordae.platform.errors import BadInput

FOLDS = 5
_FINDINGS = {(topic.modality, topic.key): topic.findings for topic in TOPICS}
STRENGTHS = (0.3, 2.0, 10.0, 50.0)
"""Inverse regularisation; the one that foretells the held-out answers best is used. Where the text tells nothing that
is the weakest, and the model stays near to the construction; a strong one would find patterns in luck."""
MARGIN = 0.2
"""Three standard errors of a share of one half that is estimated from 56 questions, about as many as list a certain
finding where a topic has a hundred: what lies above is no luck."""


@dataclass(frozen=True)
class TextOnly:
    """What the text-only model said; a row an item."""

    chosen: NDArray[np.intp]
    """(N,) index of the option with the highest probability."""
    probability: NDArray[np.float64]
    """(N,) of the right option."""
    correct: NDArray[np.bool_]
    """(N,) whether the chosen one is right."""


@dataclass(frozen=True)
class Filtering:
    """What B-Clean did to a set of questions; shares from 0 to 1."""

    asked: int
    removed: int
    chance: float
    """The best that a blind guess can do by construction, averaged over the questions."""
    accuracy_before: float
    """Of the text-only model."""
    accuracy_after: float
    """Of one that is fitted again, on the questions that were kept."""


def filter_items(items: Sequence[Item], margin: float = MARGIN) -> tuple[list[Item], Filtering]:
    """Leave out what the text gives away.

    Args:
        items: multiple-choice questions.
        margin: how far above what the construction gives the right option's probability must lie.

    Returns:
        The questions that are kept, in their order, and what was done.

    Raises:
        BadInput: none, not all multiple-choice, or about too few patients to cross-fit, before or after filtering.
    """
    before = answer_from_text(items)
    given = np.array([_by_construction(item) for item in items])
    leaks = before.correct & (before.probability > given + margin)
    kept = [item for item, leak in zip(items, leaks, strict=True) if not leak]
    after = answer_from_text(kept) if leaks.any() else before
    return kept, Filtering(
        asked=len(items),
        removed=int(leaks.sum()),
        chance=float(np.mean([blind_chance(item.modality, len(item.options)) for item in items])),
        accuracy_before=float(before.correct.mean()),
        accuracy_after=float(after.correct.mean()),
    )


def answer_from_text(items: Sequence[Item]) -> TextOnly:
    """Answer every question without its picture, by a model that was fitted on other patients' questions.

    Raises:
        BadInput: see `filter_items`.
    """
    if not items or any(item.correct is None for item in items):
        raise BadInput("B-Clean needs multiple-choice questions", "give items of kind mcq, at least one")
    folds = np.array([_fold(item.patient) for item in items])
    if len(set(folds.tolist())) < 2:
        raise BadInput("too few patients to cross-fit a text-only model", "give questions about more patients")
    pairs = [(number, option) for number, item in enumerate(items) for option in range(len(item.options))]
    number = np.array([pair[0] for pair in pairs])
    clues = [_clues(items[item], option) for item, option in pairs]
    right = np.array([items[item].correct == option for item, option in pairs])
    scores = np.zeros((len(STRENGTHS), len(pairs)))
    for fold in sorted(set(folds.tolist())):
        mine = folds[number] == fold
        vectors = TfidfVectorizer(analyzer=_as_they_are, min_df=2)
        others = vectors.fit_transform([clues[row] for row in np.flatnonzero(~mine)])
        asked = vectors.transform([clues[row] for row in np.flatnonzero(mine)])
        for row, strength in enumerate(STRENGTHS):
            model = LogisticRegression(C=strength, solver="liblinear").fit(others, right[~mine])
            scores[row, mine] = model.predict_proba(asked)[:, 1]
    shares = [score / np.bincount(number, score)[number] for score in scores]  # one option of a question is right
    best = max(shares, key=lambda share: float(np.log(share[right]).sum()))
    starts = np.flatnonzero(np.diff(number, prepend=-1))
    chosen = np.array([int(np.argmax(part)) for part in np.split(best, starts[1:])])
    return TextOnly(chosen, best[right], chosen == np.array([item.correct for item in items]))


def _as_they_are(clues: list[str]) -> list[str]:
    return clues


def _clues(item: Item, place: int) -> list[str]:
    """What the text says for or against an option, as words."""
    option = f"{item.modality} {item.topic} {item.options[place]}"
    longest = max(range(len(item.options)), key=lambda other: len(item.options[other]))
    stem = re.findall(r"\w+", item.question.split("\n")[0].lower())
    spoken = [f"{option} for {word}" for word in stem]
    if place == len(item.options) - 1:  # none of them is right if one that is not listed is
        unlisted = [name for name in _FINDINGS[item.modality, item.topic] if name not in item.options]
        spoken = [f"unlisted {name} for {word}" for name in unlisted for word in stem]
    return [
        option,
        f"{place} of {len(item.options)}",
        f"longest {place == longest}",
        *item.options[place].lower().split(),
        *spoken,
    ]


def _by_construction(item: Item) -> float:
    """The probability of the right option before anything is read."""
    share, listed = NONE_SHARE[item.modality], len(item.options) - 1
    return share if item.correct == listed else (1 - share) / listed


def _fold(patient: str) -> int:
    return int.from_bytes(hashlib.sha256(f"bclean {patient}".encode()).digest()[:4], "big") % FOLDS
