"""Trials in the ledger, on both databases: one a model, each question kept, clinicians' words found again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ledgers import fresh_database, postgresql_server

from chordae.platform.ledger_gate import GateLedger
from chordae.platform.ledger_trials import TrialAnswer, TrialsLedger


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgresql_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    return fresh_database(request.getfixturevalue("server"))


def test_a_model_has_one_trial_and_the_same_version_finds_it_again(url: str) -> None:
    ledger = TrialsLedger(url)
    begun = ledger.begin_trial("m", "2", "a")
    assert (begun.state, begun.share) == ("begun", 0.0)
    ledger.move_trial(begun.id, state="serving", share=0.25)
    found = TrialsLedger(url).begin_trial("m", "2", "a")
    assert (found.id, found.state, found.share, found.begun_at) == (begun.id, "serving", 0.25, begun.begun_at)
    other = ledger.begin_trial("m", "3", "b")
    assert other.id != begun.id
    assert [one.version for one in ledger.open_trials()] == ["3"], "the earlier one is over"
    ledger.begin_trial("n", "1", "c")
    assert [(one.model, one.version) for one in ledger.open_trials()] == [("m", "3"), ("n", "1")]


def test_what_is_over_stays_over(url: str) -> None:
    ledger = TrialsLedger(url)
    trial = ledger.begin_trial("m", "2", "a")
    ledger.move_trial(trial.id, state="ended")
    ledger.move_trial(trial.id, state="serving", share=1.0)
    assert ledger.open_trial("m") is None
    assert ledger.begin_trial("m", "2", "a").id != trial.id


def test_many_who_begin_at_once_get_the_same_trial_or_are_refused(url: str) -> None:
    got: list[int] = []

    def begin() -> None:
        got.append(TrialsLedger(url).begin_trial("m", "2", "a").id)

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(set(got)) == 1
    assert len(TrialsLedger(url).open_trials()) == 1


def test_answers_come_back_whole_and_are_counted_by_who_was_heard(url: str) -> None:
    ledger = TrialsLedger(url)
    trial = ledger.begin_trial("m", "2", "a")
    assert ledger.trial_counts(trial.id) == {"champion": 0, "candidate": 0}
    said = [
        TrialAnswer("r1", "champion", {"category": "normal", "why": ["é"]}, None, 0.5, 15.0, "it did not answer"),
        TrialAnswer("r2", "candidate", {"category": None}, {"category": "normal"}, 0.25, 0.125),
    ]
    for one in said:
        ledger.keep_trial_answer(trial.id, one)
    assert ledger.trial_answers(trial.id) == said
    assert ledger.trial_counts(trial.id) == {"champion": 1, "candidate": 1}
    assert ledger.trial_answers(trial.id + 1) == []


def test_a_clinicians_latest_word_on_a_diagnosis_is_found_by_its_trial(url: str) -> None:
    ledger, gate = TrialsLedger(url), GateLedger(url)
    trial = ledger.begin_trial("m", "2", "a")
    gate.keep_diagnosis("1" * 32, {"category": "normal"})
    gate.keep_diagnosis("2" * 32, {"category": "normal"})
    ledger.keep_trial_answer(trial.id, TrialAnswer("1" * 32, "champion", {}, {}, 1.0, 1.0))
    for study, category in (("1" * 32, "normal"), ("1" * 32, "amyloidosis"), ("2" * 32, "normal")):
        gate.give_feedback(study, category, "Dr. Weber")
    assert ledger.trial_labels(trial.id) == {"1" * 32: "amyloidosis"}
