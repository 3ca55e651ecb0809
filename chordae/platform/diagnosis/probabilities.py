"""How likely each category is, by constrained decoding: no answer is sampled.

The record is asked about without a chain: after the prompt and `<answer>` only eight things may follow, a category's
name, then `</answer>`. Their token sequences make a trie. Where it branches, the model's distribution is restricted to
the branches and normalised over them; a category's probability is the product along its path. That is the distribution
of answers that a decoder restricted to the categories would draw. Most names differ in their first token, so there are
one or two places to ask at, each one token, and the prompt is in the engine's prefix cache.

Not after the chain: that has named its category by then, and what follows is an echo near 1 whatever the doubt (area
under the ROC curve 0.82 where the record alone gives 0.97, docs/LOG.md). Asked apart, it is a second look.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol

from chordae.platform.diagnosis.category import CATEGORIES, Language, category_name

OPEN, CLOSE = "<answer>", "</answer>"
Path = tuple[int, ...]


class NextTokens(Protocol):
    """What an engine must tell."""

    async def next_logprobs(self, prompt_ids: Sequence[int], among: Sequence[int]) -> list[float]:
        """Log-probabilities (natural, over the whole vocabulary) of these tokens as the one after the prompt."""
        ...


async def probabilities(
    engine: NextTokens, prompt_ids: Sequence[int], tokenizer: Any, language: Language
) -> list[float]:
    """Probabilities of the eight categories after that prompt, at temperature 1.

    Args:
        engine: asked once for each place where names of categories part, at the same time.
        prompt_ids: up to and including `<answer>`.
        tokenizer: the model's (Hugging Face).
        language: of the names.

    Returns:
        (8,) in the order of `CATEGORIES`; they sum to 1.

    Raises:
        ValueError: the prompt does not end with `<answer>`.
    """
    dropped, paths = endings(tokenizer, language)
    if tuple(prompt_ids[len(prompt_ids) - len(dropped) :]) != dropped:
        raise ValueError(f"the prompt does not end with {OPEN}")
    base = list(prompt_ids[: len(prompt_ids) - len(dropped)])
    places = branchings(paths)
    asked = [engine.next_logprobs([*base, *path], children) for path, children in places.items()]
    shares: dict[Path, float] = {}
    for (path, children), told in zip(places.items(), await asyncio.gather(*asked), strict=True):
        highest = max(told)
        weights = [math.exp(one - highest) for one in told]
        shares |= {(*path, child): weight / sum(weights) for child, weight in zip(children, weights, strict=True)}
    found = [math.prod(shares.get(path[: end + 1], 1.0) for end in range(len(path))) for path in paths]
    return [one / math.fsum(found) for one in found]


def endings(tokenizer: Any, language: Language) -> tuple[Path, tuple[Path, ...]]:
    """How the tokenizer writes each category after `<answer>`, to the end of `</answer>`.

    Returns:
        The last tokens of `<answer>` that it writes otherwise when a name follows (most often none), which the paths
        hold in their own way; and a path for each category.
    """
    return _endings(tokenizer, language)


@lru_cache(16)
def _endings(tokenizer: Any, language: Language) -> tuple[Path, tuple[Path, ...]]:
    def ids(text: str) -> Path:
        return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])

    alone = ids(OPEN)
    whole = [ids(f"{OPEN}{category_name(category, language)}{CLOSE}") for category in CATEGORIES]
    shared = 0
    while shared < len(alone) and all(one[shared] == alone[shared] for one in whole):
        shared += 1
    return alone[shared:], tuple(one[shared:] for one in whole)


def branchings(paths: Sequence[Path]) -> dict[Path, tuple[int, ...]]:
    """Where paths part: what leads there, and the tokens that may follow, in order."""
    children: dict[Path, set[int]] = {}
    for path in paths:
        for end in range(len(path)):
            children.setdefault(path[:end], set()).add(path[end])
    return {path: tuple(sorted(tokens)) for path, tokens in children.items() if len(tokens) > 1}
