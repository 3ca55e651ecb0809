"""What a person decides about a candidate, in the gate's place or after it."""

from __future__ import annotations

from typing import cast, get_args

from chordae.platform.errors import BadInput
from chordae.platform.ledger_gate import GateLedger, GateVerdict
from chordae.platform.ledger_promotions import PromotionLedger
from chordae.platform.registry.models import Models
from chordae.platform.registry.promotion import Promotions
from chordae.platform.settings import Settings


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
