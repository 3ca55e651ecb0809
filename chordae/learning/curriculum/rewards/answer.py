"""The right category."""

from __future__ import annotations

from chordae.platform.diagnosis.category import Category
from chordae.platform.diagnosis.chain import Chain


def answer_reward(chain: Chain, truth: Category) -> float:
    """1.0 if the one answer holds exactly the true category, in either language; else 0.0."""
    return float(chain.category == truth)
