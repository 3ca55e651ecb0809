"""The candidate's application follows the ledger, whoever was killed before."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray import serve
from reasoners import with_reasoner

from chordae.deployments.app import CANDIDATE
from chordae.deployments.candidate_keeper import CandidateKeeper
from chordae.platform.errors import ChordaeError
from chordae.platform.ledger_trials import TrialsLedger
from chordae.platform.settings import Settings


def _application(status: str) -> Any:
    """As Serve tells of it; a failing one has what its replica raised."""
    message = "Traceback\nVersionRefused: it writes other tokens: train it again" if "FAILED" in status else ""
    return SimpleNamespace(status=status, deployments={"d": SimpleNamespace(message=message)})


class FakeServe:
    """Applications by name; each goes its own way, as Serve's do."""

    def __init__(self) -> None:
        self.applications: dict[str, str] = {"reasoner": "RUNNING"}
        self.deployed: list[Any] = []

    def status(self) -> Any:
        return SimpleNamespace(applications={name: _application(status) for name, status in self.applications.items()})

    def run_many(self, targets: list[Any], wait_for_applications_running: bool) -> None:
        assert wait_for_applications_running is False, "it may take minutes"
        self.deployed += targets
        self.applications |= {one.name: "DEPLOYING" for one in targets}

    def delete(self, name: str, _blocking: bool) -> None:
        assert name == CANDIDATE
        self.applications[name] = "DELETING"


@pytest.fixture
def settings(tmp_path: Path, model_dir: Path) -> Settings:
    return with_reasoner(tmp_path, model_dir, swap={"poll_s": 0.01})


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeServe:
    found = FakeServe()
    for name in ("status", "run_many", "delete"):
        monkeypatch.setattr(serve, name, getattr(found, name))
    return found


@pytest.fixture
def ledger(settings: Settings) -> TrialsLedger:
    return TrialsLedger(settings.ledger_url)


def state(ledger: TrialsLedger) -> str:
    return ledger.open_trials()[0].state


def test_it_is_started_for_a_trial_noted_when_it_serves_and_ended_after(
    settings: Settings, fake: FakeServe, ledger: TrialsLedger
) -> None:
    keeper = CandidateKeeper(settings, print)
    assert keeper.step() == "" and CANDIDATE not in fake.applications
    trial = ledger.begin_trial("m", "2", "a")
    for _ in range(3):
        assert keeper.step() == "" and state(ledger) == "begun"
    (target,) = fake.deployed
    assert (target.name, target.route_prefix) == (CANDIDATE, None)
    fake.applications[CANDIDATE] = "RUNNING"
    assert keeper.step() == "" and state(ledger) == "serving"
    ledger.move_trial(trial.id, state="ended")
    for _ in range(2):
        keeper.step()
    assert fake.applications == {"reasoner": "RUNNING", CANDIDATE: "DELETING"}


@pytest.mark.parametrize("status", [None, "DEPLOYING", "UNHEALTHY", "DEPLOY_FAILED", "DELETING"])
def test_one_that_does_not_run_any_more_is_not_asked(
    settings: Settings, fake: FakeServe, ledger: TrialsLedger, status: str | None
) -> None:
    """As after a platform that was killed in the middle of a trial."""
    ledger.move_trial(ledger.begin_trial("m", "2", "a").id, state="serving")
    if status is not None:
        fake.applications[CANDIDATE] = status
    problem = CandidateKeeper(settings, print).step()
    assert state(ledger) == "begun"
    assert ("version 2 of m, cannot be started" in problem) == (status in ("UNHEALTHY", "DEPLOY_FAILED"))
    expected = {
        "DEPLOY_FAILED": "VersionRefused: it writes other tokens: train it again",
        "UNHEALTHY": "see Serve's logs",
    }
    assert ledger.open_trials()[0].problem == expected.get(status or "", "")
    assert len(fake.deployed) == (status is None)


def test_what_is_wrong_is_told_once_and_tried_again(
    settings: Settings, fake: FakeServe, ledger: TrialsLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, stop, steps = list[str](), threading.Event(), 0

    def gone(self: TrialsLedger) -> Any:
        nonlocal steps
        steps += 1
        if steps == 5:
            stop.set()
        raise ChordaeError("the ledger does not answer", "start the database")

    monkeypatch.setattr(TrialsLedger, "open_trials", gone)
    CandidateKeeper(settings, said.append).run(stop)
    assert steps == 5
    assert len(said) == 1 and "the ledger does not answer" in said[0]
