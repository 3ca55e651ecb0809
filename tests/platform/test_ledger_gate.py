"""Decisions of the gate and feedback: kept as given, of known studies only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from chordae.platform.errors import BadInput, ChordaeError, UnknownStudy
from chordae.platform.ledger import Base, Offer
from chordae.platform.ledger_gate import GateLedger
from chordae.platform.migrations.database import open_database


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[GateLedger]:
    ledger = GateLedger(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    yield ledger
    ledger.close()


def test_tables_and_migrations_agree(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []
    assert {"gate_decisions", "feedback"} <= set(Base.metadata.tables)


def test_decisions_are_kept_with_their_numbers_oldest_first(ledger: GateLedger) -> None:
    first = ledger.keep_gate_decision("cmr-r", "1", "2", "hold", "gate", {"why": "few", "n": 0.25})
    second = ledger.keep_gate_decision("cmr-r", "1", "2", "promote", "person", {})
    ledger.keep_gate_decision("other", "1", "2", "rollback", "gate", {})
    kept = ledger.gate_decisions("cmr-r")
    assert [(one.id, one.decision, one.by) for one in kept] == [(first, "hold", "gate"), (second, "promote", "person")]
    assert kept[0].content == {"why": "few", "n": 0.25}


def test_a_decision_that_is_none_of_the_three_leaves_no_row(ledger: GateLedger) -> None:
    with pytest.raises(ChordaeError):
        ledger.keep_gate_decision("cmr-r", "1", "2", "maybe", "gate", {})  # type: ignore[arg-type]
    assert ledger.gate_decisions("cmr-r") == []


def test_feedback_is_taken_for_studies_sent_studies_and_diagnoses(ledger: GateLedger) -> None:
    ledger.offer([Offer("taken-in", "one", "source")])
    ledger.keep_sent("sent", [])
    ledger.keep_diagnosis("diagnosis", {})
    for study in ("taken-in", "sent", "diagnosis"):
        ledger.give_feedback(study, "myocarditis", "a reader")
    assert [one.study for one in ledger.feedback()] == ["taken-in", "sent", "diagnosis"]


def test_the_latest_word_on_a_study_counts(ledger: GateLedger) -> None:
    ledger.keep_diagnosis("a", {})
    ledger.give_feedback("a", "myocarditis", "a reader")
    later = ledger.give_feedback("a", "normal", "another")
    assert [(one.id, one.category, one.by) for one in ledger.feedback()] == [(later, "normal", "another")]


def test_feedback_for_an_unknown_study_is_refused_and_leaves_nothing(ledger: GateLedger) -> None:
    with pytest.raises(UnknownStudy, match="no study"):
        ledger.give_feedback("nobody", "normal", "a reader")
    assert ledger.feedback() == []


@pytest.mark.parametrize(("category", "by"), [("", "x"), ("normal", " "), ("n" * 121, "x")])
def test_feedback_without_category_or_name_is_refused(ledger: GateLedger, category: str, by: str) -> None:
    ledger.keep_diagnosis("a", {})
    with pytest.raises(BadInput, match="usable"):
        ledger.give_feedback("a", category, by)
