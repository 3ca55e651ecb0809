"""The form of the chain of diagnosis: thoughts under three headings, then one answer."""

from __future__ import annotations

import re

from chordae.platform.diagnosis.chain import Chain

_WHOLE = re.compile(r"\s*<think>.*</think>\s*<answer>.*</answer>\s*", re.DOTALL)


def format_reward(text: str, chain: Chain) -> float:
    """1.0 for <think> with the three headings, once each and in order, then <answer> with one category; else 0.0.

    The parser that serves answers is the judge of tags, headings and category. It puts up with words before, between
    and after the tags; the reward does not.

    Args:
        text: what the reasoner wrote.
        chain: the same, parsed.
    """
    return float(chain.well_formed and _WHOLE.fullmatch(text) is not None)
