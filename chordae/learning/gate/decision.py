"""Promote, hold or roll back, with every number that it rests on."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from chordae.learning.gate.live import LIVE_RULES, LiveTrial
from chordae.learning.gate.measured import Trial
from chordae.learning.gate.outcome import RuleOutcome
from chordae.learning.gate.rules import RULES
from chordae.platform.learning_settings import GateSettings
from chordae.platform.noun import Noun

Verdict = Literal["promote", "hold", "rollback"]


class GateDecision(Noun):
    """What the gate decided; a row of the ledger and a page."""

    model: str
    from_version: str = Field(description="The champion's")
    to_version: str = Field(description="The candidate's")
    decision: Verdict
    why: str
    sentinels: int
    rules: tuple[RuleOutcome, ...]
    questions: int | None = Field(None, description="That both were asked in a trial; none: there was no trial")
    settings: GateSettings


def decide(trial: Trial, settings: GateSettings, live: LiveTrial | None = None) -> GateDecision:
    """By sentinels, and by a trial on real questions where there was one.

    One failed rule rolls back, one open rule or too few sentinels hold, else the candidate is promoted. A rule that
    failed does so on few sentinels too: a mirage is one however few questions were asked.
    """
    rules = tuple(rule(trial, settings) for rule in RULES)
    if live is not None:
        rules += tuple(rule(live, settings) for rule in LIVE_RULES)
    failed = [one.name for one in rules if one.passed is False]
    left = [one.name for one in rules if one.passed is None]
    count = len(trial.champion.outcomes)
    verdict: Verdict
    if failed:
        verdict, why = "rollback", f"failed: {', '.join(failed)}"
    elif count < settings.least_sentinels:
        verdict, why = "hold", f"{count} sentinels, of {settings.least_sentinels} that are needed"
    elif left:
        verdict, why = "hold", f"open: {', '.join(left)}"
    else:
        verdict, why = "promote", "every rule is passed"
    return GateDecision(
        model=trial.model,
        from_version=trial.champion.version,
        to_version=trial.candidate.version,
        decision=verdict,
        why=why,
        sentinels=count,
        rules=rules,
        questions=None if live is None else len(live.questions),
        settings=settings,
    )
