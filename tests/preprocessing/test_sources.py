"""What one study is below a folder, and when it is another one."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest

from chordae.platform.errors import BadInput
from chordae.preprocessing import dicom
from chordae.preprocessing.identity import Site
from chordae.preprocessing.sources import Finder, Quiet, Source

SITE = Site("one", b"k" * 32)

Put = Callable[..., Path]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    def put(name: str, content: bytes = b"x") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return put


@pytest.fixture(scope="module")
def echo() -> bytes:
    return dicom.bundled_echo().read_bytes()


def image(path: Path, study: str, series: str) -> None:
    """An echo image that says which study and series it belongs to."""
    data = pydicom.dcmread(dicom.bundled_echo())
    data.StudyInstanceUID, data.SeriesInstanceUID = study, series
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path)


def names(folder: Path, *paths: Path) -> list[str]:
    return [str(one.path.relative_to(folder)) for one in Finder().find(paths or [folder])]


def study_id(source: Source) -> str:
    return source.offer(SITE).id


def test_every_ecg_of_a_folder_is_a_study(tmp_path: Path, put: Put, bundled_ecg: Path) -> None:
    put("a.npy")
    put("b/c.xml")
    shutil.copy(bundled_ecg, tmp_path / "b/d.dcm")
    shutil.copy(bundled_ecg, tmp_path / "b/e")
    assert names(tmp_path) == ["a.npy", "b/c.xml", "b/d.dcm", "b/e"]


def test_an_archive_is_a_study_and_so_is_what_nobody_can_read(tmp_path: Path, put: Put) -> None:
    put("a.zip", b"PK\x03\x04")
    put("b.tgz", b"\x1f\x8b")
    put("letter.pdf")
    put("empty.npy", b"")
    assert names(tmp_path) == ["a.zip", "b.tgz", "empty.npy", "letter.pdf"]


def test_a_folder_with_dicom_images_is_one_study_with_all_below(tmp_path: Path, put: Put, echo: bytes) -> None:
    put("s/1.dcm", echo)
    put("s/2", echo)
    put("s/report.pdf")
    put("s/more/3.dcm", echo)
    put("t/1.dcm", echo)
    assert names(tmp_path) == ["s", "t"]


def test_single_file_studies_in_a_landing_folder_do_not_swallow_the_others(tmp_path: Path, put: Put) -> None:
    image(tmp_path / "p1" / "1.dcm", "1.2.3", "1.2.3.1")
    image(tmp_path / "p1" / "2.dcm", "1.2.3", "1.2.3.1")
    image(tmp_path / "p2" / "1.dcm", "1.2.4", "1.2.4.1")
    image(tmp_path / "stray.dcm", "1.2.5", "1.2.5.1")
    assert names(tmp_path) == ["stray.dcm", "p1", "p2"]
    image(tmp_path / "another.dcm", "1.2.6", "1.2.6.1")
    put("ecg.npy")
    assert names(tmp_path) == ["another.dcm", "ecg.npy", "stray.dcm", "p1", "p2"]


def test_one_echo_file_beside_an_ecg_are_two_studies(tmp_path: Path, put: Put, echo: bytes) -> None:
    put("echo.dcm", echo)
    put("ecg.npy")
    assert names(tmp_path) == ["ecg.npy", "echo.dcm"]


def test_the_series_of_one_study_in_sub_folders_are_one_study(tmp_path: Path) -> None:
    for series in ("1", "2"):
        image(tmp_path / "landing" / "a" / f"series {series}" / "1.dcm", "1.2.3", f"1.2.3.{series}")
        image(tmp_path / "landing" / "b" / series / "1.dcm", "1.2.4", f"1.2.4.{series}")
    assert names(tmp_path) == ["landing/a", "landing/b"]


def test_copies_of_a_study_in_two_folders_are_two(tmp_path: Path) -> None:
    image(tmp_path / "x" / "1.dcm", "1.2.3", "1.2.3.1")
    image(tmp_path / "y" / "1.dcm", "1.2.3", "1.2.3.1")
    assert names(tmp_path) == ["x", "y"]


def test_series_beside_an_ecg_stay_apart_so_that_the_ecg_is_not_overlooked(tmp_path: Path, put: Put) -> None:
    image(tmp_path / "s" / "1" / "1.dcm", "1.2.3", "1.2.3.1")
    image(tmp_path / "s" / "2" / "1.dcm", "1.2.3", "1.2.3.2")
    put("s/ecg.npy")
    assert names(tmp_path) == ["s/ecg.npy", "s/1", "s/2"]


def test_a_wfdb_record_is_one_study_with_all_its_signal_files(tmp_path: Path, put: Put) -> None:
    put("r.hea", b"r 15 1000\nr.dat 16 2000\nr.xyz 16 2000\nother.bin 16 200\n# age: 81\n")
    for ending in ("dat", "xyz", "mat"):
        put(f"r.{ending}")
    put("other.bin")
    put("alone.dat")
    assert names(tmp_path) == ["alone.dat", "r.hea"]
    assert names(tmp_path, tmp_path / "r.dat") == ["r.hea"]


def test_hidden_and_unfinished_files_and_links_are_no_studies(tmp_path: Path, put: Put) -> None:
    for name in (".a.npy", "b.npy.part", "c.tmp", ".d/e.npy", "f.npy"):
        put(name)
    (tmp_path / "link.npy").symlink_to(tmp_path / "f.npy")
    assert names(tmp_path) == ["f.npy"]


def test_paths_that_overlap_give_each_study_once(tmp_path: Path, put: Put) -> None:
    put("a/b.npy")
    assert names(tmp_path, tmp_path, tmp_path / "a", tmp_path / "a/b.npy") == ["a/b.npy"]


def test_a_path_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no file or folder"):
        names(tmp_path, tmp_path / "nowhere")


def test_a_name_that_cannot_be_looked_at_is_refused_in_one_line(
    tmp_path: Path, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadInput, match="name too long"):
        names(tmp_path, tmp_path / ("x" * 300))
    (tmp_path / "there").symlink_to(tmp_path / "back")
    (tmp_path / "back").symlink_to(tmp_path / "there")
    with pytest.raises(BadInput, match="circles"):
        names(tmp_path, tmp_path / "there")
    closed, stat = put("closed/a.npy"), Path.stat

    def refused(path: Path, **how: bool) -> os.stat_result:
        if path == closed:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return stat(path, **how)

    monkeypatch.setattr(Path, "stat", refused)
    with pytest.raises(BadInput, match="Permission denied"):
        names(tmp_path, closed)


def test_a_file_is_found_where_its_folder_must_not_be_listed(
    tmp_path: Path, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(folder: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(folder))

    file = put("closed/a.npy")
    monkeypatch.setattr(os, "scandir", refused)
    assert names(tmp_path, file) == ["closed/a.npy"]


def test_folders_in_folders_beyond_reason_are_one_study_and_the_others_are_found(tmp_path: Path, put: Put) -> None:
    put(f"deep/{'d/' * 600}a.npy")
    put("z.npy")
    deep, z = sorted(names(tmp_path), key=len, reverse=True)
    assert z == "z.npy"
    assert set(Path(deep).parts) == {"deep", "d"}


def test_files_that_are_named_one_by_one_have_their_folder_listed_once(
    tmp_path: Path, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, listed, scandir = [put(f"{number:02}.npy") for number in range(30)], [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: listed.append(folder) or scandir(folder))
    assert names(tmp_path, *files) == [file.name for file in files]
    assert listed == [tmp_path]


# The same study


def test_a_study_that_stays_as_it_is_stays_the_same(tmp_path: Path, put: Put) -> None:
    put("a.npy")
    (first,), (again,) = Finder().find([tmp_path]), Finder().find([tmp_path / "a.npy"])
    assert first == again
    assert study_id(first) == study_id(again)


@pytest.mark.parametrize("change", ["content", "same size and time", "one more", "one less", "touched"])
def test_any_change_of_its_files_makes_it_another_study_of_the_same_source(
    tmp_path: Path, put: Put, echo: bytes, change: str
) -> None:
    for number in (1, 2):
        put(f"s/{number}.dcm", echo)
    (before,) = Finder().find([tmp_path])
    file = tmp_path / "s" / "2.dcm"
    if change == "content":
        put("s/2.dcm", echo + b"\0")
    elif change == "same size and time":
        times = (file.stat().st_atime_ns, file.stat().st_mtime_ns)
        put("s/2.dcm", echo[:-1] + b"x")
        os.utime(file, ns=times)
    elif change == "one more":
        put("s/3.dcm", echo)
    elif change == "one less":
        file.unlink()
    else:
        os.utime(file, (1, 1))
    (after,) = Finder().find([tmp_path])
    assert study_id(after) != study_id(before)
    assert after.offer(SITE).source == before.offer(SITE).source


def test_nothing_of_the_path_can_be_told_without_the_sites_key(tmp_path: Path, put: Put) -> None:
    put("Doe^Jane/1.npy")
    (source,) = Finder().find([tmp_path])
    offer = source.offer(SITE)
    assert "Doe" not in repr(source) + repr(offer)
    assert source.offer(Site("one", b"z" * 32)).id != offer.id


# Arriving


def test_a_study_is_complete_when_it_has_not_changed_for_the_quiet_period(tmp_path: Path, put: Put) -> None:
    quiet, finder = Quiet(10), Finder()
    path = put("a.npy")
    os.utime(path, (1, 1))  # a copied file may say that it is old

    def complete(now: float) -> list[str]:
        return [one.path.name for one in quiet.complete(finder.find([tmp_path]), now)]

    assert complete(0) == []
    assert complete(9) == []
    put("a.npy", b"more")
    assert complete(11) == []
    assert complete(20) == []
    assert complete(21) == ["a.npy"]


def test_an_unfinished_file_in_its_folder_keeps_a_study_waiting(tmp_path: Path, put: Put, echo: bytes) -> None:
    quiet, finder = Quiet(10), Finder()
    put("s/1.dcm", echo)

    def complete(now: float) -> list[str]:
        return [one.path.name for one in quiet.complete(finder.find([tmp_path]), now)]

    assert complete(0) == []
    put("s/2.dcm.part", b"1")
    assert complete(10) == []
    put("s/2.dcm.part", b"12")
    assert complete(20) == []
    assert complete(30) == ["s"]
