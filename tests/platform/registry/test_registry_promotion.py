"""Aliases move whole: one promotion at a time, finished by whoever comes next, and never onto what is not fit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from registries import checkpoint, empty_registry, fit
from sqlalchemy import text

from chordae.platform.errors import (
    ChordaeError,
    DamagedVersion,
    NotPromotable,
    PromotionUnderWay,
    RegistryUnreachable,
    UnknownVersion,
)
from chordae.platform.ledger_promotions import PromotionLedger
from chordae.platform.migrations.database import open_database
from chordae.platform.registry.desired import Desired
from chordae.platform.registry.models import Models
from chordae.platform.registry.promotion import Promotions


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """With versions 1, 2 and 3 of `tiny`."""
    folder = empty_registry(tmp_path / "var")
    for seed in (1, 2, 3):
        Models(folder).register(checkpoint(tmp_path, seed))
    return folder


@pytest.fixture
def ledger(data_dir: Path) -> PromotionLedger:
    return PromotionLedger(url(data_dir))


@pytest.fixture
def promotions(data_dir: Path, ledger: PromotionLedger) -> Promotions:
    return Promotions(data_dir, ledger)


def url(data_dir: Path) -> str:
    return f"sqlite:///{data_dir / 'ledger.sqlite3'}"


def test_the_old_champion_is_what_one_can_go_back_to_in_one_command(
    promotions: Promotions, ledger: PromotionLedger, data_dir: Path
) -> None:
    models = Models(data_dir)
    promotions.promote("tiny", "1", "anna")
    assert models.aliases("tiny") == {"champion": "1"}
    promotions.nominate("tiny", "2", "anna")
    assert models.aliases("tiny") == {"champion": "1", "candidate": "2"}
    promotions.promote("tiny", "candidate", "gate", "better at site b")
    assert models.aliases("tiny") == {"champion": "2", "previous": "1"}
    promotions.nominate("tiny", "3", "anna")
    promotions.rollback("tiny", "anna", "a bad night")
    assert models.aliases("tiny") == {"champion": "1", "candidate": "3"}
    with pytest.raises(NotPromotable, match="no previous version"):  # never onto what was rolled back
        promotions.rollback("tiny", "anna")
    told = [(one.kind, one.from_version, one.to_version, one.by, one.reason) for one in ledger.promotions("tiny")]
    assert told == [
        ("promote", None, "1", "anna", ""),
        ("candidate", None, "2", "anna", ""),
        ("promote", "1", "2", "gate", "better at site b"),
        ("candidate", None, "3", "anna", ""),
        ("rollback", "2", "1", "anna", "a bad night"),
    ]
    assert all(one.state == "done" and one.done_at for one in ledger.promotions("tiny"))


def test_what_is_not_fit_is_refused_by_name_and_nothing_moves(
    promotions: Promotions, ledger: PromotionLedger, data_dir: Path, tmp_path: Path
) -> None:
    models = Models(data_dir)
    bare = checkpoint(tmp_path, 4, ready=False)
    models.register(bare)
    with pytest.raises(NotPromotable, match=r"calibration\.json and no canaries\.json"):
        promotions.promote("tiny", "4", "anna")
    fit(bare)
    models.register(bare)
    with pytest.raises(NotPromotable, match=r"has no canaries\.json"):
        promotions.nominate("tiny", "4", "anna")
    with pytest.raises(UnknownVersion, match="no version 9"):
        promotions.promote("tiny", "9", "anna")
    with pytest.raises(UnknownVersion, match="large"):
        promotions.promote("large", "1", "anna")
    (models.version("tiny", "3").directory / "model.safetensors").write_bytes(b"x")
    with pytest.raises(DamagedVersion, match=r"model\.safetensors has changed"):
        promotions.promote("tiny", "3", "anna")
    promotions.promote("tiny", "1", "anna")
    with pytest.raises(NotPromotable, match="champion already"):
        promotions.promote("tiny", "1", "anna")
    assert models.aliases("tiny") == {"champion": "1"}
    assert len(ledger.promotions("tiny")) == 1


KILLED = """
import sys, time
from pathlib import Path
from chordae.platform.ledger_promotions import PromotionLedger
from chordae.platform.registry.models import Models
from chordae.platform.registry.promotion import Promotions
whole = Models.set_alias
def slow(self, *which):
    whole(self, *which)
    print(*which, flush=True)
    time.sleep(600)
