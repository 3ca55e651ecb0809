"""What came by upload goes in time; what is in use, or came another way, stays whatever happens in between."""

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from fakes import png

from chordae.deployments.uploads import Expired, UploadStore, expire_uploads
from chordae.platform.errors import ChordaeError, UnknownMedia
from chordae.platform.ledger import Ledger, Offer
from chordae.platform.media import MediaStore
from chordae.platform.schemas import Media
from chordae.platform.settings import Settings

DAY = 86400.0
HOUR = 3600.0


@pytest.fixture
def store(settings: Settings) -> UploadStore:
    return UploadStore(settings.media_dir)


def nobody(_: Iterable[str]) -> set[str]:
    return set()


def using(*media: str | None) -> Any:
    return lambda ids: {one for one in ids if one in media}


def aged(store: MediaStore, media: Media, seconds: float = 2 * DAY) -> Media:
    """As if it had been sent so long ago."""
    then = time.time() - seconds
    os.utime(store.directory.parent / "uploads" / media.id, (then, then))
    return media


def later(store: MediaStore, seconds: float = 2 * HOUR) -> None:
    """As if what was withdrawn had been so long ago."""
    then = time.time() - seconds
    for place in (store.directory.parent / "uploads" / "withdrawn").iterdir():
        os.utime(place, (then, then))


def files(store: MediaStore) -> list[str]:
    return sorted(path.name for path in store.directory.iterdir())


def everything(store: MediaStore) -> list[str]:
    """Every file of the data directory but for the lock and empty marks."""
    root = store.directory.parent
    return sorted(path.name for path in root.rglob("*") if path.is_file() and path.stat().st_size)


def sent(store: MediaStore, seed: int = 0) -> Media:
    media = store.put(png(seed), "ecg", "v", people=png(seed + 100))
    store.reduced(media.id, (64, 48))
    return media


def test_an_upload_goes_with_all_its_files_once_it_is_old(store: UploadStore) -> None:
    old, young = aged(store, sent(store)), sent(store, 1)
    assert store.expire(DAY, HOUR, nobody) == Expired(withdrawn=1, restored=0, deleted=0)
    with pytest.raises(UnknownMedia):
        store.get(old.id)
    with pytest.raises(UnknownMedia):
        store.path(old.companion or "")
    assert store.get(young.id) == young and len(files(store)) == 4
    assert store.expire(DAY, HOUR, nobody) == Expired(0, 0, 0)
    later(store)
    assert store.expire(DAY, HOUR, nobody) == Expired(0, 0, deleted=1)
    assert everything(store) == files(store)


def test_an_upload_that_an_answer_is_about_stays(store: UploadStore) -> None:
    old = aged(store, sent(store))
    assert store.expire(DAY, HOUR, using(old.id)) == Expired(0, 0, 0)
    assert store.get(old.id) == old


def test_media_that_were_taken_in_stay_also_when_the_same_are_uploaded(settings: Settings, store: UploadStore) -> None:
    ingested = sent(MediaStore(settings.media_dir))
    assert sent(store) == ingested
    assert store.is_empty()
    assert store.expire(0, 0, nobody) == Expired(0, 0, 0)
    assert store.get(ingested.id) == ingested


def test_an_upload_that_is_sent_again_begins_anew(store: UploadStore) -> None:
    old = aged(store, sent(store))
    sent(store)
    assert store.expire(DAY, HOUR, nobody).withdrawn == 0
    assert store.get(old.id) == old


def test_what_comes_into_use_after_it_was_withdrawn_comes_back_whole(store: UploadStore) -> None:
    """An ingest found the file there, and told the ledger a moment too late."""
    old = aged(store, sent(store))
    before = files(store)
    store.expire(DAY, HOUR, nobody)
    later(store)
    assert store.expire(DAY, HOUR, using(old.id)) == Expired(0, restored=1, deleted=0)
    assert files(store) == before and store.get(old.id) == old
    later(store)
    assert store.expire(0, 0, nobody) == Expired(0, 0, 0)


def test_what_is_sent_again_after_it_was_withdrawn_is_not_deleted_with_it(store: UploadStore) -> None:
    old = aged(store, sent(store))
    store.expire(DAY, HOUR, nobody)
    assert sent(store) == old
    later(store)
    assert store.expire(DAY, HOUR, nobody).deleted == 1
    assert store.get(old.id) == old and store.path(old.id).read_bytes() == png()


def test_a_picture_for_people_that_is_in_use_stays_without_the_rest(store: UploadStore) -> None:
    old = aged(store, sent(store))
    store.expire(DAY, HOUR, using(old.companion))
    assert files(store) == [f"{old.companion}.png"]


@pytest.mark.parametrize("moves", range(4))
def test_a_round_that_is_killed_is_finished_by_the_next(
    store: UploadStore, monkeypatch: pytest.MonkeyPatch, moves: int
) -> None:
    old = aged(store, sent(store))
    done: list[Path] = []
    replace = Path.replace

    def killed(path: Path, target: Path) -> Path:
        if len(done) == moves:
            raise KeyboardInterrupt
        done.append(path)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        store.expire(DAY, HOUR, nobody)
    monkeypatch.undo()
    store.expire(DAY, HOUR, nobody)
    assert files(store) == []
    later(store)
    store.expire(DAY, HOUR, nobody)
    assert everything(store) == []
    assert sent(store) == old


def test_a_store_that_does_not_know_what_is_in_use_removes_nothing(store: UploadStore) -> None:
    old = aged(store, sent(store))

    def broken(_: Iterable[str]) -> set[str]:
        raise ChordaeError("the ledger does not answer", "check it")

    with pytest.raises(ChordaeError):
        store.expire(DAY, HOUR, broken)
    assert store.get(old.id) == old


def test_the_platform_asks_its_ledger_what_is_in_use(settings: Settings, store: UploadStore) -> None:
    taken_in, answered, unused = (aged(store, sent(store, seed)) for seed in range(3))
    ledger = Ledger(settings.ledger_url)
    ledger.offer([Offer("study", "site", "source")])
    ledger.claim(["study"], "run", 60)
    ledger.finish("study", "run", taken_in, version="v")
    ledger.keep_sent("1" * 32, [answered.id, unused.id])
    ledger.keep_answer("2" * 32, "1" * 32, "What?", [answered.id], {})
    assert expire_uploads(settings).withdrawn == 1
    assert store.get(taken_in.id) and store.get(answered.id)
    with pytest.raises(UnknownMedia):
        store.get(unused.id)


def test_where_nothing_was_uploaded_no_ledger_is_made(settings: Settings) -> None:
    assert expire_uploads(settings) == Expired(0, 0, 0)
    assert not (settings.data_dir / "ledger.sqlite3").exists()
