"""The loop as a Ray actor: long-lived, restarted where it fails, and without any state of its own.

Ray reads its environment when it is first imported, so nothing here imports it before `start_ray`.
"""

from __future__ import annotations

import logging
import os
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chordae.platform.cluster import start_ray
from chordae.platform.errors import BadInput, BadSettings, ChordaeError
from chordae.platform.settings import Settings

if TYPE_CHECKING:
    from chordae.learning.loop.stages import LearningLoop

_log = logging.getLogger(__name__)
NAME = "chordae-learning"


class Learner:
    """What the actor runs. Its process may die at any moment: everything is in the ledger and in the rounds' files."""

    def __init__(self, settings: Settings, directory: str) -> None:
        os.chdir(directory)  # settings' paths start where the command did
        self._settings = settings
        self._lines: list[str] = []
        self._loop: LearningLoop | None = None

    def step(self) -> tuple[str, list[str], ChordaeError | None]:
        """The next stage of the round: what became of it, what was said, and what was wrong."""
        self._lines.clear()
        try:
            return self._opened().step(), list(self._lines), None
        except ChordaeError as error:
            return "waits", list(self._lines), error
        except Exception as error:  # noqa: BLE001 - a full disk, a failed worker: told, and the stage is tried again
            where = "".join(traceback.format_tb(error.__traceback__))  # not the message: it may hold a record's values
            _log.error("a stage of learning failed with %s:\n%s", type(error).__name__, where)
            told = error.strerror if isinstance(error, OSError) else None
            problem = f"a stage of learning failed: {told or type(error).__name__}"
            return "waits", list(self._lines), ChordaeError(problem, "its actor's log in Ray says where")

    def _opened(self) -> LearningLoop:
        if self._loop is None:
            from chordae.learning.loop.stages import LearningLoop

            self._loop = LearningLoop(self._settings, self._lines.append)
        return self._loop


def run_loop(settings: Settings, tell: Callable[[str], None], once: bool) -> None:
    """Run rounds as long as this process lives; with `once` until no round is open and none is due.

    A candidate on trial is waited for, with `once`, too. A stage that failed because something is down (ledger,
    registry, engine) is tried again after `learning.poll_s`.

    Raises:
        BadSettings, BadInput: of a stage, which no waiting mends; with `once` any other, too.
    """
    ours = start_ray(settings.cluster)
    import ray

    actor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Learner)
    learner = actor.options(name=NAME, get_if_exists=True).remote(settings, str(Path.cwd()))
    try:
        while _step(learner, tell, once, settings.learning.poll_s) != "idle" or not once:
            pass
    finally:
        if ours:
            ray.shutdown()


def _step(learner: Any, tell: Callable[[str], None], once: bool, poll_s: float) -> str:
    import ray

    became, said, wrong = ray.get(learner.step.remote())
    for line in said:
        tell(line)
    if wrong is not None and (once or isinstance(wrong, BadInput | BadSettings)):
        raise wrong
    if wrong is not None:
        tell(f"{wrong}; once more in {poll_s:g} s")
    if became == "waits" or (became == "idle" and not once):
        time.sleep(poll_s)
    return str(became)
