"""How the rounds of learning look in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from chordae.platform.ledger_learning import LearningRound
from chordae.platform.ledger_trials import OnTrial


def rounds_table(rounds: Sequence[LearningRound]) -> Table:
    """A line a round: what was labelled, between which versions it was decided, and how it ended."""
    table = Table("round", "begun", "stage", "labelled", "champion", "candidate", "outcome", title="Rounds of learning")
    for one in rounds:
        table.add_row(
            str(one.id),
            f"{one.begun_at:%Y-%m-%d %H:%M}",
            one.stage,
            _labelled(one.content.get("training") or {}),
            str(one.content.get("champion", "")),
            str(one.content.get("candidate", "")),
            escape(one.outcome or ""),
        )
    return table


def trial_line(trial: OnTrial, given: Mapping[str, int]) -> str:
    """What is on trial, and how many answers of champion and candidate were given meanwhile."""
    state = "waits for its replica" if trial.state == "begun" else f"is heard by {trial.share:.0%} of the studies"
    counted = f"asked unheard {given['champion']} times, heard {given['candidate']} times"
    return f"version {trial.version} of {trial.model} is on trial and {state}: {counted}"


def _labelled(training: dict[str, Any]) -> str:
    return f"{training['labelled']:.0f} of {training['records']:.0f}" if "records" in training else ""
