"""All that the ledger tells of the loop, read at once, and what a round and a decision say of themselves.

What a row does not hold is None or empty here: a report says so, and makes nothing up.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError
from statsmodels.stats.proportion import proportion_confint

from chordae.learning.gate.outcome import RuleOutcome
from chordae.learning.statistics import LEVEL
from chordae.platform.ledger_gate import GateLedger, KeptDecision
from chordae.platform.ledger_history import Arrival, HistoryLedger, Label
from chordae.platform.ledger_learning import LearningLedger, LearningRound
from chordae.platform.ledger_promotions import Promotion, PromotionLedger

Interval = tuple[float, float]
ALL_SITES = "all sites"
"""No site can have this name: theirs are words."""
_RULES = TypeAdapter(tuple[RuleOutcome, ...])
_LEFT_BEHIND = (
    ("decided", "decision"),
    ("shadowed", "trial"),
    ("registered", "candidate"),
    ("evaluated", "sentinels"),
    ("trained", "training"),
)
"""Stages, the last first, and what of each stays in a round's content."""


@dataclass(frozen=True)
class ModelHistory:
    """Of one model."""

    model: str
    rounds: tuple[LearningRound, ...]
    used: Mapping[int, Mapping[str, int]]
    """By round and site, how many records it is made of."""
    waiting: Mapping[str, int]
    """By site, how many records no round has and no clinician has labelled."""
    decisions: tuple[KeptDecision, ...]
    promotions: tuple[Promotion, ...]


@dataclass(frozen=True)
class History:
    """Of a ledger."""

    arrivals: tuple[Arrival, ...]
    labels: tuple[Label, ...]
    models: tuple[ModelHistory, ...]


@dataclass(frozen=True)
class Compared:
    """Champion and candidate on the same sentinels, all or those of one site."""

    group: str
    sentinels: int
    champion: float
    champion_interval: Interval
    """95 %, Wilson's."""
    candidate: float
    candidate_interval: Interval
    change_interval: Interval
    """Of the difference, 95 %, as the gate has it: both answered the same sentinels, so it is the one to judge by."""


def read_history(url: str) -> History:
    """What the ledger at that URL holds. A loop may run meanwhile: what it does then may be half there.

    Raises:
        BadSettings, ChordaeError: as `Ledger`.
    """
    with (
        closing(LearningLedger(url)) as learning,
        closing(GateLedger(url)) as gate,
        closing(PromotionLedger(url)) as promotions,
        closing(HistoryLedger(url)) as looking_back,
    ):
        models = tuple(
            ModelHistory(
                model=model,
                rounds=tuple(learning.rounds(model)),
                used=looking_back.used(model),
                waiting=learning.waiting(model),
                decisions=tuple(gate.gate_decisions(model)),
                promotions=tuple(promotions.promotions(model)),
            )
            for model in looking_back.models()
        )
        return History(tuple(looking_back.arrivals()), tuple(looking_back.labels()), models)


def reached(one: LearningRound) -> str:
    """The last stage that was done, also of a round that ended; `collected` where it left nothing."""
    if one.stage != "ended":
        return one.stage
    return next((stage for stage, kept in _LEFT_BEHIND if kept in one.content), "collected")


def training_of(one: LearningRound) -> dict[str, float]:
    """The figures of its training: records, labelled, confidence, reasons for no label, losses; empty: none is kept."""
    told = one.content.get("training")
    if not isinstance(told, dict):
        return {}
    return {str(name): float(value) for name, value in told.items() if type(value) in (int, float)}


def gate_decision_of(one: LearningRound, decisions: tuple[KeptDecision, ...]) -> KeptDecision | None:
    """What the gate decided of the round's candidate."""
    candidate = one.content.get("candidate")
    if candidate is None:
        return None
    return next((said for said in decisions if said.by == "gate" and said.to_version == str(candidate)), None)


def rules_of(decision: KeptDecision) -> tuple[RuleOutcome, ...] | None:
    """What each rule of the gate said; None where the row does not hold it in a form that is known."""
    try:
        return _RULES.validate_python(decision.content["rules"])
    except (KeyError, ValidationError):
        return None


def compared(decision: KeptDecision) -> list[Compared]:
    """Accuracy on all sentinels, then on each site's; empty where the decision holds no such numbers."""
    found = {rule.name: rule.numbers for rule in rules_of(decision) or ()}
    some = [_compared("all", ALL_SITES, found.get("accuracy", {}))]
    sites = found.get("sites", {})
    names = sorted(name.removesuffix(": cases") for name in sites if name.endswith(": cases"))
    some += [_compared(site, site, sites) for site in names]
    return [one for one in some if one is not None]


def sentinels_of(found: ModelHistory) -> dict[int, list[Compared]]:
    """By round, what its decision holds of sentinels; rounds without any are left out."""
    decided = {one.id: gate_decision_of(one, found.decisions) for one in found.rounds}
    told = {number: compared(decision) for number, decision in decided.items() if decision is not None}
    return {number: some for number, some in told.items() if some}


def _compared(key: str, group: str, numbers: Mapping[str, float]) -> Compared | None:
    names = ("cases", "champion", "candidate", "change low", "change high")
    cases, champion, candidate, low, high = (numbers.get(f"{key}: {name}") for name in names)
    if cases is None or champion is None or candidate is None or low is None or high is None:
        return None
    return Compared(
        group=group,
        sentinels=int(cases),
        champion=champion,
        champion_interval=_wilson(champion, int(cases)),
        candidate=candidate,
        candidate_interval=_wilson(candidate, int(cases)),
        change_interval=(low, high),
    )


def _wilson(share: float, cases: int) -> Interval:
    low, high = proportion_confint(share * cases, cases, alpha=1 - LEVEL, method="wilson")
    return float(low), float(high)
