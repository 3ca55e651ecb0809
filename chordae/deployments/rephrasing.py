"""Other ways to ask the same, with which answers are probed: a language model's where they are safe, else curated ones.

A rephrasing that asks for something else would make a sound answer waver, or a mirage look steady. So the words of a
question that carry meaning (`meaning.py`) must all be there again, none may be added, and the embedding must be near.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from chordae.deployments.rephrasing_bank import SIZE, framed
from chordae.platform.errors import ChordaeError
from chordae.platform.language_prompts import REPHRASE_PROMPT
from chordae.platform.meaning import Word, folded, is_asking, meaning, wants_yes_or_no
from chordae.platform.probing import Embed
from chordae.platform.schemas import Modality

MIN_SIMILARITY = 0.55
"""Cosine of all-MiniLM-L6-v2 embeddings. Of pairs of training questions of one modality, 60 % about the same topic and
2.6 % about different ones reach it; that is why the words are compared as well."""


@dataclass(frozen=True)
class Rephrasing:
    """A question in other words, and who found them."""

    text: str
    source: Literal["model", "bank"]


def refusal(original: str, candidate: str, similarity: float) -> str | None:
    """Why a candidate must not be used as a rephrasing of a question, in a few words; none if it may.

    `similarity` is the cosine of the two texts' embeddings, -1 to 1; what is no number is refused.
    """
    return _changed(original, candidate) or (None if similarity >= MIN_SIMILARITY else "it is about something else")


async def rephrasings(
    question: str,
    modality: Modality,
    ask: Callable[[str], Awaitable[str]] | None,
    embed: Embed,
    count: int = 3,
) -> tuple[Rephrasing, ...]:
    """`count` rephrasings of a question, all different, none the question itself: the model's first, then the bank's.

    `ask` puts a prompt to a language model that samples; twice as many candidates as are needed are asked for at the
    same time. One that fails or takes too long (ChordaeError, TimeoutError) is one candidate less.

    Raises:
        ValueError: more than the bank holds.
    """
    if not 0 <= count <= SIZE:
        raise ValueError(f"0 to {SIZE} rephrasings can be had, not {count}")
    accepted: dict[str, Rephrasing] = {}
    if ask is not None and count:
        prompt = REPHRASE_PROMPT.format(question=" ".join(question.split()))
        candidates = await asyncio.gather(*(_candidate(ask, prompt) for _ in range(2 * count)))
        for text in await _accepted(question, candidates, embed):
            accepted.setdefault(folded(text), Rephrasing(text, "model"))
    for text in framed(question, modality):
        accepted.setdefault(folded(text), Rephrasing(text, "bank"))
    return tuple(accepted.values())[:count]


def rephrase(question: str, modality: Modality) -> tuple[str, ...]:
    """Three rephrasings from the bank: what `rephrasings` gives where there is no language model."""
    return framed(question, modality)[:3]


async def _candidate(ask: Callable[[str], Awaitable[str]], prompt: str) -> str:
    try:
        return (await ask(prompt)).strip().strip('"').strip()
    except (ChordaeError, TimeoutError):
        return ""  # refused as empty; that the bank stood in shows in `Rephrasing.source`


async def _accepted(question: str, candidates: Sequence[str], embed: Embed) -> list[str]:
    """Those that may be used, once each. Words are compared first: embedding takes far longer."""
    kept = [text for text in dict.fromkeys(candidates) if _changed(question, text) is None]
    if not kept:
        return []
    rows = await asyncio.to_thread(embed, [question, *kept])
    lengths = np.linalg.norm(rows, axis=1)
    cosines = rows[1:] @ rows[0] / np.maximum(lengths[1:] * lengths[0], np.finfo(np.float32).tiny)
    return [text for text, cosine in zip(kept, cosines, strict=True) if refusal(question, text, float(cosine)) is None]


def _changed(original: str, candidate: str) -> str | None:
    """What in the words alone speaks against a candidate."""
    if not folded(candidate):
        return "it is empty"
    if folded(candidate) == folded(original):
        return "it is the question itself"
    if len(candidate.splitlines()) > 1 or not candidate.isprintable():
        return "it is not one line"
    if len(candidate.split()) > 2 * len(original.split()) + 8:
        return "it is too long"
    if not is_asking(candidate):
        return "it does not ask"
    if wants_yes_or_no(original) != wants_yes_or_no(candidate):
        return "it asks whether, or no longer does"
    return _meaning_changed(meaning(original), meaning(candidate))


def _meaning_changed(original: list[Word], candidate: list[Word]) -> str | None:
    before, after = ([word for word in words if word.kind != "break"] for words in (original, candidate))
    for kind in ("number", "laterality", "negation", "polarity", "modality"):
        if Counter(w.text for w in before if w.kind == kind) != Counter(w.text for w in after if w.kind == kind):
            return f"it changes the {kind}"
    lost, gained = Counter(before) - Counter(after), Counter(after) - Counter(before)
    if lost or gained:
        return "it loses a finding" if lost else "it adds a finding"
    if before != after and _is_compound(original):
        return "it may have its words change places"  # "left ... right" and "right ... left" hold the same words
    return None


def _is_compound(words: list[Word]) -> bool:
    """Whether order can matter: several clauses, a negation, or two words that say something of others."""
    joined = any(word.kind in ("joint", "negation") for word in words) or any(w.kind == "break" for w in words[:-1])
    return joined or sum(word.kind in ("number", "laterality", "polarity") for word in words) > 1
