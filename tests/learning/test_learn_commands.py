"""`chordae learn offer | feedback | status`: records come in once, without a name, and labels find them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chordae.cli import app
from chordae.learning.loop.place import alone
from chordae.platform.ledger_gate import GateLedger
from chordae.platform.ledger_learning import LearningLedger
from chordae.platform.ledger_trials import TrialAnswer, TrialsLedger
from chordae.platform.settings import load_settings

RECORDS = [
    {
        "parameters": [{"name": "LV EF", "value": 31, "unit": "%", "low": 53, "high": 74}],
        "description": ["Global wall motion abnormality"],
        "patient_key": "Muster, Anna",
    },
    {"parameters": [], "description": [], "patient_key": "Muster, Bert"},
]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "settings.yaml"
    path.write_text(f"data_dir: {tmp_path / 'var'}\nreasoner: {{model: models/cmr-r-nano, port: 8030}}\n")
    return path


def learn(config: Path, *words: str) -> str:
    shown = CliRunner().invoke(app, ["learn", *words, "--config", str(config)], catch_exceptions=False)
    assert shown.exit_code == 0, shown.output
    return shown.output


def test_a_record_is_offered_once_refused_with_its_reason_and_labelled_by_its_id(config: Path, tmp_path: Path) -> None:
    (file := tmp_path / "records.json").write_text(json.dumps(RECORDS))
    said = learn(config, "offer", str(file), "--site", "north")
    assert "1 new, 0 known before, 1 not taken in" in said
    assert "record 2: not taken in" in said
    assert "Muster" not in said
    assert "0 new, 1 known before" in learn(config, "offer", str(file), "--site", "north")
    assert "records waiting: 1 of north" in learn(config, "status")
    record = next(line.split(": ")[1] for line in said.splitlines() if line.startswith("record 1: "))
    assert "dilated cardiomyopathy" in learn(config, "feedback", record, "Dilated cardiomyopathy", "--by", "anna")
    assert "records waiting: none" in learn(config, "status")
    ledger = LearningLedger(load_settings(config).ledger_url)
    ((kept, category),) = ledger.labelled(0)
    assert (kept.id, kept.site, category) == (record, "north", "dilated cardiomyopathy")
    assert "Muster" not in json.dumps(kept.content)
    assert kept.patient is not None


def test_a_label_of_what_has_no_record_is_kept_and_what_it_is_good_for_is_said(config: Path) -> None:
    GateLedger(load_settings(config).ledger_url).keep_diagnosis("d1", {})
    assert "no record of it" in learn(config, "feedback", "d1", "normal")


def test_a_round_that_shall_not_go_on_is_abandoned_with_its_trial(config: Path) -> None:
    settings = load_settings(config)
    ledger, trials = LearningLedger(settings.ledger_url), TrialsLedger(settings.ledger_url)
    begun = ledger.begin_round("cmr-r-nano", 9)
    trials.begin_trial("cmr-r-nano", "2", "a" * 64)
    with alone(settings.data_dir, "cmr-r-nano"):
        shown = CliRunner().invoke(app, ["learn", "abandon", "cmr-r-nano", "--config", str(config)])
        assert shown.exit_code == 1 and "another loop works on a round" in " ".join(shown.stderr.split())
    assert f"round {begun.id}" in learn(config, "abandon", "cmr-r-nano", "--reason", "poisoned")
    assert ledger.open_round("cmr-r-nano") is None and trials.open_trial("cmr-r-nano") is None
    assert str(ledger.rounds("cmr-r-nano")[0].outcome).endswith(": poisoned")
    shown = CliRunner().invoke(app, ["learn", "abandon", "cmr-r-nano", "--config", str(config)])
    assert shown.exit_code == 2 and "no round of cmr-r-nano is open" in shown.stderr


def test_a_trial_under_way_is_told(config: Path) -> None:
    trials = TrialsLedger(load_settings(config).ledger_url)
    trial = trials.begin_trial("cmr-r-nano", "2", "a" * 64)
    assert "version 2 of cmr-r-nano is on trial and waits for its replica" in learn(config, "status")
    trials.move_trial(trial.id, state="serving", share=0.1)
    trials.keep_trial_answer(trial.id, TrialAnswer("r", "champion", {}, {}, 1.0, 1.0))
    said = " ".join(learn(config, "status").split())
    assert "is heard by 10% of the studies: asked unheard 1 times, heard 0 times" in said
    trials.move_trial(trial.id, state="ended")
    assert "on trial" not in learn(config, "status")


def test_feedback_that_cannot_be_used_is_refused_by_name(config: Path) -> None:
    for words, why in ((("x", "a cold"), "none of the categories"), (("unknown", "normal"), "no study or diagnosis")):
        shown = CliRunner().invoke(app, ["learn", "feedback", *words, "--config", str(config)])
        assert shown.exit_code == 2
        assert why in shown.stderr


def test_a_ledger_holds_no_name_of_a_patient(config: Path, tmp_path: Path) -> None:
    (file := tmp_path / "records.json").write_text(json.dumps(RECORDS))
    learn(config, "offer", str(file), "--site", "north")
    for path in (tmp_path / "var").rglob("*"):
        assert not path.is_file() or b"Muster" not in path.read_bytes(), path.name
