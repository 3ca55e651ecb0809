"""Right is worth more, wrong costs less, the longer the chain is: right ones grow from short to full reasoning.

Source: CMR-R's cosine-scaled reward. Its direction is the opposite of the one in the literature (Yeo et al.,
arXiv:2502.03373), which rewards short right answers: here a longer text is never worth less.
"""

from __future__ import annotations

import math
import re

from chordae.platform.diagnosis.category import Category
from chordae.platform.diagnosis.chain import Chain

RIGHT, WRONG = (0.5, 1.0), (-1.0, -0.5)
"""Worth of an answer of no length, and of one of the longest that counts."""
_ANSWER = re.compile(r"<answer>.*?</answer>", re.DOTALL | re.IGNORECASE)


def cosine_reward(text: str, chain: Chain, truth: Category, longest: int) -> float:
    """From 0.5 to 1.0 for the true category, from -1.0 to -0.5 for anything else in an answer tag, 0.0 without one.

    An answer that names two categories or none is wrong, not missing: otherwise hedging would pay better than erring.

    Args:
        text: what the reasoner wrote; its length in characters, as the source counts it.
        chain: the same, parsed.
        truth: the patient's category.
        longest: characters beyond which length no longer counts.
    """
    if not _ANSWER.search(text):
        return 0.0
    return cosine_scaled(chain.category == truth, len(text), longest)


def cosine_scaled(right: bool, length: int, longest: int) -> float:
    """short + (long - short) (1 - cos(pi min(length / longest, 1))) / 2."""
    short, full = RIGHT if right else WRONG
    return short + (full - short) * (1 - math.cos(math.pi * min(length / longest, 1.0))) / 2
