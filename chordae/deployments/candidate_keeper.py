"""Brings the candidate's application to what the ledger says: there while a version is on trial, else not.

Desired state, not commands: the loop writes down that it wants a trial, whoever owns the platform sees to it, and
either may be killed at any moment.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from chordae.deployments.app import CANDIDATE, candidate
from chordae.deployments.opened_ledger import open_ledger
from chordae.deployments.serve_status import reason
from chordae.platform.errors import ChordaeError
from chordae.platform.ledger_trials import TrialsLedger, TrialState
from chordae.platform.settings import Settings


class CandidateKeeper:
    """Of one platform; `tell` gets a line where something is wrong, and again only when that has changed."""

    def __init__(self, settings: Settings, tell: Callable[[str], None]) -> None:
        self._settings, self._tell = settings, tell
        self._ledger: TrialsLedger | None = None
        self._said = ""

    def run(self, stop: threading.Event) -> None:
        """A step every `swap.poll_s`, until told to stop."""
        from ray.exceptions import RayError

        while True:
            try:
                problem = self.step()
            except ChordaeError as error:  # what runs goes on
                problem = f"whether a candidate is on trial is not known: {error.problem}"
            except RayError:
                problem = "Serve's controller does not answer: a candidate on trial is looked after once it does"
            if problem and problem != self._said:
                self._tell(problem)
            self._said = problem
            if stop.wait(self._settings.swap.poll_s):
                return

    def step(self) -> str:
        """Start it, note whether it serves, or end it; returns why it cannot be started, or nothing.

        Raises:
            ChordaeError: the ledger does not answer. RayError: Serve's controller does not.
        """
        from ray import serve
        from ray.serve import RunTarget

        trial = next(iter(self._opened().open_trials()), None)
        found: Any = serve.status().applications.get(CANDIDATE)
        if trial is None:
            if found is not None and found.status != "DELETING":
                serve.delete(CANDIDATE, _blocking=False)
            return ""
        state: TrialState = "serving" if found is not None and found.status == "RUNNING" else "begun"
        if state != trial.state:  # what does not run is not asked
            self._opened().move_trial(trial.id, state=state)
        if found is None:
            target = RunTarget(candidate(self._settings), name=CANDIDATE, route_prefix=None)
            serve.run_many([target], wait_for_applications_running=False)
        elif found.status in ("DEPLOY_FAILED", "UNHEALTHY"):
            why = reason(found) or "see Serve's logs"
            self._opened().move_trial(trial.id, problem=why)
            return f"the candidate, version {trial.version} of {trial.model}, cannot be started: {why}"
        return ""

    def _opened(self) -> TrialsLedger:
        if self._ledger is None:
            self._ledger = open_ledger(TrialsLedger, self._settings)
        return self._ledger


@contextmanager
def keeping_candidates(settings: Settings, tell: Callable[[str], None]) -> Iterator[None]:
    """Keep them until the end of the block, in a thread; where there is no reasoner, there is none to keep."""
    stop = threading.Event()
    thread = threading.Thread(target=CandidateKeeper(settings, tell).run, args=(stop,), daemon=True)
    if settings.reasoner is not None:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        if settings.reasoner is not None:
            thread.join()  # what it deploys after Serve was shut down would start it again
