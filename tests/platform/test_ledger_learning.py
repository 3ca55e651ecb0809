"""Rounds of learning in the ledger: no record used twice or passed over, whoever is killed, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledgers import fresh_database, postgresql_server

from chordae.platform.errors import RoundUnderWay, UnknownStudy
from chordae.platform.ledger_gate import GateLedger
from chordae.platform.ledger_learning import SENT, LearningLedger
from chordae.platform.ledger_records import ProspectiveRecord, RecordsLedger


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgresql_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    return fresh_database(request.getfixturevalue("server"))


def records(site: str, count: int, first: int = 0) -> list[ProspectiveRecord]:
    return [
        ProspectiveRecord(f"{site}-{number:04d}", site, f"patient {number}", {"parameters": [], "number": number})
        for number in range(first, first + count)
    ]


def test_a_record_comes_in_once_and_belongs_to_one_round_of_a_model(url: str) -> None:
    bring, learn = RecordsLedger(url), LearningLedger(url)
    assert bring.take_in(records("north", 5)) == 5
    assert bring.take_in([*records("north", 6), *records("north", 1)]) == 1
    assert learn.waiting("m") == {"north": 6}
    first = learn.begin_round("m", 4)
    assert [one.id for one in learn.records_of(first.id)] == [f"north-{number:04d}" for number in range(4)]
    assert learn.records_of(first.id)[0].content == {"parameters": [], "number": 0}
    assert learn.waiting("m") == {"north": 2}
    assert learn.waiting("other") == {"north": 6}, "another model learns from them for itself"
    learn.end_round(first, "promoted")
    second = learn.begin_round("m", 4)
    assert [one.id for one in learn.records_of(second.id)] == ["north-0004", "north-0005"]
    assert learn.waiting("m") == {}


def test_one_round_a_model_is_open_and_a_restarted_loop_finds_it_where_it_was(url: str) -> None:
    one, other = LearningLedger(url), LearningLedger(url)
    begun = one.begin_round("m", 4)
    with pytest.raises(RoundUnderWay, match="m"):
        other.begin_round("m", 4)
    trained = one.advance(begun, "trained", {"labelled": 3})
    one.close()
    found = other.open_round("m")
    assert found is not None and (found.stage, found.content) == ("trained", {"labelled": 3})
    assert other.advance(found, "evaluated", {"accuracy": 0.5}).content == {"labelled": 3, "accuracy": 0.5}
    with pytest.raises(RoundUnderWay, match="moved on"):
        other.advance(trained, "evaluated", {})
    assert [(row.stage, row.outcome) for row in other.rounds("m")] == [("evaluated", None)]


def test_a_site_that_floods_drowns_no_other(url: str) -> None:
    RecordsLedger(url).take_in([*records("flood", 900), *records("small", 3)])
    learn = LearningLedger(url)
    taken = [one.site for one in learn.records_of(learn.begin_round("m", 50).id)]
    assert (taken.count("flood"), taken.count("small")) == (50, 3)
    assert learn.waiting("m") == {"flood": 850}


def test_what_a_clinician_labelled_is_a_sentinel_and_never_learned_from_unlabelled(url: str) -> None:
    RecordsLedger(url).take_in(records("north", 3))
    gate, learn = GateLedger(url), LearningLedger(url)
    with pytest.raises(UnknownStudy):
        gate.give_feedback("nobody", "normal", "anna")
    gate.give_feedback("north-0001", "normal", "anna")
    gate.give_feedback("north-0001", "amyloidosis", "bert")
    assert learn.waiting("m") == {"north": 2}
    begun = learn.begin_round("m", 9)
    assert [one.id for one in learn.records_of(begun.id)] == ["north-0000", "north-0002"]
    assert [(one.id, category) for one, category in learn.labelled(begun.id)] == [("north-0001", "amyloidosis")]


def test_no_patient_is_learned_from_whose_record_judges_and_none_judges_who_is_learned_from(url: str) -> None:
    """Another record of the same person says nearly the same; that of a namesake at another site does not."""

    def of(site: str, patient: str | None, number: int) -> ProspectiveRecord:
        return ProspectiveRecord(f"{site}-{patient}-{number}", site, patient, {})

    bring = RecordsLedger(url)
    bring.take_in([of("north", "p", 1), of("north", "p", 2), of("north", "q", 1), of("south", "p", 1)])
    bring.take_in([of("north", None, 1), of("north", None, 2)])
    gate, learn = GateLedger(url), LearningLedger(url)
    gate.give_feedback("north-p-1", "normal", "anna")
    gate.give_feedback("north-None-1", "normal", "anna")
    assert learn.waiting("m") == {"north": 2, "south": 1}
    begun = learn.begin_round("m", 9)
    learned = [one.id for one in learn.records_of(begun.id)]
    assert learned == ["north-None-2", "north-q-1", "south-p-1"]
    bring.take_in([of("north", "q", 2), of("south", "q", 1)])
    for late in ("north-q-2", "south-q-1"):
        gate.give_feedback(late, "normal", "anna")
    assert [one.id for one, _ in learn.labelled(begun.id)] == ["north-None-1", "north-p-1", "south-q-1"]


def test_a_labelled_record_that_was_sent_with_a_question_is_a_sentinel_and_a_picture_alone_is_not(url: str) -> None:
    gate, learn = GateLedger(url), LearningLedger(url)
    gate.keep_sent("with", [], {"parameters": []})
    gate.keep_sent("without", [])
    gate.keep_diagnosis("diagnosis", {})
    for study in ("with", "without", "diagnosis"):
        gate.give_feedback(study, "normal", "anna")
    assert [(one.id, one.site, one.content) for one, _ in learn.labelled(1)] == [("with", SENT, {"parameters": []})]
    assert [gate.has_record(study) for study in ("with", "without", "diagnosis")] == [True, False, False]


def test_a_label_that_comes_while_a_round_learns_from_its_record_judges_later_candidates_only(url: str) -> None:
    RecordsLedger(url).take_in(records("north", 2))
    gate, learn = GateLedger(url), LearningLedger(url)
    begun = learn.begin_round("m", 9)
    gate.give_feedback("north-0001", "normal", "anna")
    assert learn.labelled(begun.id) == []
    assert [one.id for one, _ in learn.labelled(begun.id + 1)] == ["north-0001"]


def test_of_many_loops_that_begin_at_once_one_gets_the_round(url: str) -> None:
    RecordsLedger(url).take_in(records("north", 40))
    got, refused = [], []

    def begin() -> None:
        ledger = LearningLedger(url)
        try:
            got.append(ledger.begin_round("m", 10))
        except RoundUnderWay as error:
            refused.append(error)
        finally:
            ledger.close()

    loops = [threading.Thread(target=begin) for _ in range(6)]
    for loop in loops:
        loop.start()
    for loop in loops:
        loop.join()
    assert (len(got), len(refused)) == (1, 5)
    assert len(LearningLedger(url).records_of(got[0].id)) == 10


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(["north", "south"]), st.integers(0, 12)), max_size=6), st.integers(1, 5))
def test_whatever_comes_in_between_rounds_every_record_is_used_exactly_once(
    tmp_path_factory: pytest.TempPathFactory, arrivals: list[tuple[str, int]], most: int
) -> None:
    url = f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'ledger.sqlite3'}"
    bring, learn = RecordsLedger(url), LearningLedger(url)
    used: list[str] = []
    brought: set[str] = set()
    for site, count in arrivals:
        some = records(site, count)
        bring.take_in(some)
        brought |= {one.id for one in some}
        begun = learn.begin_round("m", most)
        used += [one.id for one in learn.records_of(begun.id)]
        learn.end_round(begun, "done")
    while learn.waiting("m"):
        begun = learn.begin_round("m", most)
        used += [one.id for one in learn.records_of(begun.id)]
        learn.end_round(begun, "done")
    assert sorted(used) == sorted(brought)
    bring.close()
    learn.close()
