"""One call to the reasoner: a record in, its diagnosis out, everything that can go wrong told in our own words."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from chordae.deployments.web import awaited
from chordae.platform.diagnosis.category import Language
from chordae.platform.diagnosis.diagnosis import Diagnosis
from chordae.platform.diagnosis.examine import Problem
from chordae.platform.diagnosis.record import CmrRecord
from chordae.platform.errors import ExpertUnavailable


async def ask_reasoner(
    reasoner: Any,
    record: CmrRecord,
    language: Language | None,
    request_id: str,
    noticed: Sequence[Problem],
    timeout_s: float,
) -> Diagnosis:
    """The diagnosis by the reasoner behind a Serve handle.

    Raises:
        BadInput: the record is longer than the model's context.
        ExpertUnavailable: it failed, or took longer than `timeout_s`.
        Overloaded: too many records wait for it.
    """
    reply = reasoner.diagnose.remote(record, language, request_id, tuple(noticed))
    try:
        async with asyncio.timeout(timeout_s):
            found: Diagnosis = await awaited(reply, "the reasoner")
            return found
    except asyncio.CancelledError:
        reply.cancel()  # otherwise it is diagnosed for nobody
        raise
    except TimeoutError as error:
        reply.cancel()
        problem = f"the reasoner did not answer in {timeout_s:.0f} s"
        raise ExpertUnavailable(problem, "ask again later") from error
