"""Promotions in the ledger: one at a time a model, by the database's own rule, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ledgers import fresh_database, postgresql_server

from chordae.platform.errors import PromotionUnderWay
from chordae.platform.ledger_promotions import PromotionLedger


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgresql_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    return fresh_database(request.getfixturevalue("server"))


def test_one_promotion_a_model_is_unfinished_whoever_writes_it(url: str) -> None:
    one, other = PromotionLedger(url), PromotionLedger(url)
    begun = one.begin_promotion("tiny", "promote", None, "1", "anna", "first")
    with pytest.raises(PromotionUnderWay, match="tiny"):
        other.begin_promotion("tiny", "rollback", "1", "2", "bert", "")
    other.begin_promotion("large", "promote", None, "1", "bert", "")  # another model's is no hindrance
    assert other.begun_promotion("tiny") == begun
    done = one.finish_promotion(begun)
    assert done.state == "done" and one.begun_promotion("tiny") is None
    again = other.begin_promotion("tiny", "rollback", "1", "2", "bert", "")
    assert one.finish_promotion(begun) == done  # a second time: of no effect on the next
    assert other.begun_promotion("tiny") == again
    assert [(row.state, row.done_at is None) for row in one.promotions("tiny")] == [("done", False), ("begun", True)]
    one.close()
    other.close()
