"""What a rule of the gate says."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from chordae.platform.noun import Noun


class RuleOutcome(Noun):
    """Passed, failed, or open: too little evidence, or perhaps chance."""

    name: str
    passed: bool | None = Field(description="None: open, more evidence is needed")
    numbers: Mapping[str, float] = Field(description="All that it rests on")
    sentence: str