Models.set_alias = slow
Promotions(Path(sys.argv[1]), PromotionLedger(sys.argv[2])).promote("tiny", "2", "bert")
"""


def test_of_two_promotions_at_once_the_second_is_refused_and_one_that_was_killed_is_finished(
    promotions: Promotions, ledger: PromotionLedger, data_dir: Path
) -> None:
    models = Models(data_dir)
    promotions.promote("tiny", "1", "anna")
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(data_dir), url(data_dir)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    while not process.stdout.readline().startswith("tiny champion 2"):
        assert process.poll() is None
    for change in (promotions.promote, promotions.nominate):
        with pytest.raises(PromotionUnderWay, match="under way"):
            change("tiny", "3", "anna")
    with pytest.raises(PromotionUnderWay):
        promotions.rollback("tiny", "anna")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert models.aliases("tiny") == {"champion": "2"}  # half of it
    begun = ledger.begun_promotion("tiny")
    assert begun is not None and (begun.from_version, begun.to_version, begun.by) == ("1", "2", "bert")
    settled = promotions.settle("tiny")
    assert settled is not None and (settled.id, settled.state) == (begun.id, "done")
    assert models.aliases("tiny") == {"champion": "2", "previous": "1"}
    assert promotions.settle("tiny") is None
    assert [one.state for one in ledger.promotions("tiny")] == ["done", "done"]


def test_what_the_registry_did_not_take_is_finished_by_the_next_promotion(
    promotions: Promotions, ledger: PromotionLedger, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> None:
        raise RegistryUnreachable("the registry does not answer", "check it")

    promotions.promote("tiny", "1", "anna")
    with monkeypatch.context() as patch:
        patch.setattr(Models, "set_alias", down)
        with pytest.raises(RegistryUnreachable):
            promotions.promote("tiny", "2", "anna")
    promotions.promote("tiny", "3", "anna")
    assert Models(data_dir).aliases("tiny") == {"champion": "3", "previous": "2"}
    assert [one.state for one in ledger.promotions("tiny")] == ["done"] * 3


def test_a_promotion_to_a_version_that_was_deleted_meanwhile_blocks_nobody(
    promotions: Promotions, ledger: PromotionLedger, data_dir: Path
) -> None:
    promotions.promote("tiny", "1", "anna")
    ledger.begin_promotion("tiny", "promote", "1", "3", "bert", "")  # and killed
    Models(data_dir)._client.delete_model_version("tiny", "3")
    assert promotions.promote("tiny", "2", "anna").state == "done"
    assert Models(data_dir).aliases("tiny") == {"champion": "2", "previous": "1"}
    assert ledger.begun_promotion("tiny") is None


def test_without_a_ledger_no_alias_moves(
    promotions: Promotions, ledger: PromotionLedger, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_database(url(data_dir)).begin() as connection:
        connection.execute(text("DROP TABLE promotions"))
    with pytest.raises(ChordaeError, match="the ledger does not answer"):
        promotions.promote("tiny", "1", "anna")
    assert Models(data_dir).aliases("tiny") == {}


def test_replicas_learn_of_a_promotion_without_waiting_for_the_registry_to_be_asked(
    promotions: Promotions, data_dir: Path
) -> None:
    desired = Desired(data_dir, poll_s=3600)
    assert desired.wanted("tiny") is None
    promotions.promote("tiny", "1", "anna")
    found = desired.wanted("tiny")
    assert found is not None and found.version == "1"
