"""How the rounds of learning look in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from chordae.platform.ledger_learning import LearningRound


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


def _labelled(training: dict[str, Any]) -> str:
    return f"{training['labelled']:.0f} of {training['records']:.0f}" if "records" in training else ""
