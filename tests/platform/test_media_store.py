"""Media are named by what they are, appear whole or not at all, and cannot be reached by any other name."""

import hashlib
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fakes import png
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from chordae.platform.errors import UnknownMedia
from chordae.platform.media import MediaStore

quickly = hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def store(tmp_path: Path) -> MediaStore:
    return MediaStore(tmp_path / "media")


def test_the_same_bytes_are_the_same_media(store: MediaStore) -> None:
    assert store.put(png(), "ecg", "v1").id == store.put(png(), "ecg", "v1").id


def test_other_bytes_or_another_preprocessing_are_other_media(store: MediaStore) -> None:
    assert len({store.put(png(seed), "ecg", version).id for seed in (0, 1) for version in ("v1", "v2")}) == 4


def test_the_id_is_the_sha256_of_version_and_bytes(store: MediaStore) -> None:
    assert store.put(b"picture", "ecg", "v1").id == hashlib.sha256(b"v1\0picture").hexdigest()


def test_what_was_put_comes_back(store: MediaStore) -> None:
    put = store.put(png(), "ecg", "v1", {"flags": ["short"]}, people=png(1))
    assert store.get(put.id) == put
    assert store.path(put.id).read_bytes() == png()
    assert store.path(put.companion or "").read_bytes() == png(1)


def test_the_first_account_of_the_same_media_stays_and_is_what_a_second_sender_hears(store: MediaStore) -> None:
    first = store.put(png(), "ecg", "v1", {"flags": ["first"]})
    assert store.put(png(), "ecg", "v1", {"flags": ["second"]}) == first == store.get(first.id)


def test_the_picture_for_people_is_no_media_for_a_model(store: MediaStore) -> None:
    companion = store.put(png(), "ecg", "v1", people=png(1)).companion
    with pytest.raises(UnknownMedia):
        store.get(companion or "")


def test_another_store_over_the_same_directory_sees_the_same(store: MediaStore) -> None:
    put = store.put(png(), "ecg", "v1")
    assert MediaStore(store.directory).get(put.id) == put


def test_many_writers_of_the_same_media_do_not_disturb_one_another(store: MediaStore) -> None:
    with ThreadPoolExecutor(16) as pool:
        ids = {media.id for media in pool.map(lambda _: store.put(png(), "ecg", "v1"), range(64))}
    assert [path.name for path in store.directory.glob("*.png")] == [f"{ids.pop()}.png"]
    assert list(store.directory.glob(".*")) == []


MALICIOUS = ["", ".", "..", "../secret", "/etc/passwd", "0" * 63, "0" * 65, "A" * 64, "0" * 64 + "\n", "\x00" * 64]


@pytest.mark.parametrize("media_id", ["0" * 64, *MALICIOUS])
def test_any_other_name_is_unknown(store: MediaStore, media_id: str) -> None:
    (store.directory.parent / "secret.png").write_bytes(b"secret")
    (store.directory.parent / "secret.json").write_bytes(b"{}")
    for look in (store.get, store.path):
        with pytest.raises(UnknownMedia):
            look(media_id)


@quickly
@given(st.text(max_size=80))
def test_no_text_at_all_leads_out_of_the_store(store: MediaStore, media_id: str) -> None:
    with pytest.raises(UnknownMedia):
        store.path(media_id)


def test_a_writer_that_fails_leaves_nothing(store: MediaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        store.put(png(), "ecg", "v1")
    assert list(store.directory.iterdir()) == []


KILLED_WRITER = """
import os, sys, time
from pathlib import Path
from chordae.platform.media import MediaStore

def hang(_):
    print("written", flush=True)
    time.sleep(60)

os.fsync = hang
MediaStore(Path(sys.argv[1])).put(b"x" * 5_000_000, "ecg", "v1")
"""


def test_a_writer_killed_in_the_middle_leaves_nothing_that_anyone_can_see(store: MediaStore) -> None:
    writer = subprocess.Popen([sys.executable, "-c", KILLED_WRITER, str(store.directory)], stdout=subprocess.PIPE)
    assert writer.stdout is not None and writer.stdout.readline() == b"written\n"
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    assert list(store.directory.glob("[!.]*")) == []
    again = store.put(b"x" * 5_000_000, "ecg", "v1")
    assert store.path(again.id).stat().st_size == 5_000_000


def test_a_reader_never_sees_a_part_of_a_picture(store: MediaStore) -> None:
    picture = b"x" * 2_000_000
    path = store.directory / f"{hashlib.sha256(b'v1' + bytes(1) + picture).hexdigest()}.png"
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(store.put, picture, "ecg", "v1")
        until, sizes = time.monotonic() + 30, set()
        while not writing.done() and time.monotonic() < until:
            sizes.add(path.stat().st_size if path.exists() else 0)
        writing.result()
    assert sizes <= {0, len(picture)}


@pytest.mark.parametrize("left", [b"", bytes(3000), png()[:200]], ids=["nothing", "zeros", "its beginning"])
def test_a_reduced_picture_that_power_loss_left_unwritten_is_made_again(store: MediaStore, left: bytes) -> None:
    media = store.put(png(), "ecg", "v1")
    whole = store.reduced(media.id, (64, 48)).read_bytes()
    store.reduced(media.id, (64, 48)).write_bytes(left)
    assert store.reduced(media.id, (64, 48)).read_bytes() == whole


def test_a_reduced_picture_is_made_once(store: MediaStore) -> None:
    media = store.put(png(), "ecg", "v1")
    made = store.reduced(media.id, (64, 48)).stat()
    assert store.reduced(media.id, (64, 48)).stat().st_ino == made.st_ino


def test_a_video_is_kept_as_one(store: MediaStore) -> None:
    put = store.put(b"\0\0\0\x1cftypisom", "echo", "echo-1", {"tiles": []}, kind="video")
    assert store.get(put.id) == put
    assert put.kind == "video"
    assert store.path(put.id).name == f"{put.id}.mp4"
