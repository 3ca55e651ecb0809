"""The ledger as deployments open it: a file of SQLite is for the replicas of one machine."""

from __future__ import annotations

from typing import TypeVar

import ray

from chordae.platform.errors import BadSettings
from chordae.platform.ledger import Ledger
from chordae.platform.settings import Settings

Kind = TypeVar("Kind", bound=Ledger)


def open_ledger(kind: type[Kind], settings: Settings) -> Kind:
    """That view of the settings' ledger.

    Raises:
        BadSettings: it cannot be opened, or it is an SQLite file and the cluster has several nodes.
    """
    ledger = kind(settings.ledger_url)
    if ledger.on_one_machine and ray.is_initialized() and sum(node["Alive"] for node in ray.nodes()) > 1:
        raise BadSettings("an SQLite ledger is for one machine", "set ledger.url to a PostgreSQL database")
    return ledger
