"""`chordae evaluate cod`: whom it asks, what it counts, what it writes."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reasoning import made_up_cases, make_case_dataset, make_guesser
from typer.testing import CliRunner

from chordae.cli import app
from chordae.cohort.dataset import write_rows
from chordae.cohort.record_cases import CASES, Case, read_cases
from chordae.learning import diagnosis_evaluation
from chordae.learning.diagnosis_evaluation import answers_of, diagnose_all, evaluate_diagnoses, judged, outcome, rarest
from chordae.learning.diagnosis_evaluation_report import DiagnosisOutcome, read, tables
from chordae.learning.diagnosis_evaluation_scores import NONE
from chordae.platform.diagnosis.category import CATEGORIES
from chordae.platform.diagnosis.chain import write_chain
from chordae.platform.diagnosis.check import check
from chordae.platform.diagnosis.diagnosis import Diagnosis
from chordae.platform.diagnosis.parsing import parse
from chordae.platform.diagnosis.temperature import Temperature, write_temperature
from chordae.platform.errors import BadInput
from chordae.platform.noun import Provenance, WeightsVersion
from chordae.platform.settings import EngineSettings, ExpertSettings
from chordae.platform.weights import MANIFEST, identify

WEIGHTS = WeightsVersion(name="cmr-r-nano", version="1", digest="d")
PROVENANCE = Provenance(request_id="1", weights=(WEIGHTS,), media=(), settings_digest="")
SETTINGS = EngineSettings(
    dtype="float32", enforce_eager=True, max_model_len=1024, max_num_seqs=16, block_size=32, kv_cache_bytes=2**26
)


class Oracle:
    """Says what is true, faithfully, of every case but the tenth, of which it says nothing."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self.cases = {f"{case.site} {case.patient}": case for case in cases}

    async def diagnose(self, record: Any, language: str, request_id: str, noticed: Any = ()) -> Diagnosis:
        case = self.cases[request_id]
        silent = list(self.cases).index(request_id) % 10 == 9
        told: dict[str, Any] = {"language": "en", "record": "r", "weights": WEIGHTS, "provenance": PROVENANCE}
        if silent:
            return Diagnosis(category=None, reason="no answer", flagged=True, why=("no answer",), **told)
        names = [one.name for one in record.parameters if one.flag is not None][:1]
        written = write_chain(record, case.category, names, [1], [*names, 1])
        chain = parse(written)
        shares = {name: 0.93 if name == case.category else 0.01 for name in CATEGORIES}
        found = check(chain, record)
        return Diagnosis(
            category=chain.category, probabilities=shares, written=written, chain=chain, check=found,
            flagged=not found.faithful, why=found.problems, **told,
        )  # fmt: skip


@pytest.fixture
def datasets(tmp_path: Path) -> Path:
    root = tmp_path / "datasets"
    make_case_dataset(root / "train", 80, 1)
    (root / "test").mkdir()
    test = made_up_cases(60, 2)
    moved = [
        case.model_copy(update={"site": "elsewhere"}) if place % 3 == 0 else case for place, case in enumerate(test)
    ]
    write_rows(root / "test" / CASES, moved)
    return root


@pytest.fixture
def checkpoint(datasets: Path, tmp_path: Path) -> Path:
    """One whose manifest says what it was trained on."""
    directory = make_guesser(tmp_path / "guesser", read_cases(datasets / "train"), steps=1)
    lineage = {"datasets": {"var/datasets/train": "sum"}}
    manifest = {"name": "cmr-r-nano", "version": "1", "kind": "reasoner", "modality": None, "lineage": lineage}
    (directory / MANIFEST).write_text(json.dumps(manifest))
    return directory


@pytest.fixture
def oracle(monkeypatch: pytest.MonkeyPatch) -> None:
    def diagnosed(checkpoint: Path, settings: Any, cases: Sequence[Case], *rest: Any) -> list[DiagnosisOutcome]:
        return asyncio.run(diagnose_all(Oracle(cases), cases, "en"))  # type: ignore[arg-type]

    monkeypatch.setattr(diagnosis_evaluation, "diagnosed", diagnosed)


def settings_of(checkpoint: Path) -> ExpertSettings:
    return ExpertSettings(model=str(checkpoint), port=8030, max_answer_tokens=128, engine=SETTINGS)


