"""What the report says of one model: rounds, their records and labels, sentinels, decisions, promotions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from chordae.learning.gate.page import rules_table
from chordae.learning.html_page import Cell, Html, heading, paragraph, table
from chordae.learning.loop.history import (
    Interval,
    ModelHistory,
    reached,
    rules_of,
    sentinels_of,
    training_of,
)
from chordae.learning.loop.report_plots import labelled_by_round, sentinels_by_round, timeline
from chordae.platform.ledger_gate import KeptDecision
from chordae.platform.ledger_learning import LearningRound

NONE = "not in the ledger"
WHY = "abstained."
"""What a training's figures of reasons for no label begin with."""
COUNTS = ("records", "labelled", "confidence")


def moment(at: datetime) -> str:
    """A moment as the report writes it."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"


def sections_of(found: ModelHistory) -> Iterator[Html]:
    """All of a model's."""
    yield heading(2, f"Model {found.model}")
    yield paragraph(_champion(found))
    if found.rounds or found.promotions:
        yield timeline(f"timeline {found.model}", found)
    yield from _rounds(found)
    yield from _labelling(found)
    yield from _sentinels(found)
    yield from _decisions(found)
    yield from _promotions(found)


def _champion(found: ModelHistory) -> str:
    served = [one for one in found.promotions if one.kind != "candidate" and one.state == "done"]
    if not served:
        return "No promotion is in the ledger, so it does not say which version is champion."
    last = served[-1]
    return f"By the ledger, version {last.to_version} is champion, since {moment(last.begun_at)}."


def _rounds(found: ModelHistory) -> Iterator[Html]:
    yield heading(3, "Rounds")
    waiting = ", ".join(f"{count} of {site}" for site, count in sorted(found.waiting.items()))
    if not found.rounds:
        yield paragraph(f"No round has begun. Records that wait: {waiting or 'none'}.")
        return
    yield table(
        ("Round", "Begun", "Last change", "Last stage done", "Champion", "Candidate", "Outcome"),
        [_round(one) for one in found.rounds],
    )
    sites = sorted({site for some in found.used.values() for site in some})
    yield paragraph("Records of each round, by site:")
    yield table(
        ("Round", *sites, "All"),
        [
            (one.id, *(used.get(site, 0) for site in sites), sum(used.values()))
            for one in found.rounds
            for used in (found.used.get(one.id, {}),)
        ],
    )
    yield paragraph(f"Records that wait for the next round: {waiting or 'none'}.")


def _round(one: LearningRound) -> tuple[Cell, ...]:
    outcome = one.outcome if one.stage == "ended" else "under way"
    versions = (str(one.content[name]) if name in one.content else None for name in ("champion", "candidate"))
    return (one.id, moment(one.begun_at), moment(one.changed_at), reached(one), *versions, outcome or NONE)


def _labelling(found: ModelHistory) -> Iterator[Html]:
    """How many records of each round were labelled, how surely, and why the others were not."""
    if not found.rounds:
        return
    yield heading(3, "Pseudo-labels")
    yield labelled_by_round(f"labels {found.model}", found)
    figures = {one.id: training_of(one) for one in found.rounds}
    reasons = sorted({name for some in figures.values() for name in some if name.startswith(WHY)})
    others = sorted({name for some in figures.values() for name in some} - {*reasons, *COUNTS})
    yield table(
        ("Round", "Records", "Labelled", "Without a label", "Mean confidence", *(one[len(WHY) :] for one in reasons)),
        [_labelled(number, some, reasons) for number, some in figures.items()],
    )
    yield paragraph(
        "A record may be without a label for several reasons. A round without figures made no weights, or has not yet."
        " Which site's records were labelled, and whether labels are right, is not in the ledger."
    )
    if others:
        yield paragraph("The other figures that training left:")
        told = [(number, name, some[name]) for number, some in figures.items() for name in others if name in some]
        yield table(("Round", "Figure", "Value"), told)


def _labelled(number: int, some: dict[str, float], reasons: list[str]) -> tuple[Cell, ...]:
    if "records" not in some or "labelled" not in some:
        return (number, NONE)
    without = some["records"] - some["labelled"]
    counts = tuple(int(one) for one in (some["records"], some["labelled"], without))
    return (number, *counts, some.get("confidence"), *(int(some.get(name, 0)) for name in reasons))


def _sentinels(found: ModelHistory) -> Iterator[Html]:
    """Accuracy of champion and candidate on the same sentinels, by round and site."""
    if not found.rounds:
        return
    yield heading(3, "Sentinels")
    told = sentinels_of(found)
    if told:
        yield sentinels_by_round(f"sentinels {found.model}", told)
        yield table(
            ("Round", "Site", "Sentinels", "Champion", "Candidate", "Change, 95 %"),
            [
                (
                    number,
                    one.group,
                    one.sentinels,
                    f"{one.champion:.3f} ({_interval(one.champion_interval)})",
                    f"{one.candidate:.3f} ({_interval(one.candidate_interval)})",
                    _interval(one.change_interval, "+"),
                )
                for number, some in told.items()
                for one in some
            ],
        )
    without = [str(one.id) for one in found.rounds if one.id not in told]
    if without:
        yield paragraph(f"Rounds of which no measure on sentinels is in the ledger: {', '.join(without)}.")


def _interval(interval: Interval, sign: str = "") -> str:
    low, high = interval
    return f"{low:{sign}.3f} to {high:{sign}.3f}"


def _decisions(found: ModelHistory) -> Iterator[Html]:
    yield heading(3, "Decisions")
    if not found.decisions:
        yield paragraph("None.")
        return
    yield table(
        ("When", "Candidate", "Champion", "Decision", "By", "Why"),
        [
            (moment(one.decided_at), one.to_version, one.from_version, one.decision, *_said(one))
            for one in found.decisions
        ],
    )
    for one in found.decisions:
        if one.by == "gate":
            yield from _rules(one)


def _said(one: KeptDecision) -> tuple[str, str]:
    """By whom, and why."""
    if one.by == "gate":
        return "gate", str(one.content.get("why") or NONE)
    return f"person ({one.content.get('person') or NONE})", str(one.content.get("reason") or NONE)


def _rules(one: KeptDecision) -> Iterator[Html]:
    rules = rules_of(one)
    yield paragraph(f"What the gate found of version {one.to_version}:")
    yield paragraph(NONE) if rules is None else rules_table(rules)


def _promotions(found: ModelHistory) -> Iterator[Html]:
    yield heading(3, "Promotions and rollbacks")
    if not found.promotions:
        yield paragraph("None.")
        return
    yield table(
        ("When", "What", "From", "To", "By", "Reason", "State"),
        [
            (moment(one.begun_at), one.kind, one.from_version, one.to_version, one.by, one.reason, one.state)
            for one in found.promotions
        ],
    )
