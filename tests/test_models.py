"""What is shipped in `models`: small enough for git, honest about itself, and as good as its card says."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chordae.cohort.record_cases import load_cases_config
from chordae.learning.config import load_config
from chordae.learning.datasets import load_dataset_config
from chordae.learning.diagnosis_evaluation_report import DiagnosisReport, shown
from chordae.learning.mirage import LEAST_COVERAGE, MirageReport
from chordae.learning.results import McqReport
from chordae.platform.calibration import read_calibration
from chordae.platform.diagnosis.temperature import read_temperature
from chordae.platform.weights import identify, read_manifest

ROOT = Path(__file__).parents[1]
SHIPPED = sorted(path.parent for path in (ROOT / "models").glob("*/manifest.json"))
REASONER = ROOT / "models" / "cmr-r-nano"
MODELS = [path for path in SHIPPED if path != REASONER]
BARS = {"ecg": (0.87, 0.80), "echo": (0.75, 0.67), "cmr": (0.88, 0.80)}
"""Multiple-choice accuracy on the frozen test set: sites that training saw, the one that it did not."""

shipped = pytest.mark.parametrize("model", MODELS, ids=lambda path: path.name)
every = pytest.mark.parametrize("model", SHIPPED, ids=lambda path: path.name)


def manifest(model: Path) -> dict[str, Any]:
    return dict(json.loads((model / "manifest.json").read_text()))


def report(model: Path) -> McqReport:
    return McqReport.model_validate_json((model / "evaluation" / "mcq.json").read_text())


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from strings([key, inner])
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def test_an_expert_of_every_modality_is_shipped() -> None:
    assert {manifest(model)["modality"] for model in MODELS} == set(BARS)


@every
def test_the_weights_are_at_most_16_mb(model: Path) -> None:
    assert 0 < sum(path.stat().st_size for path in model.glob("*.safetensors")) <= 16_000_000


@every
def test_the_card_says_not_for_clinical_use(model: Path) -> None:
    assert "not for clinical use" in " ".join((model / "README.md").read_text().lower().split())


@shipped
def test_on_the_frozen_test_set_it_reaches_its_bars(model: Path) -> None:
    lines = {(line.kind, line.name): line for line in report(model).lines}
    seen, unseen = BARS[manifest(model)["modality"]]
    assert lines["sites", "seen sites"].expert.accuracy >= seen
    assert lines["sites", "unseen sites"].expert.accuracy >= unseen


@shipped
def test_words_alone_answer_no_better_than_chance(model: Path) -> None:
    whole = report(model).lines[0]
    assert abs(whole.text_only.accuracy - whole.chance) <= 0.03


@shipped
def test_the_report_is_of_the_frozen_questions(model: Path) -> None:
    frozen = load_dataset_config(ROOT / "configs" / "datasets" / "test.yaml")
    assert frozen.questions is not None
    assert frozen.questions.checksum
    found = report(model)
    assert found.split == "test"
    assert {outcome.site for outcome in found.outcomes} == {one.site for one in frozen.members}
    assert found.lines[0].expert.asked >= 1000


@shipped
def test_the_card_gives_the_reports_figures(model: Path) -> None:
    card = (model / "README.md").read_text()
    for line in report(model).lines:
        if line.kind in ("all", "sites"):
            assert f"{100 * line.expert.accuracy:.1f}" in card, line.name


@every
def test_the_manifest_says_what_made_it_and_names_no_place_on_a_machine(model: Path) -> None:
    told = manifest(model)
    found = re.fullmatch(r"chordae train (?:sft|grpo|ma-grpo) --config (configs/train/\S+)", told["command"])
    assert found
    assert told["lineage"]["config"] == load_config(ROOT / found[1]).digest()
    assert not [text for text in strings(told) if re.search(r"(^|[\s=])(/|~|[A-Za-z]:\\)", text)]
    assert read_manifest(model).modality == told["modality"]


@shipped
def test_the_calibration_was_fitted_to_these_weights_on_a_split_that_is_not_the_test_set(model: Path) -> None:
    found = read_calibration(model, identify(model).digest)
    assert found is not None
    assert found.split == "calibration"
    assert found.coverage >= 0.9


@shipped
def test_with_its_calibration_no_mirage_passes_and_no_other_score_is_better_beyond_chance(model: Path) -> None:
    found = MirageReport.model_validate_json((model / "evaluation" / "mirage.json").read_text())
    fitted = read_calibration(model, identify(model).digest)
    assert fitted is not None
    assert (found.alpha, found.threshold, found.weights) == (fitted.alpha, fitted.threshold, fitted.weights)
    assert found.split == "test"
    assert found.lines[0].after.correct == 0
    assert found.kept.accuracy is not None and found.kept.accuracy >= LEAST_COVERAGE
    assert all(other.behind is not None and other.behind[1] > 0 for other in found.systems[1:])


def diagnoses() -> DiagnosisReport:
    return DiagnosisReport.model_validate_json((REASONER / "evaluation" / "cod.json").read_text())


def test_the_reasoner_reaches_the_published_accuracy_and_area_on_the_frozen_records() -> None:
    found, frozen = diagnoses(), load_cases_config(ROOT / "configs" / "datasets" / "cmr-r-test.yaml")
    assert frozen.checksum and found.split == "cmr-r-test"
    assert found.lines[0].cases == sum(one.patients for one in frozen.members)
    assert found.weights == identify(REASONER).digest
    accuracy, area = found.lines[0].accuracy.value, found.lines[0].auc.value
    assert accuracy is not None and accuracy >= 0.858
    assert area is not None and area >= 0.944


def test_the_reasoner_s_temperature_is_of_these_weights_and_its_card_gives_the_reports_figures() -> None:
    found, fitted = diagnoses(), read_temperature(REASONER, identify(REASONER).digest)
    assert fitted is not None and fitted.split == "cmr-r-dev" and found.temperature == fitted.temperature
    card = (REASONER / "README.md").read_text()
    for line in found.lines:
        assert shown(line.accuracy) in card and shown(line.auc) in card
    real = DiagnosisReport.model_validate_json((REASONER / "evaluation" / "acdc" / "cod.json").read_text())
    assert real.weights == found.weights and real.lines[0].cases == 100
    assert shown(real.lines[0].accuracy) in card
    assert not any(one.written for one in real.outcomes), "what was said of real patients stays where they are"
