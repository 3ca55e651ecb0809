"""`chordae cohort make`: a site's patients as files; the same ones every time, whole or not there."""

import hashlib
import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from chordae.cli import app
from chordae.cohort.make import TRUTH, VIEWS, make_cohort, make_patient, patient_directory
from chordae.cohort.record import Record
from chordae.cohort.sites import load_site
from chordae.cohort.truth import Truth
from chordae.platform.errors import BadInput

FILES = {"cmr.tgz", "echo.tgz", VIEWS, "record.json", "report.txt", TRUTH}


def digests(directory: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.iterdir()}


def chordae(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("site", "ecg"), [("university", "ecg.xml"), ("heart-centre", "ecg.dcm"), ("registry", "ecg.npy")]
)
def test_a_patient_is_every_file_of_the_site_and_the_same_bytes_again(tmp_path: Path, site: str, ecg: str) -> None:
    for name in ("one", "two"):
        make_patient(load_site(site), 4, 2, tmp_path / name, ("ecg", "echo", "cmr"))
    first, second = (patient_directory(tmp_path / name, 2) for name in ("one", "two"))
    assert {path.name for path in first.iterdir()} == FILES | {ecg}
    assert digests(first) == digests(second)


@pytest.mark.slow
def test_an_ecg_does_not_depend_on_which_other_studies_are_made(tmp_path: Path) -> None:
    make_patient(load_site("registry"), 4, 2, tmp_path / "alone", ("ecg",))
    make_patient(load_site("registry"), 4, 2, tmp_path / "all", ("ecg", "cmr"))
    alone, together = (digests(patient_directory(tmp_path / name, 2)) for name in ("alone", "all"))
    assert alone["ecg.npy"] == together["ecg.npy"]
    assert alone[TRUTH] == together[TRUTH]


@pytest.mark.slow
def test_a_stopped_run_goes_on_and_makes_only_what_is_not_whole(tmp_path: Path) -> None:
    site = load_site("registry")
    make_cohort(site, 3, 4, tmp_path, only=("ecg",))
    before = {number: digests(patient_directory(tmp_path, number)) for number in (1, 2, 3)}
    (patient_directory(tmp_path, 2) / TRUTH).unlink()  # what a killed run leaves: files without the last one
    kept = (patient_directory(tmp_path, 1) / "ecg.npy").stat().st_mtime_ns
    heard: list[int] = []
    make_cohort(site, 3, 4, tmp_path, only=("ecg",), tell=heard.append)
    assert heard == [2, 3]
    assert {number: digests(patient_directory(tmp_path, number)) for number in (1, 2, 3)} == before
    assert (patient_directory(tmp_path, 1) / "ecg.npy").stat().st_mtime_ns == kept
    with pytest.raises(BadInput, match="holds another cohort"):
        make_cohort(site, 3, 5, tmp_path, only=("ecg",))


@pytest.mark.slow
def test_the_command_writes_patients_whose_record_and_truth_agree(tmp_path: Path) -> None:
    shown = chordae("cohort", "make", "--patients", 1, "--seed", 7, "--site", "regional", "-o", tmp_path / "c")
    assert shown.exit_code == 0, shown.output
    directory = patient_directory(tmp_path / "c", 1)
    truth = Truth.model_validate_json((directory / TRUTH).read_text())
    record = Record.model_validate_json((directory / "record.json").read_text())
    assert record.category == truth.category
    assert json.loads((tmp_path / "c" / "cohort.json").read_text())["patients"] == 1
    assert "SIMULATED" not in (directory / "report.txt").read_text()  # identifiers stay in the files that carry them


def test_an_unknown_site_is_one_line(tmp_path: Path) -> None:
    shown = chordae("cohort", "make", "--patients", 1, "--site", "atlantis", "-o", tmp_path / "c")
    assert shown.exit_code == 2
    assert "atlantis" in shown.stderr