def test_the_report_counts_who_said_nothing_as_wrong_and_is_read_back(
    datasets: Path, checkpoint: Path, oracle: None, tmp_path: Path
) -> None:
    report = evaluate_diagnoses(settings_of(checkpoint), datasets, "test", tmp_path / "out")
    whole, seen, unseen = report.lines
    assert (whole.cases, seen.cases, unseen.cases) == (60, 40, 20)
    assert whole.accuracy.value == whole.faithful.value == pytest.approx(0.9)
    assert whole.unanswered.value == pytest.approx(0.1)
    assert whole.calibration_error.value == pytest.approx(0.07, abs=1e-9), "always right, said with 0.93"
    assert whole.calibrated_error.value is None and report.temperature is None
    assert np.array(report.confusion)[:, NONE].sum() == 6 and np.trace(np.array(report.confusion)) == 54
    assert report.floors[0].name == "majority" and len(report.floors) == 4
    assert read(tmp_path / "out" / "cod.json") == report
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "cod.json", "cod_confusion.png", "cod_reliability.png"
    }  # fmt: skip
    assert "demonstrator" in str(tables(report)[0].title)


def test_a_stored_temperature_is_used_if_it_is_of_these_weights(
    datasets: Path, checkpoint: Path, oracle: None, tmp_path: Path
) -> None:
    for digest, used in ((identify(checkpoint).digest, True), ("another", False)):
        told = Temperature(
            temperature=0.5, weights=digest, split="dev", records="r", n=9, nll=(1, 1), ece=(0, 0), date="2026-11-22"
        )
        write_temperature(checkpoint, told)
        report = evaluate_diagnoses(settings_of(checkpoint), datasets, "test", tmp_path / "out", most=30)
        assert (report.temperature == 0.5) is used and report.lines[0].cases == 30
        if used:
            colder, warmer = report.lines[0].calibrated_error.value, report.lines[0].calibration_error.value
            assert colder is not None and warmer is not None and colder < warmer


def test_patients_that_training_saw_are_refused(datasets: Path, checkpoint: Path, oracle: None, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="trained on"):
        evaluate_diagnoses(settings_of(checkpoint), datasets, "train", tmp_path)
    (checkpoint / MANIFEST).unlink()
    with pytest.raises(BadInput, match="does not say"):
        evaluate_diagnoses(settings_of(checkpoint), datasets, "test", tmp_path)


def test_the_rarest_are_those_of_training() -> None:
    cases = made_up_cases(80, 3)
    normal = [case for case in cases if case.category == "normal"]
    few = [case for case in cases if case.category != "normal"] + normal[:1]
    assert rarest(few)[0] == "normal" and len(rarest(few)) == 3


def test_a_wrong_citation_makes_a_chain_unfaithful_and_leaves_the_category() -> None:
    case = made_up_cases(1, 4)[0]
    said = asyncio.run(Oracle([case]).diagnose(case.record, "en", f"{case.site} {case.patient}"))
    assert said.check is not None
    lied = said.model_copy(update={"check": said.check.model_copy(update={"faithful": False})})
    outcomes = [outcome(case, said), outcome(case, lied)]
    line = judged(outcomes, ["normal"], set(), None)[0]
    assert (line.accuracy.value, line.faithful.value) == (1.0, 0.5)
    assert answers_of(outcomes).probabilities[0, CATEGORIES.index(case.category)] == pytest.approx(0.93)


def test_the_command_prints_figures_floors_and_recall(
    datasets: Path, checkpoint: Path, oracle: None, tmp_path: Path
) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text(json.dumps({"reasoner": settings_of(checkpoint).model_dump(mode="json")}))
    arguments = ["evaluate", "cod", "--config", str(config), "--datasets", str(datasets), "--split", "test"]
    for model in ("reasoner", str(checkpoint)):
        told = [*arguments, "--model", model, "-o", str(tmp_path / "out")]
        result = CliRunner(env={"COLUMNS": "160"}).invoke(app, told)
        assert result.exit_code == 0, result.output
        assert "90.0" in result.output and "majority" in result.output and "amyloidosis" in result.output


@pytest.mark.engine
def test_a_real_engine_is_asked_and_gives_probabilities(datasets: Path, tmp_path: Path) -> None:
    guesser = make_guesser(tmp_path / "guesser", read_cases(datasets / "train"))
    cases = read_cases(datasets / "test")[:8]
    outcomes = diagnosis_evaluation.diagnosed(guesser, settings_of(guesser), cases, "en", lambda stage: None)
    answered = [one for one in outcomes if one.category is not None]
    assert answered and not any(one.faithful for one in outcomes), "it answers without a thought"
    assert all(sum(one.probabilities) == pytest.approx(1) for one in answered)
