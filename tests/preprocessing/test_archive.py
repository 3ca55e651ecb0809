"""A study's files come out of whatever they are packed in; what is unsafe, damaged or too much is refused by name."""

import io
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chordae.platform.errors import ChordaeError, UnreadableRecording
from chordae.preprocessing.archive import Limits, members

FILES = {"a/one.dcm": b"1" * 3000, "a/two.dcm": bytes(range(256)) * 20, "three.dcm": b"3"}


def tar(path: Path, files: dict[str, bytes] = FILES, mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


def zipped(path: Path, files: dict[str, bytes] = FILES, how: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def read(path: Path, **limits: int) -> dict[str, bytes]:
    return {member.name: member.data[:] for member in members(path, Limits(**limits))}


def refusal(path: Path, **limits: int) -> str:
    with pytest.raises(UnreadableRecording) as refused:
        read(path, **limits)
    return refused.value.reason


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_in_any_compression(tmp_path: Path, mode: str) -> None:
    assert read(tar(tmp_path / "study", mode=mode)) == FILES


@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_in_any_compression(tmp_path: Path, how: int) -> None:
    assert read(zipped(tmp_path / "study", how=how)) == FILES


def test_a_folder_with_its_subfolders_in_order_without_what_is_hidden_or_unfinished(tmp_path: Path) -> None:
    for name, data in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "empty").touch()
    (tmp_path / "a" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "a" / "four.dcm.part").write_bytes(b"x")
    assert list(read(tmp_path)) == ["three.dcm", "a/one.dcm", "a/two.dcm"]
    assert read(tmp_path) == FILES


def test_a_single_file(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"x" * 999)
    assert read(tmp_path / "one") == {"one": b"x" * 999}


def test_a_study_larger_than_its_memory_comes_out_the_same_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {f"{n}.dcm": os.urandom(50_000 + n) for n in range(30)}
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    found = list(members(tar(tmp_path / "study.tgz", files), Limits(in_memory=200_000)))
    assert {member.name: member.data[:] for member in found} == files
    assert not list((tmp_path / "temporary").iterdir())


def test_reading_a_large_archive_takes_little_memory(tmp_path: Path) -> None:
    tar(tmp_path / "study.tgz", {f"{n}": os.urandom(4096) * 1000 for n in range(100)})  # 400 MB unpacked
    script = (
        "import resource, sys; from pathlib import Path; from chordae.preprocessing.archive import Limits, members\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "kept = [m for m in members(Path(sys.argv[1]), Limits(expansion=10_000))]\n"
        "assert len(kept) == 100; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "study.tgz"], capture_output=True, text=True, check=True
    )
    assert int(run.stdout) < 150 * 1024  # KiB: the 64 MiB that are kept in memory, and what Python needs to read


@pytest.mark.parametrize("name", ["/etc/passwd", "../up.dcm", "a/../../up.dcm", "C:\\windows.dcm", "..\\up.dcm"])
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    assert refusal(tar(tmp_path / "a.tgz", {name: b"x"})) == "unsafe_archive"
    assert refusal(zipped(tmp_path / "a.zip", {name: b"x"})) == "unsafe_archive"


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        entry = tarfile.TarInfo("a")
        entry.type, entry.linkname = kind, "/etc/passwd"
        archive.addfile(entry)
    assert refusal(tmp_path / "a.tar") == "unsafe_archive"


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    entry = zipfile.ZipInfo("a")
    entry.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(entry, "/etc/passwd")
    assert refusal(tmp_path / "a.zip") == "unsafe_archive"


def test_bombs_are_refused_before_they_unpack(tmp_path: Path) -> None:
    bomb = {"zeros": bytes(64 * 1024 * 1024)}
    assert refusal(zipped(tmp_path / "a.zip", bomb)) == "bomb"
    assert refusal(tar(tmp_path / "a.tgz", bomb)) == "bomb"


def test_a_zip_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    raw = bytearray(zipped(tmp_path / "a.zip", {"a": bytes(2_000_000)}).read_bytes())
    honest = (2_000_000).to_bytes(4, "little")
    for _ in range(raw.count(honest)):
        at = raw.index(honest)
        raw[at : at + 4] = (500).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(raw)
    assert refusal(tmp_path / "a.zip") == "truncated"


def test_archives_in_archives_are_refused(tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip").read_bytes()
    assert refusal(tar(tmp_path / "a.tgz", {"inner.zip": inner})) == "nested_archive"
    inner = tar(tmp_path / "inner.tgz").read_bytes()
    assert refusal(zipped(tmp_path / "a.zip", {"inner": inner})) == "nested_archive"


def test_limits_are_kept(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tgz")
    assert refusal(path, members=2) == "too_large"
    assert refusal(path, bytes=5000) == "too_large"
    assert refusal(path, member_bytes=2000) == "too_large"


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    raw = bytearray(zipped(tmp_path / "a.zip").read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = raw.find(signature)
        while at >= 0:
            raw[at + offset] |= 1
            at = raw.find(signature, at + 1)
    (tmp_path / "a.zip").write_bytes(raw)
    assert refusal(tmp_path / "a.zip") == "encrypted"


def test_nothing_and_nothing_in_it_have_their_names(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert refusal(tmp_path / "empty") == "empty"
    assert refusal(tar(tmp_path / "a.tgz", {})) == "empty"
    assert refusal(zipped(tmp_path / "a.zip", {})) == "empty"
    assert refusal(tmp_path / "nowhere") == "missing"


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_an_archive_that_is_cut_off_is_refused(tmp_path: Path, share: float) -> None:
    files = {f"{n}": os.urandom(9000) for n in range(20)}
    for path in (
        tar(tmp_path / "a.tgz", files),
        tar(tmp_path / "a.tar", files, "w"),
        zipped(tmp_path / "a.zip", files),
    ):
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * share)])
        assert refusal(path) == "truncated", path.name


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_archives_raise_the_projects_own_error_or_read(tmp_path: Path, data: st.DataObject) -> None:
    make = data.draw(st.sampled_from([tar, zipped]))
    raw = bytearray(make(tmp_path / "a").read_bytes())
    for _ in range(data.draw(st.integers(1, 10))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "a").write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
    with suppress(ChordaeError):
        read(tmp_path / "a")


@pytest.mark.parametrize("damage", ["a byte of it", "all behind it", "it and all behind it"])
def test_a_damaged_header_in_the_middle_of_a_tar_is_no_end(tmp_path: Path, damage: str) -> None:
    path = tar(tmp_path / "a.tar", {f"{n}": bytes(1000) for n in range(5)}, "w")
    raw = bytearray(path.read_bytes())
    third = 2 * 1536
    if damage == "a byte of it":
        raw[third + 20] ^= 0xFF
    else:
        raw = raw[: third + (200 if damage == "all behind it" else 0)]
    path.write_bytes(raw)
    assert refusal(path) == "truncated"


def test_bombs_in_headers_are_refused_too(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tgz", "w:gz", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("x" * 20_000_000))
    assert refusal(tmp_path / "a.tgz") == "bomb"
    with tarfile.open(tmp_path / "b.tgz", "w:gz") as archive:
        for number in range(300):
            folder = tarfile.TarInfo(f"{number}")
            folder.type = tarfile.DIRTYPE
            archive.addfile(folder)
    assert refusal(tmp_path / "b.tgz", members=200) == "too_large"


def test_what_a_system_packs_along_is_left_out(tmp_path: Path) -> None:
    files = FILES | {"__MACOSX/a/._one.dcm": b"x", ".DS_Store": b"x", "a/late.dcm.filepart": b"x"}
    assert read(zipped(tmp_path / "a.zip", files)) == FILES
    assert read(tar(tmp_path / "a.tgz", files)) == FILES


def test_a_pipe_is_no_study(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe") == "missing"
