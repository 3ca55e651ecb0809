"""`chordae diagnose` and `chordae ask --record`: what a person and a program see, and what nobody sees."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from reasoners import RECORD, UNFAITHFUL, FakeReasonerEngine, ReasonerPlatform, with_reasoner
from typer.testing import CliRunner

from benchmarks.ports import free_port
from chordae.cli import app
from chordae.platform.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, model_dir: Path) -> Settings:
    return with_reasoner(tmp_path, model_dir, gateway={"port": free_port()})


@pytest.fixture
def config(settings: Settings, tmp_path: Path) -> str:
    path = tmp_path / "settings.yaml"
    path.write_text(json.dumps(settings.model_dump(mode="json")))
    return f"--config={path}"


@pytest.fixture
def platform(settings: Settings) -> Iterator[ReasonerPlatform]:
    platform = ReasonerPlatform(settings, FakeReasonerEngine())
    with platform.listening():
        yield platform


@pytest.fixture
def record(tmp_path: Path) -> Path:
    path = tmp_path / "Smith.json"
    path.write_text(json.dumps(RECORD.model_dump(mode="json") | {"patient_key": "Smith-1950"}))
    return path


def chordae(*arguments: str | Path) -> Result:
    return CliRunner(env={"COLUMNS": "100"}).invoke(app, [str(argument) for argument in arguments])


def test_a_person_sees_category_chain_checks_and_probabilities(
    platform: ReasonerPlatform, record: Path, config: str
) -> None:
    shown = chordae("diagnose", record, config)
    assert shown.exit_code == 0, shown.output
    for words in (
        "myocardial infarction, probability 0.",
        "✓ LV EF 40.9 % low",
        "✓ [2] Subendocardial late enhancement, inferior",
        "not calibrated for these weights",
        "hypertrophic cardiomyopathy",
    ):
        assert words in shown.output
    assert "Smith" not in shown.output


def test_a_flagged_chain_is_shown_with_what_is_wrong(platform: ReasonerPlatform, record: Path, config: str) -> None:
    platform.thinker.writes = UNFAITHFUL
    shown = chordae("diagnose", record, config)
    assert "FLAGGED, do not rely on it" in shown.output
    assert "✗ LV EF 20.9 % low" in shown.output


def test_a_program_gets_a_line_of_json_a_record(platform: ReasonerPlatform, record: Path, config: str) -> None:
    shown = chordae("diagnose", record, record, "--json", config)
    assert shown.exit_code == 0, shown.output
    lines = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [line["where"] for line in lines] == ["file 1, record 1", "file 2, record 1"]
    assert {line["category"] for line in lines} == {"myocardial infarction"}
    assert "Smith" not in shown.output


def test_many_rows_are_a_table_and_what_was_noticed_of_a_row_is_told(
    platform: ReasonerPlatform, tmp_path: Path, config: str
) -> None:
    rows = ["patient,LV EF,LV EDV,description"]
    rows += [f"Smith-{row},{40 + row},150,Subendocardial late enhancement" for row in range(5)]
    rows += ["Smith-9,many,150,Subendocardial late enhancement"]
    (tmp_path / "many.csv").write_text("\n".join(rows))
    shown = chordae("diagnose", tmp_path / "many.csv", config)
    assert shown.exit_code == 0, shown.output
    assert "row 6" in shown.output and "6 records, 6 flagged" in shown.output  # the chain is of another record
    as_json = chordae("diagnose", tmp_path / "many.csv", "--json", config)
    last = json.loads(as_json.stdout.splitlines()[-1])
    assert last["problems"][0] == {"kind": "unreadable", "text": "LV EF is not a number and was left out."}
    assert "Smith" not in shown.output + as_json.output


def test_without_a_platform_one_line_says_what_to_do(record: Path, config: str) -> None:
    shown = chordae("diagnose", record, config)
    assert shown.exit_code == 1
    assert "no platform answers" in shown.stderr


def test_offline_without_a_reasoner_is_refused(record: Path, settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    path.write_text(json.dumps(settings.model_copy(update={"reasoner": None}).model_dump(mode="json")))
    shown = chordae("diagnose", record, "--offline", f"--config={path}")
    assert shown.exit_code == 2
    assert "no reasoner" in shown.stderr


def test_a_question_may_come_with_a_record(platform: ReasonerPlatform, record: Path, config: str) -> None:
    shown = chordae("ask", "What is the diagnosis?", "--record", record, config)
    assert shown.exit_code == 0, shown.output
    assert "CMR reasoner" in shown.output and "rests on the CMR record" in shown.output
    as_json = chordae("ask", "What is the diagnosis?", "--record", record, "--json", config)
    assert json.loads(as_json.stdout)["diagnosis"]["category"] == "myocardial infarction"
    assert "Smith" not in shown.output + as_json.output
