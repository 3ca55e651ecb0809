"""Replaces a model's replicas where the wanted version is of another architecture, which only a new engine can take.

A replica that starts begins with what is wanted; one that replaces another with that or not at all (`beginning.py`).
So the model's application is deployed anew, and Serve does the rest: one replica more is started, and when it runs, one
of the old ones finishes its answers and ends; then the next (`max_surge_percent`). Those that run are never fewer than
wanted. Serve's controller holds how far that is: whoever asked for it may die.

What to do next follows from what a replica and Serve say now. Where no new replica starts, Serve gives up after three
attempts a replica, and would not start an old one again either, should it die; so the model is deployed once more as
what its old replicas were started as, and these go on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from chordae.deployments.app import Anew, application, deployment_name, handles
from chordae.platform.errors import AnotherArchitecture, ChordaeError
from chordae.platform.registry.storing import directory_of
from chordae.platform.settings import Settings
from chordae.platform.wanted import Wanted

_log = logging.getLogger(__name__)
ANSWER_S = 5.0
"""For a replica to say what it serves; one that has more to do is asked again later."""
PATIENCE_S = 30.0
"""For Serve's controller to begin with what it was told; then it is told once more."""


@dataclass(frozen=True)
class Standing:
    """What one of a model's replicas, and Serve, say of it."""

    status: str
    """Of its application, in Serve's words."""
    release: str
    """What the replica was started as, in Serve's word: a new one for each time that all are replaced."""
    wanted: Wanted | None = None
    """What it is to serve."""
    serving: Wanted | None = None
    """What it serves; none: the settings' own checkpoint."""
    misfit: bool = False
    """It cannot load that over what it serves, which is of another architecture."""
    message: str = ""
    """Of Serve, about the deployment."""


def decide(standing: Standing, given_up: Wanted | None) -> Anew | None:
    """How to deploy the model now; none: not at all. `given_up`: a version with which no replica has started."""
    if standing.status == "DEPLOY_FAILED":  # of a replica that did start, this changes nothing: asked again, of another
        return Anew(standing.serving, standing.release)
    if standing.status == "RUNNING" and standing.misfit and standing.wanted != given_up:
        return Anew(instead=standing.wanted)
    return None


class Replacements:
    """Of the models of one platform."""

    def __init__(self, settings: Settings, progress: Callable[[str], None], ours: bool = True) -> None:
        """`ours`: the applications are not those that `serve deploy` made, whose file is others' to change."""
        self._settings, self._progress, self._ours = settings, progress, ours
        self._handles = handles(settings)
        self._given_up: dict[str, Wanted] = {}
        self._under_way: dict[str, Wanted] = {}
        self._asked: dict[str, tuple[Anew, float]] = {}

    def step(self, model: str) -> None:
        """Look at one model, and do what is to be done.

        Raises:
            TimeoutError, ray.exceptions.RayError, ray.serve.exceptions.RayServeException: no replica, or not Serve's
                controller, answers now.
        """
        standing = self._standing(model)
        if self._given_up.get(model) not in (None, standing.wanted):
            del self._given_up[model]  # something else was wanted meanwhile: after that it is tried once more
        anew = decide(standing, self._given_up.get(model))
        if anew is None:
            if standing.status == "RUNNING" and not standing.misfit and model in self._under_way:
                del self._under_way[model]
                self._progress(f"the replicas of the {model} model are replaced")
        elif anew.release:
            self._go_back(model, anew, standing)
        elif anew.instead is not None:
            self._replace(model, anew, anew.instead)

    def _replace(self, model: str, anew: Anew, wanted: Wanted) -> None:
        version = f"version {wanted.version} of {wanted.model}"
        if not self._ours:
            self._given_up[model] = wanted  # said once
            self._progress(
                f"{version} is of another architecture: raise `release` in its file, and `serve deploy` that"
            )
        elif self._deploy(model, anew):
            self._under_way[model] = wanted
            self._progress(f"{version} is of another architecture: replicas are replaced one at a time")

    def _go_back(self, model: str, anew: Anew, standing: Standing) -> None:
        wanted = standing.wanted
        if self._ours and self._deploy(model, anew) and standing.misfit and wanted is not None:
            self._given_up[model] = wanted
            self._under_way.pop(model, None)
            lines = [line.strip() for line in standing.message.splitlines() if line.strip()]
            told = f"no replica starts with version {wanted.version} of {wanted.model}, the one before serves on"
            self._progress(f"{told}: {lines[-1] if lines else 'see the logs of Serve'}")

    def _deploy(self, model: str, anew: Anew) -> bool:
        """False where just that was asked for, and Serve may not have come to it yet."""
        from ray import serve

        last, at = self._asked.get(model, (None, 0.0))
        if last == anew and time.monotonic() < at + PATIENCE_S:
            return False
        target = application(self._settings, model, anew)
        serve.run_many([target], wait_for_ingress_deployment_creation=False, wait_for_applications_running=False)
        self._asked[model] = anew, time.monotonic()
        return True

    def _standing(self, model: str) -> Standing:
        from ray import serve

        told: dict[str, Any] = self._handles[model].standing.remote().result(timeout_s=ANSWER_S)
        found = serve.status().applications[model]
        misfit = bool(told["refused"]) and told["last_swap"]["code"] == AnotherArchitecture.code
        return Standing(
            found.status.value,
            told["release"],
            self._registered(told["wanted"]),
            self._registered(told["serving"]),
            misfit,
            found.deployments[deployment_name(model)].message,
        )

    def _registered(self, weights: dict[str, str] | None) -> Wanted | None:
        if weights is None:
            return None
        directory = directory_of(self._settings.data_dir, weights["name"], weights["digest"])
        return Wanted(weights["name"], weights["version"], weights["digest"], directory) if directory.is_dir() else None


@contextmanager
def replacing(settings: Settings, progress: Callable[[str], None], ours: bool) -> Iterator[None]:
    """Look after all models until the end of the block; in a thread, for a busy replica takes its time to answer."""
    stop = threading.Event()
    replacements = Replacements(settings, progress, ours)
    thread = threading.Thread(target=_follow, args=(replacements, settings, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()  # what it deploys after Serve was shut down would start it again


def _follow(replacements: Replacements, settings: Settings, stop: threading.Event) -> None:
    from ray.exceptions import RayError
    from ray.serve.exceptions import RayServeException

    while not stop.wait(settings.swap.poll_s):
        for model in settings.models():
            if stop.is_set():
                return
            try:
                replacements.step(model)
            except (RayError, RayServeException, ChordaeError, OSError, RuntimeError, KeyError) as error:
                # while a replica or Serve's controller is busy, starts or is replaced; looked at again
                _log.debug("the %s model cannot be looked after now: %s", model, error)
