"""The loop as a Ray actor: long-lived, restarted where it fails, and without any state of its own."""

from __future__ import annotations

import os
import time
from pathlib import Path

import ray

from chordae.learning.loop.stages import LearningLoop, Tell
from chordae.platform.cluster import start_ray
from chordae.platform.errors import BadInput, BadSettings, ChordaeError
from chordae.platform.settings import Settings


class Learner:
    """What the actor runs. Its process may die at any moment: everything is in the ledger and in the rounds' files."""

    def __init__(self, settings: Settings, directory: str) -> None:
        os.chdir(directory)  # settings' paths start where the command did
        self._lines: list[str] = []
        self._loop = LearningLoop(settings, self._lines.append)

    def step(self) -> tuple[bool, list[str]]:
        """The next stage of the round: whether there was one, and what was said since the last call.

        Raises:
            ChordaeError: the stage could not be done.
        """
        worked = self._loop.step()
        said, self._lines[:] = list(self._lines), []
        return worked, said


def run_loop(settings: Settings, tell: Tell, once: bool) -> None:
    """Run rounds as long as this process lives; with `once` until no record is waiting for one.

    A stage that fails because something is down is tried again after `learning.poll_s`; settings or input that no
    waiting mends end the loop.

    Raises:
        BadSettings, BadInput: of a stage.
    """
    ours = start_ray(settings.cluster)
    name = "chordae-learning"
    actor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Learner)
    learner = actor.options(name=name, get_if_exists=True).remote(settings, str(Path.cwd()))
    try:
        while True:
            worked = _step(learner, tell)
            if not worked and once:
                return
            if not worked:
                time.sleep(settings.learning.poll_s)
    finally:
        if ours:
            ray.shutdown()


def _step(learner: ray.actor.ActorHandle, tell: Tell) -> bool:
    try:
        worked, said = ray.get(learner.step.remote())
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        if isinstance(cause, BadInput | BadSettings) or not isinstance(cause, ChordaeError):
            raise cause from None
        tell(f"{cause}")  # the ledger, the registry or an engine is down: what was begun goes on when it is back
        return False
    for line in said:
        tell(line)
    return bool(worked)
