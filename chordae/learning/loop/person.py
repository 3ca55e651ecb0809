"""What a person decides about a candidate or a round, in the place of gate and loop or after them."""

from __future__ import annotations

from typing import cast, get_args

from chordae.learning.loop.place import alone
from chordae.platform.errors import BadInput
from chordae.platform.ledger_gate import GateLedger, GateVerdict
from chordae.platform.ledger_learning import LearningLedger
from chordae.platform.ledger_promotions import PromotionLedger
from chordae.platform.ledger_trials import TrialsLedger
from chordae.platform.registry.models import Models
from chordae.platform.registry.promotion import Promotions
from chordae.platform.settings import Settings


def abandon_round(settings: Settings, model: str, by: str, reason: str) -> str:
    """End the open round of a model, and the trial of its candidate. Returns what was done.

    Raises:
        BadInput: no round is open.
        RoundUnderWay: a loop works on it right now.
    """
    with alone(settings.data_dir, model):
        ledger, trials = LearningLedger(settings.ledger_url), TrialsLedger(settings.ledger_url)
        found = ledger.open_round(model)
        if found is None:
            raise BadInput(f"no round of {model} is open", "`chordae learn status` shows them")
        if (trial := trials.open_trial(model)) is not None:
            trials.move_trial(trial.id, state="ended")
        ledger.end_round(found, f"abandoned by {by}" + (f": {reason}" if reason else ""))
    return f"round {found.id} of {model} is abandoned; its records are not used again"


def decide_by_person(settings: Settings, model: str, version: str, decision: str, by: str, reason: str) -> str:
    """Do what was decided (promote, hold, or roll a champion back), and write it down. Returns what was done.

    The loop asks for a person's word on its candidate before it acts on the gate's.

    Raises:
        BadInput: no such decision; UnknownVersion, NotPromotable and the like, as `Promotions` raises them. Nothing is
            written down then.
    """
    if decision not in get_args(GateVerdict):
        raise BadInput(f"{decision!r} is no decision", f"use one of: {', '.join(get_args(GateVerdict))}")
    models = Models(settings.data_dir)
    number = models.version(model, version).number
    champion = models.aliases(model).get("champion", "")
    promotions = Promotions(settings.data_dir, PromotionLedger(settings.ledger_url))
    if decision == "promote":
        promotions.promote(model, number, by, reason)
        done = f"version {number} of {model} is champion"
    elif decision == "rollback" and number == champion:
        done = f"version {promotions.rollback(model, by, reason).to_version} of {model} is champion again"
    else:
        done = f"version {number} of {model} will not be promoted by the loop"
    ledger, content = GateLedger(settings.ledger_url), {"person": by, "reason": reason}
    ledger.keep_gate_decision(model, champion, number, cast(GateVerdict, decision), "person", content)
    return done
