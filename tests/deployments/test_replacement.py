"""Another architecture reaches a served model replica by replica: no question fails, and there is always one more."""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
from fakes import make_settings
from ray import cloudpickle, serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from safetensors.numpy import load_file
from versions import ValueEngine, canary_of, checkpoint_of, register

from chordae.deployments import app, replacement
from chordae.deployments.app import Anew
from chordae.deployments.expert import Expert
from chordae.deployments.replacement import Replacements, Standing, decide
from chordae.platform.cluster import start_ray
from chordae.platform.registry.storing import directory_of
from chordae.platform.settings import ClusterSettings, Settings
from chordae.platform.wanted import Wanted

DEADLINE_S = 180  # a replica takes three seconds to start, on a busy machine thirty
WANTED, BEFORE = Wanted("ecg-fake", "3", "digest", Path("3")), Wanted("ecg-fake", "2", "before", Path("2"))
MISFIT = Standing("RUNNING", "first", WANTED, BEFORE, misfit=True)


@pytest.mark.parametrize(
    ("standing", "given_up", "anew"),
    [
        (Standing("RUNNING", "first"), None, None),
        (Standing("RUNNING", "first", WANTED), None, None),
        (MISFIT, None, Anew(instead=WANTED)),
        (MISFIT, BEFORE, Anew(instead=WANTED)),
        (MISFIT, WANTED, None),
        (replace(MISFIT, status="DEPLOYING"), None, None),
        (replace(MISFIT, status="UNHEALTHY"), None, None),
        (replace(MISFIT, status="DEPLOY_FAILED"), None, Anew(BEFORE, "first")),
        (Standing("DEPLOY_FAILED", "first", BEFORE), None, Anew(release="first")),
    ],
)
def test_what_is_done_follows_from_what_is(standing: Standing, given_up: Wanted | None, anew: Anew | None) -> None:
    assert decide(standing, given_up) == anew


def seen(monkeypatch: pytest.MonkeyPatch, settings: Settings, *standings: Standing, ours: bool = True) -> Any:
    """What is deployed and said when these are seen one after the other."""
    told, deployed = iter(standings), []
    monkeypatch.setattr(Replacements, "_standing", lambda *_: next(told))
    monkeypatch.setattr(serve, "run_many", lambda targets, **_: deployed.extend(targets))
    monkeypatch.setattr(replacement, "application", lambda settings, model, anew: anew)
    said: list[str] = []
    replacements = Replacements(settings, said.append, ours)
    for _ in standings:
        replacements.step("ecg")
    return deployed, said


