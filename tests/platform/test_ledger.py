"""The ledger: entered once, claimed by one, settled once; on SQLite and on a real PostgreSQL server alike."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from ledgers import fresh_database, postgresql_server
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError

from chordae.platform.errors import BadSettings, ChordaeError
from chordae.platform.ledger import Base, Ledger, Offer
from chordae.platform.migrations.database import alembic_config, open_database
from chordae.platform.schemas import Media
from chordae.platform.settings import LedgerSettings, Settings, knobs

LEASE_S = 60


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgresql_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    return fresh_database(request.getfixturevalue("server"))


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    ledger = Ledger(url)
    yield ledger
    ledger.close()


def offers(*names: str, site: str = "one") -> list[Offer]:
    return [Offer(name, site, f"source of {name}") for name in names]


def media(digit: int = 0) -> Media:
    return Media(id=f"{digit:064x}", modality="ecg", companion=f"{digit + 1000:064x}")


def finish(ledger: Ledger, study: str, claim: str, digit: int = 0) -> bool:
    return ledger.finish(study, claim, media(digit), version="ecg-1", patient="p", study_hash="s", timings={"open": 1})


def refuse(ledger: Ledger, study: str, claim: str) -> bool:
    return ledger.refuse(study, claim, reason="empty", stage="open", problem="The file is empty")


# Studies


def test_a_study_is_entered_once_however_often_it_is_offered(ledger: Ledger) -> None:
    assert ledger.offer(offers("a", "b"))["a"].state == "waiting"
    assert set(ledger.offer(offers("b", "c"))) == {"b", "c"}
    assert ledger.counts() == {(None, "waiting"): 3}


def test_what_is_done_keeps_its_media_timings_and_hashes(ledger: Ledger) -> None:
    ledger.offer(offers("a"))
    ledger.claim(["a"], "run", LEASE_S)
    assert finish(ledger, "a", "run")
    record = ledger.offer(offers("a"))["a"]
    assert (record.state, record.modality, record.media) == ("done", "ecg", media().id)
    assert (record.timings, record.same_as, record.settled) == ({"open": 1}, None, True)


def test_what_is_refused_keeps_its_reason_and_stage(ledger: Ledger) -> None:
    ledger.offer(offers("a"))
    ledger.claim(["a"], "run", LEASE_S)
    assert refuse(ledger, "a", "run")
    record = ledger.records(["a"])["a"]
    assert (record.state, record.reason, record.stage, record.problem) == (
        "refused",
        "empty",
        "open",
        "The file is empty",
    )


def test_a_second_study_with_the_same_media_names_the_first(ledger: Ledger) -> None:
    ledger.offer(offers("a", "b"))
    ledger.claim(["a", "b"], "run", LEASE_S)
    assert finish(ledger, "a", "run") and finish(ledger, "b", "run")
    assert [ledger.records(["a", "b"])[name].same_as for name in "ab"] == [None, "a"]


def test_studies_are_counted_by_modality_and_state_of_one_site_or_all(ledger: Ledger) -> None:
    ledger.offer([*offers("a", "b"), *offers("c", site="two")])
    ledger.claim(["a"], "run", LEASE_S)
    finish(ledger, "a", "run")
    assert ledger.counts("one") == {("ecg", "done"): 1, (None, "waiting"): 1}
    assert ledger.counts()[None, "waiting"] == 2


def test_thousands_of_studies_at_once(ledger: Ledger) -> None:
    names = [f"{number:05}" for number in range(1234)]
    assert len(ledger.offer(offers(*names))) == 1234
    assert ledger.claim(names, "run", LEASE_S) == names


# Claims


def test_a_claimed_study_is_given_to_nobody_else(ledger: Ledger) -> None:
    ledger.offer(offers("a", "b"))
    assert ledger.claim(["b", "a", "unknown"], "run", LEASE_S) == ["b", "a"]
    assert ledger.claim(["a", "b"], "other", LEASE_S) == []


def test_a_lease_that_ended_gives_the_study_back(ledger: Ledger) -> None:
    ledger.offer(offers("a"))
    ledger.claim(["a"], "killed", 0.05)
    ledger.begin("a", "killed")
    time.sleep(0.1)
    assert ledger.claim(["a"], "run", LEASE_S) == ["a"]
    assert ledger.begin("a", "run") == 1  # the kill is not the study's fault


def test_a_renewed_lease_does_not_end(ledger: Ledger) -> None:
    ledger.offer(offers("a"))
    ledger.claim(["a"], "run", 0.05)
    ledger.renew("run", LEASE_S)
    time.sleep(0.1)
    assert ledger.claim(["a"], "other", LEASE_S) == []


def test_who_lost_a_claim_can_write_nothing(ledger: Ledger) -> None:
    ledger.offer(offers("a"))
    ledger.claim(["a"], "slow", 0)
    time.sleep(0.01)
    ledger.claim(["a"], "run", LEASE_S)
    assert ledger.begin("a", "slow") == 0
    assert not finish(ledger, "a", "slow", 7)
    assert not refuse(ledger, "a", "slow")
    assert finish(ledger, "a", "run", 8)
    assert not finish(ledger, "a", "run", 9), "settled once"
    assert ledger.records(["a"])["a"].media == media(8).id


def test_work_that_begins_again_under_one_claim_is_counted(ledger: Ledger) -> None:
    ledger.offer(offers("a"))
    ledger.claim(["a"], "run", LEASE_S)
    assert [ledger.begin("a", "run") for _ in range(3)] == [1, 2, 3]


def test_an_owner_is_told_whether_work_of_its_own_is_going_on(ledger: Ledger) -> None:
    ledger.offer(offers("a", "b"))
    ledger.claim(["a"], "run", LEASE_S)
    ledger.claim(["b"], "other", LEASE_S)
    ledger.begin("b", "other")
    assert not ledger.has_begun("run")
    ledger.begin("a", "run")
    assert ledger.has_begun("run")
    refuse(ledger, "a", "run")
    assert not ledger.has_begun("run")


def test_a_run_that_stops_gives_back_what_nobody_began(ledger: Ledger) -> None:
    ledger.offer(offers("a", "b"))
    ledger.claim(["a", "b"], "run", LEASE_S)
    ledger.begin("a", "run")
    assert ledger.release("run") == 1
    assert ledger.claim(["a", "b"], "other", LEASE_S) == ["b"]
    assert ledger.release("run", begun_too=True) == 1
    assert ledger.claim(["a", "b"], "other", LEASE_S) == ["a"]


def claim_all(url: str, names: list[str], claim: str, taken: multiprocessing.Queue[list[str]]) -> None:
    ledger = Ledger(url)
    mine = []
    for start in range(0, len(names), 7):
        mine += ledger.claim(names[start : start + 7], claim, LEASE_S)
    taken.put(mine)


def test_claims_of_several_processes_never_overlap(url: str) -> None:
    """They also open the fresh ledger all at once: one of them makes its tables."""
    names = [f"{number:03}" for number in range(200)]
    context = multiprocessing.get_context("fork")
    taken: multiprocessing.Queue[list[str]] = context.Queue()
    opening = [context.Process(target=offer_all, args=(url, names)) for _ in range(4)]
    run_all(opening)
    run_all([context.Process(target=claim_all, args=(url, names, f"run {n}", taken)) for n in range(4)])
    claimed = [taken.get(timeout=10) for _ in range(4)]
    assert sorted(name for one in claimed for name in one) == names


def offer_all(url: str, names: list[str]) -> None:
    Ledger(url).offer(offers(*names))


def run_all(processes: list[multiprocessing.context.ForkProcess]) -> None:
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0


# The schema


def test_tables_and_migrations_agree(url: str) -> None:
    engine = open_database(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


def test_every_migration_goes_back_to_nothing_and_up_again(url: str) -> None:
    engine = open_database(url)
    with engine.begin() as connection:
        command.downgrade(alembic_config(connection), "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "head")
    assert {"studies", "media"} <= set(inspect(engine).get_table_names())


def test_a_ledger_of_before_the_api_keeps_its_studies_and_can_go_back_to_it(url: str) -> None:
    engine = open_database(url)
    with engine.begin() as connection:
        command.downgrade(alembic_config(connection), "0001")
    assert {"sent_studies", "answers", "answer_media"}.isdisjoint(inspect(engine).get_table_names())
    insert = "INSERT INTO studies (id, site, source, state, first_seen, attempts, timings) VALUES "
    with engine.begin() as connection:
        connection.execute(text(insert + "('a', 'one', 's', 'waiting', '2026-10-01 12:00:00', 0, '{}')"))
    ledger = Ledger(url)  # brings it to the present schema
    assert ledger.counts() == {(None, "waiting"): 1}
    ledger.keep_sent("s", ["m"])
    ledger.keep_answer("a", "s", "What?", ["m"], {"text": "said"})
    assert ledger.answer("a") == {"text": "said"}
    with engine.begin() as connection:
        command.downgrade(alembic_config(connection), "0001")
    assert {"sent_studies", "answers", "answer_media"}.isdisjoint(inspect(engine).get_table_names())
    with engine.begin() as connection:
        assert connection.execute(text("SELECT id, state FROM studies")).all() == [("a", "waiting")]


def test_an_answer_without_its_study_or_media_without_their_answer_are_refused_by_the_database(url: str) -> None:
    ledger = Ledger(url)
    ledger.keep_sent("s", ["m"])
    ledger.keep_answer("a", "s", "What?", ["m"], {})
    engine = open_database(url)
    for statement in ("DELETE FROM sent_studies", "DELETE FROM answers", "INSERT INTO answer_media VALUES ('x', 'm')"):
        with pytest.raises(IntegrityError, match=r"(?i)foreign key"), engine.begin() as connection:
            connection.execute(text(statement))
    assert ledger.answer("a") == {} and ledger.media_in_use(["m"]) == {"m"}


def test_a_ledger_of_a_newer_chordae_is_left_alone(url: str) -> None:
    engine = open_database(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(BadSettings, match="newer chordae"):
        Ledger(url)


def test_a_state_that_does_not_exist_is_refused_by_the_database(url: str) -> None:
    Ledger(url).offer(offers("a"))
    with pytest.raises(Exception, match="state"), open_database(url).begin() as connection:
        connection.execute(text("UPDATE studies SET state = 'lost'"))


def test_sqlite_waits_for_other_writers_and_keeps_what_it_said(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'l.sqlite3'}")
    with engine.connect() as connection:
        asked = {name: connection.execute(text(f"PRAGMA {name}")).scalar() for name in PRAGMAS}
    assert asked == PRAGMAS


PRAGMAS = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 60_000}


# Settings and errors


def test_the_ledger_lies_in_the_data_directory_unless_a_url_says_otherwise(settings: Settings) -> None:
    assert settings.ledger_url == f"sqlite:///{settings.data_dir.resolve()}/ledger.sqlite3"


def test_the_password_of_the_ledger_is_shown_nowhere(settings: Settings) -> None:
    url = "postgresql://chordae:hunter2@db/chordae"
    changed = settings.model_copy(update={"ledger": LedgerSettings(url=url)})
    assert changed.ledger_url == url
    shown = [str(value) for name, _, _, value in knobs(changed) if name == "ledger.url"]
    assert shown == ["**********"]
    assert "hunter2" not in repr(changed) + changed.model_dump_json()


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("hunter2", "not a URL"),
        ("postgresql://chordae:hunter2/db", "not a URL"),
        ("mysql://u:hunter2@db/chordae", "no ledger in a mysql database"),
        ("sqlite://", "would be lost"),
        ("postgresql://u:hunter2@127.0.0.1:1/chordae", "cannot be opened"),
    ],
)
def test_a_ledger_that_cannot_be_opened_is_one_line_without_the_password(url: str, problem: str) -> None:
    with pytest.raises(BadSettings, match=problem) as error:
        Ledger(url)
    assert "hunter2" not in str(error.value) and "\n" not in str(error.value)


def test_an_sqlite_ledger_is_its_owners_alone(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'l.sqlite3'}")
    ledger.offer(offers("a"))
    files = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir() if path.name != "l.sqlite3.lock"}
    assert files == {"l.sqlite3": 0o600, "l.sqlite3-wal": 0o600, "l.sqlite3-shm": 0o600}


def test_an_sqlite_ledger_where_no_file_can_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadSettings, match="cannot be opened"):
        Ledger(f"sqlite:///{tmp_path / 'file' / 'l.sqlite3'}")


def test_a_ledger_that_does_not_answer_is_an_error_of_the_project(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite3"
    ledger = Ledger(f"sqlite:///{path}")
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE studies")
    with pytest.raises(ChordaeError, match="the ledger does not answer"):
        ledger.counts()


def test_what_a_killed_process_had_not_finished_is_not_there(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'l.sqlite3'}"
    Ledger(url).offer(offers("a"))

    def kill_in_a_transaction() -> None:
        with open_database(url).begin() as connection:
            connection.execute(text("UPDATE studies SET state = 'done'"))
            os._exit(9)

    child = multiprocessing.get_context("fork").Process(target=kill_in_a_transaction)
    child.start()
    child.join()
    assert Ledger(url).counts() == {(None, "waiting"): 1}


# What came through the API


def test_an_answer_comes_back_as_it_was_given(ledger: Ledger) -> None:
    ledger.keep_sent("s", ["m1", "m2"])
    content = {"text": "Sinus rhythm, 72 µV/min \0 \ud800 心", "reports": [{"value": 0.1}], "missing": None}
    ledger.keep_answer("a", "s", "What is seen?", ["m1", "m2", "m1"], content)
    assert ledger.sent("s") == (("m1", "m2"), None)
    assert ledger.answer("a") == content
    assert (ledger.sent("x"), ledger.answer("x")) == (None, None)


def test_an_answer_about_a_study_that_was_never_sent_is_refused(ledger: Ledger) -> None:
    with pytest.raises(ChordaeError):
        ledger.keep_answer("a", "nowhere", "What?", ["m"], {})
    assert ledger.answer("a") is None and ledger.media_in_use(["m"]) == set()


def test_media_are_in_use_by_a_study_taken_in_and_by_answers_and_not_by_a_study_that_was_only_sent(
    ledger: Ledger,
) -> None:
    ledger.offer(offers("a"))
    ledger.claim(["a"], "run", LEASE_S)
    finish(ledger, "a", "run")
    ledger.keep_sent("s", ["answered", "sent"])
    ledger.keep_answer("x", "s", "What?", ["answered"], {})
    companion = media().companion or ""
    assert ledger.media_in_use([media().id, companion, "answered", "sent"]) == {media().id, companion, "answered"}
    assert ledger.media_in_use([]) == set()


def test_an_answer_survives_the_death_of_the_process_that_kept_it(url: str) -> None:
    def keep_and_die() -> None:
        ledger = Ledger(url)
        ledger.keep_sent("s", ["m"])
        ledger.keep_answer("a", "s", "What?", ["m"], {"text": "said"})
        os.kill(os.getpid(), signal.SIGKILL)

    child = multiprocessing.get_context("fork").Process(target=keep_and_die)
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert Ledger(url).answer("a") == {"text": "said"}


def keep_all(url: str, gateway: int) -> None:
    ledger = Ledger(url)
    for number in range(10):
        ledger.keep_answer(f"{gateway}-{number}", "s", "What?", ["shared", f"m{gateway}"], {"number": number})


def test_answers_of_several_gateways_about_one_study_are_all_kept(url: str) -> None:
    ledger = Ledger(url)
    ledger.keep_sent("s", ["shared"])
    ledger.close()  # connections do not survive a fork
    context = multiprocessing.get_context("fork")
    run_all([context.Process(target=keep_all, args=(url, gateway)) for gateway in range(4)])
    told = [Ledger(url).answer(f"{gateway}-{number}") for gateway in range(4) for number in range(10)]
    assert told == [{"number": number} for number in range(10)] * 4
    assert Ledger(url).media_in_use([f"m{gateway}" for gateway in range(5)]) == {"m0", "m1", "m2", "m3"}
