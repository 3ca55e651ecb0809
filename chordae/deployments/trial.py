"""A candidate beside the champion: both are put the same questions, one of them answers aloud.

In the shadow that is always the champion. Later a share of the studies, chosen by their hash, hears the candidate; what
it cannot answer the champion does. What both said is kept, and the gate decides by it. A ledger that does not answer
ends nothing: then there is only the champion.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from chordae.deployments.opened_ledger import open_ledger
from chordae.deployments.reasoner_call import ask_reasoner
from chordae.platform.diagnosis.category import Language
from chordae.platform.diagnosis.diagnosis import Diagnosis
from chordae.platform.diagnosis.examine import Problem
from chordae.platform.diagnosis.reasoning import digest
from chordae.platform.diagnosis.record import CmrRecord
from chordae.platform.errors import ChordaeError
from chordae.platform.ledger_trials import OnTrial, TrialAnswer, TrialsLedger
from chordae.platform.settings import Settings

_log = logging.getLogger(__name__)
AT_ONCE = 8
"""Questions that are put to the other one while nobody waits for it; more are not part of the trial."""
PATIENCE = 4
"""The champion's time, divided by this, is the candidate's: somebody may wait, and the champion comes after it."""
LOOK_S = 0.1
"""A question waits so long for the ledger to say what is on trial; what was so before may long be over."""


@dataclass(frozen=True)
class Asked:
    """One record, for either of the two."""

    record: CmrRecord
    language: Language | None
    request_id: str
    noticed: tuple[Problem, ...]

    async def of(self, reasoner: Any, timeout_s: float) -> Diagnosis:
        """Its diagnosis. Raises as `ask_reasoner` does."""
        return await ask_reasoner(reasoner, self.record, self.language, self.request_id, self.noticed, timeout_s)


@dataclass(frozen=True)
class Said:
    """What one of the two gave to a question."""

    diagnosis: Diagnosis | None
    seconds: float
    problem: str = ""

    @property
    def content(self) -> dict[str, Any] | None:
        """For the ledger."""
        return None if self.diagnosis is None else self.diagnosis.model_dump(mode="json")


class Reasoners:
    """The champion, and the candidate while one is on trial; both behind Serve handles."""

    def __init__(
        self, champion: Any, candidate: Any, ledger: Callable[[], TrialsLedger], poll_s: float, timeout_s: float
    ) -> None:
        """`ledger` opens it when first asked. `poll_s`: what is on trial is looked up so often."""
        self._champion, self._candidate = champion, candidate
        self._open = ledger
        self._ledger: TrialsLedger | None = None
        self._poll_s, self._timeout_s = poll_s, timeout_s
        self._trial: OnTrial | None = None
        self._failing = False
        self._began = -poll_s
        self._looking: asyncio.Task[None] | None = None
        self._others: set[asyncio.Task[None]] = set()

    async def diagnose(
        self, record: CmrRecord, language: Language | None, request_id: str, noticed: Sequence[Problem]
    ) -> Diagnosis:
        """The diagnosis to be given. Raises as `ask_reasoner` does."""
        asked = Asked(record, language, request_id, tuple(noticed))
        trial = await self._on_trial()
        if trial is None or len(self._others) >= AT_ONCE:
            return await asked.of(self._champion, self._timeout_s)
        if self._failing or not hears_candidate(trial, digest(record)):
            began = time.monotonic()
            given = await asked.of(self._champion, self._timeout_s)
            self._beside(self._shadow(trial, asked, Said(given, time.monotonic() - began)))
            return given
        candidate = await self._ask_candidate(trial, asked)
        if candidate.diagnosis is not None:
            self._beside(self._mirror(trial, asked, candidate))
            return candidate.diagnosis
        began = time.monotonic()
        given = await asked.of(self._champion, self._timeout_s)
        self._beside(self._keep(trial, request_id, Said(given, time.monotonic() - began), candidate, shown="champion"))
        return given

    async def settled(self) -> None:
        """Once everything that was begun beside an answer is kept, and what is on trial is known."""
        if self._looking is not None:
            await self._looking
        await asyncio.gather(*self._others)

    async def _shadow(self, trial: OnTrial, asked: Asked, champion: Said) -> None:
        await self._keep(trial, asked.request_id, champion, await self._ask_candidate(trial, asked), shown="champion")

    async def _mirror(self, trial: OnTrial, asked: Asked, candidate: Said) -> None:
        await self._keep(
            trial,
            asked.request_id,
            await self._ask(self._champion, asked, self._timeout_s),
            candidate,
            shown="candidate",
        )

    async def _ask_candidate(self, trial: OnTrial, asked: Asked) -> Said:
        said = await self._ask(self._candidate, asked, self._timeout_s / PATIENCE)
        if said.diagnosis is not None and said.diagnosis.weights.digest != trial.digest:
            other = said.diagnosis.weights.version
            said = Said(None, said.seconds, f"its replica answers with version {other}, not with {trial.version}")
        self._failing = said.diagnosis is None  # then it stays in the shadow until it answers there
        return said

    async def _ask(self, reasoner: Any, asked: Asked, timeout_s: float) -> Said:
        began = time.monotonic()
        try:
            diagnosis = await asked.of(reasoner, timeout_s)
        except ChordaeError as error:  # it is said by whoever reads the trial
            return Said(None, time.monotonic() - began, error.problem)
        return Said(diagnosis, time.monotonic() - began)

    def _beside(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._others.add(task)
        task.add_done_callback(self._others.discard)

    async def _keep(self, trial: OnTrial, request_id: str, champion: Said, candidate: Said, *, shown: Any) -> None:
        problem = champion.problem or candidate.problem
        both = (champion.content, candidate.content, champion.seconds, candidate.seconds)
        try:
            kept = TrialAnswer(request_id, shown, *both, problem)
            await asyncio.to_thread(lambda: self._opened().keep_trial_answer(trial.id, kept))
        except ChordaeError as error:
            _log.warning("an answer of a trial is not kept: %s", error.problem)

    async def _on_trial(self) -> OnTrial | None:
        """What is on trial, looked up once in `poll_s`; nothing, where the ledger does not say so in time."""
        if time.monotonic() - self._began >= self._poll_s and (self._looking is None or self._looking.done()):
            self._began = time.monotonic()
            self._looking = asyncio.create_task(self._look())
        if self._looking is None or self._looking.done():
            return self._trial
        done, _ = await asyncio.wait({self._looking}, timeout=max(self._began + LOOK_S - time.monotonic(), 0))
        return self._trial if done else None

    async def _look(self) -> None:
        try:
            found = await asyncio.to_thread(lambda: self._opened().open_trials())
            self._trial = next((one for one in found if one.state == "serving"), None)
        except ChordaeError as error:
            _log.warning("whether a candidate is on trial is not known: %s", error.problem)
            self._trial = None

    def _opened(self) -> TrialsLedger:
        if self._ledger is None:
            self._ledger = self._open()
        return self._ledger


def hears_candidate(trial: OnTrial, study: str) -> bool:
    """Whether a study (the hash of what it says) is among the candidate's share: always or never in one trial."""
    place = hashlib.sha256(f"{trial.model} {trial.digest} {study}".encode()).digest()
    return int.from_bytes(place[:8]) < trial.share * 2**64


def reasoners(settings: Settings, champion: Any, candidate: Any) -> Reasoners:
    """Those behind these handles, as the settings want them asked."""
    timeout_s = settings.orchestrator.expert_timeout_s
    return Reasoners(champion, candidate, lambda: open_ledger(TrialsLedger, settings), settings.swap.poll_s, timeout_s)