def test_a_version_with_which_no_replica_starts_is_given_up_until_something_else_was_wanted(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = replace(MISFIT, status="DEPLOY_FAILED", message="Traceback\nVersionRefused: why\n")
    rolled_back = Standing("RUNNING", "first", BEFORE)
    deployed, said = seen(monkeypatch, settings, *(again := (MISFIT, failed, MISFIT)), rolled_back, *again)
    assert deployed == [Anew(instead=WANTED), Anew(BEFORE, "first")] * 2
    assert said[0] == "version 3 of ecg-fake is of another architecture: replicas are replaced one at a time"
    assert said[1] == "no replica starts with version 3 of ecg-fake, the one before serves on: VersionRefused: why"


def test_serve_is_told_once_and_it_is_said_when_it_is_done(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    new = Standing("RUNNING", "second", WANTED)
    under_way = MISFIT, MISFIT, replace(MISFIT, status="DEPLOYING"), replace(new, status="DEPLOYING")
    deployed, said = seen(monkeypatch, settings, *under_way, new, new)
    assert deployed == [Anew(instead=WANTED)]
    assert said[1:] == ["the replicas of the ecg model are replaced"]


def test_who_did_not_deploy_the_applications_says_once_what_is_to_be_done(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = replace(MISFIT, status="DEPLOY_FAILED")
    deployed, said = seen(monkeypatch, settings, MISFIT, MISFIT, failed, ours=False)
    assert (deployed, len(said)) == ([], 1)
    assert "raise `release`" in said[0] and "`serve deploy`" in said[0]


# What Serve makes of it


class Written:
    """What is wanted stands in a file."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "wanted.json"

    def want(self, wanted: Wanted) -> None:
        told = {**vars(wanted), "directory": str(wanted.directory)}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".part")
        fresh.write_text(json.dumps(told))
        fresh.replace(self._path)

    def wanted(self, model: str) -> Wanted:
        told = json.loads(self._path.read_text())
        return Wanted(**{**told, "directory": Path(told["directory"])})

    def problem(self, model: str) -> str:
        return ""

    def take_turn(self, model: str, replica: str, lease_s: float) -> bool:
        return True

    def give_turn(self, model: str, replica: str) -> None: ...


class StandIn(Expert):
    """An expert on Serve whose engine has no model: it says the number that the weights it was started with are."""

    async def __init__(self, modality: Any, settings: Settings, instead: Wanted | None = None) -> None:  # type: ignore[misc]
        engine = ValueEngine(words=40)
        super().__init__(modality, settings, engine, Written(settings.data_dir), instead)
        engine.value = float(load_file(self._loaded.directory / "model.safetensors")["w"][0])
        await self.start()

    async def standing(self) -> dict[str, Any]:
        return self._versions.state() | {"release": serve.get_replica_context().code_version}

    async def process(self) -> int:
        return os.getpid()


class Questions:
    """Asked without a pause, three at a time; which version each answer names and what its words are."""

    def __init__(self, handle: Any) -> None:
        self._handle, self._stop = handle, threading.Event()
        self.answers: list[tuple[str, set[str]]] = []
        self.failures: list[BaseException] = []
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(3)]

    def __enter__(self) -> Questions:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, number: int) -> None:
        question = {"messages": [{"role": "user", "content": "What is the rhythm?"}]}
        while not self._stop.is_set():
            try:
                answer = self._handle.chat.remote(question, f"r{number}").result(timeout_s=DEADLINE_S)
                (weights,) = answer["chordae"]["weights"]
                self.answers.append((weights["version"], set(answer["choices"][0]["message"]["content"].split())))
            except BaseException as error:  # noqa: BLE001 - whatever it is, it must not happen
                self.failures.append(error)
                return


def promoted(settings: Settings, value: int, more: int = 0, canary: int | None = None) -> Wanted:
    """A version where the registry keeps it, perhaps with a tensor more; its canary is of these weights or others."""
    tensors = {"more": np.zeros(more, np.float32)} if more else {}
    made = checkpoint_of(settings.data_dir / "made" / str(value), value, **tensors)
    wanted = register(made, "ecg-fake", str(value), [canary_of(value if canary is None else canary)])
    kept = directory_of(settings.data_dir, "ecg-fake", wanted.digest)
    kept.parent.mkdir(parents=True, exist_ok=True)
    made.rename(kept)
    wanted = replace(wanted, directory=kept)
    Written(settings.data_dir).want(wanted)
    return wanted


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """One replica of an expert on Serve, as the platform deploys it, with version 1."""
    engine = {"dtype": "float32"}
    expert = {"model": str(checkpoint_of(tmp_path / "own", 0)), "port": 8020, "engine": engine}
    expert["replicas"] = {"num_cpus": 0, "drain_timeout_s": 30}
    settings = make_settings(tmp_path, tmp_path, experts={"ecg": expert}, swap={"poll_s": 0.2})
    promoted(settings, 1)
    ours = [sys.modules[name] for name in (__name__, "versions", "fakes")]  # Ray's workers do not find tests' modules
    for one in ours:
        cloudpickle.register_pickle_by_value(one)
    start_ray(ClusterSettings(num_cpus=2, object_store_bytes=128 * 1024**2))
    try:
        monkeypatch.setattr(app, "expert", functools.partial(app.expert, deployment=serve.deployment(StandIn)))
        serve.start(proxy_location="Disabled", logging_config={"log_level": "WARNING"})
        serve.run_many([app.application(settings, "ecg")])
        yield settings
    finally:
        serve.shutdown()
        ray.shutdown()
        for one in ours:
            cloudpickle.unregister_pickle_by_value(one)


@pytest.mark.slow
def test_a_model_of_one_replica_is_replaced_under_questions_and_a_bad_version_is_not(served: Settings) -> None:
    """In one test, for Serve takes seconds to start: a good version, one that fails its canary, a crash after that."""
    settings, said, running = served, [], []
    handle = app.handles(settings)["ecg"]

    def follow(until: str) -> None:
        """Look after the model, as somebody who knows nothing of what went before."""
        began = time.monotonic()
        replacements = Replacements(settings, said.append)
        while not any(until in line for line in said):
            assert time.monotonic() < began + DEADLINE_S, (said, serve.status())
            deployment = serve.status().applications["ecg"].deployments["expert-ecg"]
            running.append(deployment.replica_states.get("RUNNING", 0))
            replacements.step("ecg")
            time.sleep(0.2)

    with Questions(handle) as questions:
        time.sleep(0.5)
        promoted(settings, 2, more=3)
        follow("model are replaced")
        asked = len(questions.answers)
        promoted(settings, 3, more=4, canary=9)
        follow("serves on")
        time.sleep(1)
    assert not questions.failures
    assert {version for version, _ in questions.answers[:asked]} == {"1", "2"}
    assert {version for version, _ in questions.answers[asked + 3 :]} == {"2"}, "three were being given"
    assert all(words == {f"v{version}"} for version, words in questions.answers), "each of the version that it names"
    assert min(running) >= 1 and max(running) <= 2
    assert "does not write what its trainer says" in said[-1]

    until = time.monotonic() + DEADLINE_S
    while serve.status().applications["ecg"].status.value != "RUNNING":
        assert time.monotonic() < until
        time.sleep(0.1)
    killed = handle.process.remote().result(timeout_s=DEADLINE_S)
    os.kill(killed, signal.SIGKILL)
    while True:
        try:
            state = handle.standing.remote().result(timeout_s=DEADLINE_S)
            break
        except (RayError, RayServeException):  # it died with the question
            assert time.monotonic() < until
    assert handle.process.remote().result(timeout_s=DEADLINE_S) != killed
    assert state["serving"]["version"] == "2" and "trainer" in state["refused"], (
        "as its predecessor, not the settings' own"
    )
