"""Patients are told apart without being named: by hashes that need the site's key."""

import hashlib
import hmac
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType

import pytest

from chordae.platform.errors import BadInput, BadSettings, UnreadableRecording
from chordae.preprocessing.dicom import Instance
from chordae.preprocessing.identity import Site, known_site, load_site, patient_and_study


def image(patient: str = "", study: str = "1.2.3") -> Instance:
    identifiers = {"PatientID": (patient,) if patient else (), "StudyInstanceUID": (study,)}
    nothing = MappingProxyType[str, tuple[int, int]]({})
    return Instance("1.2", False, MappingProxyType({}), MappingProxyType(identifiers), b"", None, nothing)


def test_a_pseudonym_is_an_hmac_of_the_identifier() -> None:
    site = Site("north", b"k" * 32)
    expected = hmac.new(b"k" * 32, b"patient\x00" + b"007", hashlib.sha256).hexdigest()[:32]
    assert site.pseudonym("patient", "007") == expected


def test_another_site_another_kind_or_another_patient_cannot_be_linked() -> None:
    one, other = Site("north", b"k" * 32), Site("south", b"j" * 32)
    names = [one.pseudonym("patient", "7"), other.pseudonym("patient", "7"), one.pseudonym("study", "7")]
    assert len({*names, one.pseudonym("patient", "8")}) == 4


def test_a_site_keeps_its_key(tmp_path: Path) -> None:
    first = load_site("north", tmp_path / "sites")
    assert load_site("north", tmp_path / "sites") == first
    assert load_site("south", tmp_path / "sites").key != first.key
    assert (tmp_path / "sites" / "north.key").stat().st_mode & 0o077 == 0
    assert first.key.hex() not in repr(first)


def test_many_processes_that_meet_a_new_site_at_once_agree_on_its_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        keys = {site.key for site in pool.map(lambda _: load_site("north", tmp_path), range(64))}
    assert len(keys) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["north.key"]


@pytest.mark.parametrize("name", ["", "North", "../up", "a b", "x" * 41, "-a"])
def test_a_site_has_a_plain_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput):
        load_site(name, tmp_path)


def test_a_damaged_key_is_never_replaced(tmp_path: Path) -> None:
    load_site("north", tmp_path)
    (tmp_path / "north.key").write_text("oops")
    with pytest.raises(BadSettings):
        load_site("north", tmp_path)


def test_another_node_knows_the_site_by_the_fingerprint_of_its_key(tmp_path: Path) -> None:
    site = load_site("north", tmp_path)
    assert known_site("north", tmp_path, site.fingerprint) == site
    assert site.fingerprint not in site.key.hex()


def test_a_node_without_the_sites_key_or_with_another_is_refused_and_makes_none(tmp_path: Path) -> None:
    site = load_site("north", tmp_path / "here")
    with pytest.raises(BadSettings, match="no key of site north"):
        known_site("north", tmp_path / "there", site.fingerprint)
    assert not (tmp_path / "there").exists()
    load_site("north", tmp_path / "there")
    with pytest.raises(BadSettings, match="another key of site north"):
        known_site("north", tmp_path / "there", site.fingerprint)


def test_one_patient_one_study() -> None:
    assert patient_and_study([image("7"), image("7 "), image()]) == ("7", "1.2.3")
    assert patient_and_study([image("", "1.9"), image("", "1.2")]) == ("", "1.2\\1.9")


def test_several_patients_in_one_study_are_refused_without_naming_them() -> None:
    with pytest.raises(UnreadableRecording) as refused:
        patient_and_study([image("Doe"), image("Roe")])
    assert refused.value.reason == "mixed_patients"
    assert "oe" not in str(refused.value)


def named(name: str) -> Instance:
    identifiers = {"PatientName": (name,), "StudyInstanceUID": ("1.2.3",)}
    nothing = MappingProxyType[str, tuple[int, int]]({})
    return Instance("1.2", False, MappingProxyType({}), MappingProxyType(identifiers), b"", None, nothing)


def test_patients_without_a_number_are_told_apart_by_name() -> None:
    assert patient_and_study([named("Doe"), named("Doe")])[0] == "Doe"
    with pytest.raises(UnreadableRecording) as refused:
        patient_and_study([named("Doe"), named("Roe")])
    assert refused.value.reason == "mixed_patients"
