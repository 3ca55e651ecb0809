"""`chordae up` on a cluster where `serve deploy` put the application: it waits for it and owns the front door alone."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chordae.deployments import supervisor
from chordae.deployments.app import NAME
from chordae.platform.errors import BadSettings, ChordaeError
from chordae.platform.settings import Settings, load_settings


@pytest.fixture
def gpu() -> Settings:
    return load_settings(Path(__file__).resolve().parents[2] / "configs/gpu.yaml")


class FakeServe:
    """Tells these application states one after the other, the last one for ever."""

    def __init__(self, *states: str | None, message: str = "") -> None:
        self._states, self._message = list(states), message

    def status(self) -> Any:
        state = self._states.pop(0) if len(self._states) > 1 else self._states[0]
        application = SimpleNamespace(status=state, message=self._message, deployments={})
        return SimpleNamespace(applications={} if state is None else {NAME: application})


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """An event that nobody sets and that nobody waits for."""
    stop = threading.Event()
    monkeypatch.setattr(stop, "wait", lambda timeout=None: stop.is_set())
    return stop


def wait(serve: FakeServe, settings: Settings, stop: threading.Event) -> None:
    supervisor._wait_for_application(serve, NAME, settings, stop)


def test_the_front_door_waits_until_the_application_runs(gpu: Settings, hurried: threading.Event) -> None:
    wait(FakeServe("DEPLOYING", "DEPLOYING", "RUNNING"), gpu, hurried)


def test_the_front_door_says_why_the_application_did_not_start(
    gpu: Settings, hurried: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_answers", lambda url: False)
    with pytest.raises(BadSettings, match="no settings file"):
        wait(FakeServe("DEPLOYING", "DEPLOY_FAILED", message="Traceback\nno settings file"), gpu, hurried)


def test_a_failed_update_keeps_nobody_from_what_still_serves(
    gpu: Settings, hurried: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(supervisor, "_answers", lambda url: not asked.append(url))
    wait(FakeServe("DEPLOY_FAILED"), gpu, hurried)
    assert asked == ["http://127.0.0.1:8100"]


def test_an_application_that_is_deleted_meanwhile_is_an_error(gpu: Settings, hurried: threading.Event) -> None:
    with pytest.raises(ChordaeError, match="went away"):
        wait(FakeServe("DEPLOYING", None), gpu, hurried)


def test_waiting_ends_when_the_operator_stops_it(gpu: Settings) -> None:
    stop = threading.Event()
    stop.set()
    wait(FakeServe("DEPLOYING"), gpu, stop)


def test_a_joined_cluster_may_hold_the_internal_port(gpu: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    probed: list[int] = []

    class Probe:
        def __enter__(self) -> Probe:
            return self

        def __exit__(self, *_: object) -> None: ...

        def setsockopt(self, *_: int) -> None: ...

        def bind(self, address: tuple[str, int]) -> None:
            probed.append(address[1])

    monkeypatch.setattr("chordae.deployments.supervisor.socket.socket", Probe)
    supervisor.check_machine(gpu)
    assert sorted(probed) == sorted([*gpu.outer_ports().values(), *gpu.web_ports().values()])
    assert gpu.gateway.internal_port not in probed
