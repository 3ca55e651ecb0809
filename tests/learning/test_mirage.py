"""The mirage benchmark: each kind of expert gets the verdict it deserves, and tables, JSON and plots say the same."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fakes import embed_words
from probing_experts import Dreaming, Fake, Hallucinating, Honest, Wavering, make_split, scored, serve, three_ways
from rich.console import Console
from typer.testing import CliRunner

from chordae.cli import app
from chordae.cohort.dataset import QUESTIONS, SAMPLES, Item, Sample, read_rows
from chordae.learning.evaluate_served import Split
from chordae.learning.mirage import MirageReport, benchmark, mirage_served
from chordae.learning.mirage_report import reliability_plot, risk_coverage_plot, tables, write
from chordae.learning.probe_scores import Scored, jaccard, public_score, score_rows
from chordae.learning.probed_answers import conditions_of, probe
from chordae.learning.results import DEMONSTRATOR
from chordae.learning.risk_coverage import area
from chordae.learning.shown_media import CONDITIONS, ShownMedia
from chordae.platform import embedding
from chordae.platform.calibration import Calibration, write_calibration
from chordae.platform.errors import BadInput
from chordae.platform.probing import confidence
from chordae.platform.schemas import Gate, WeightsVersion
from chordae.platform.settings import ExpertSettings, OrchestratorSettings, Settings
from chordae.platform.weights import identify

WEIGHTS = WeightsVersion(name="ecg-nano", version="1", digest="d" * 64)
DEFAULT = OrchestratorSettings()


def report(rows: Sequence[Scored], alpha: float = 0.3, threshold: float = 0.5) -> MirageReport:
    return benchmark(rows, WEIGHTS, "test", alpha, threshold, calibrated=True)


@pytest.fixture
def datasets(tmp_path: Path) -> Path:
    return make_split(tmp_path / "datasets", "calibration")


@pytest.fixture
def items(datasets: Path) -> list[Item]:
    return read_rows(datasets / "calibration" / QUESTIONS, Item)


@pytest.fixture
def run(model_dir: Path, datasets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The whole benchmark of a fake expert under the default alpha and threshold."""

    def judged(expert: Fake, default: OrchestratorSettings = DEFAULT, split: str = "calibration") -> MirageReport:
        serve(expert, monkeypatch)
        settings = ExpertSettings(model=str(model_dir), port=1)
        wanted = Split(datasets, split)
        return mirage_served(settings, default, "ecg", wanted, tmp_path / "out", three_ways, embed_words)

    return judged


def test_an_expert_that_says_the_same_whatever_it_sees_dreams_and_all_of_it_is_flagged(
    run: Any, items: list[Item]
) -> None:
    found: MirageReport = run(Hallucinating(items))
    everything = found.lines[0]
    assert everything.before.accuracy == 1.0
    assert everything.after.correct == 0
    assert found.lines[1].condition == "present"
    assert found.kept.accuracy == 0.0, "what is right by accident was not read off the picture either"
    assert not found.reached["coverage of the correct answers >= 0.90"]


def test_an_honest_expert_has_no_mirage_and_keeps_its_answers(run: Any, items: list[Item]) -> None:
    found: MirageReport = run(Honest(items))
    assert (found.lines[0].before.correct, found.lines[0].positives.correct) == (0, 0)
    assert found.kept.accuracy == 1.0
    assert found.kept.asked == len(items)
    present, *others = found.lines[1:]
    assert present.claimed.accuracy == 1.0
    assert all(line.claimed.accuracy == 0.0 for line in others)
    assert not found.best_area, "no system has anything to tell apart: all areas are 0"


def test_a_wavering_expert_is_flagged_where_it_wavers(run: Any, items: list[Item]) -> None:
    found: MirageReport = run(Wavering(items), OrchestratorSettings(alpha=1.0, threshold=0.9))
    assert (found.kept.accuracy, found.kept_wrong.accuracy) == (0.0, 0.0)


def test_an_expert_that_dreams_of_one_topic_is_told_from_its_own_readings(run: Any, items: list[Item]) -> None:
    found: MirageReport = run(Dreaming(items, {"conduction"}))
    assert 0 < (found.lines[0].before.accuracy or 0) < 1
    assert found.lines[0].after.correct == 0
    assert found.kept.accuracy == 1.0
    ours, none, agreement, _ = found.systems
    assert ours.area < min(none.area, agreement.area)
    assert (ours.reach, none.reach, agreement.reach) == (1.0, 0.0, 0.0)


def test_every_condition_is_asked_and_counted_by_itself(run: Any, items: list[Item]) -> None:
    found: MirageReport = run(Honest(items))
    assert [line.condition for line in found.lines] == [None, *CONDITIONS]
    negative = sum(item.negative and item.topic != "rate" for item in items)
    assert [line.asked for line in found.lines] == [5 * negative, *[negative] * 5]


def test_rates_and_intervals_are_over_questions_and_patients() -> None:
    rows = [scored(1, 0.9, kind="mirage", patient=f"p{number}") for number in range(4)]
    rows += [scored(1, 0.0, kind="mirage", patient=f"p{number}") for number in range(4, 12)]
    rows += [scored(1, 0.9, negative=True, patient=f"q{number}") for number in range(28)]
    everything = report(rows).lines[0]
    assert everything.before.accuracy == pytest.approx(12 / 40)
    assert everything.after.accuracy == pytest.approx(4 / 40)
    low, high = everything.after.interval or (0.0, 0.0)
    assert low < 0.1 < high


def test_the_areas_are_those_of_the_same_answers_and_ours_must_be_the_smallest() -> None:
    rng = np.random.default_rng(2)
    rows = [scored(1.0, 0.8 + 0.01 * rng.random(), patient=f"p{n}", public=rng.random()) for n in range(30)]
    rows += [scored(1.0, 0.3, patient=f"w{n}", kind="wrong", public=rng.random()) for n in range(10)]
    rows.append(scored(1.0, 0.0, kind="mirage"))
    found = report(rows)
    wrong = np.array([not one.correct for one in rows], dtype=float)
    assert [line.name for line in found.systems] == ["chordae", "no gating", "agreement alone", "public code (Jaccard)"]
    assert found.systems[0].area == pytest.approx(area(np.array([one.confidence(0.3) for one in rows]), wrong))
    for other in found.systems[1:3]:
        assert other.area == pytest.approx(11 / 41)
        assert other.behind is not None and other.behind[0] > 0
    assert found.systems[0].behind is None
    assert found.best_area
    assert all(found.reached.values())
    assert not report([one.model_copy(update={"image_delta": 0.5}) for one in rows]).best_area


def test_answers_that_decline_are_in_no_area() -> None:
    rows = [scored(1, 0.9), scored(1, 0.1, kind="wrong"), scored(1, 0.0, kind="mirage")]
    declined = [scored(1, 1.0, claimed=False, correct=False, negative=True)] * 50
    assert report([*rows, *declined]).systems == report(rows).systems


def test_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(BadInput, match="negative truth"):
        report([scored(1, 0.9)])
    with pytest.raises(BadInput, match="claims anything"):
        report([scored(1, 0.9, claimed=False, negative=True)])


def test_scores_are_those_that_the_orchestrator_serves_with(
    datasets: Path,
    items: list[Item],
    tmp_path: Path,
) -> None:
    root = datasets / "calibration"
    media = ShownMedia(root, read_rows(root / SAMPLES, Sample), tmp_path)
    rows = probe(conditions_of(items)[:20], media, Wavering(items).generate, three_ways, tmp_path / "a.json")
    for row, one in zip(rows, score_rows(rows, embed_words), strict=True):
        gate = Gate(alpha=0.35, threshold=0.6)
        served = confidence(row.item.question, row.answer, row.rephrased, row.without, embed_words, gate)
        assert one.confidence(0.35) == pytest.approx(served.value)


def test_the_public_codes_score_of_a_worked_example() -> None:
    assert jaccard("Left bundle, branch block", "right bundle branch block") == pytest.approx(3 / 5)
    assert (jaccard("", ""), jaccard("a", "")) == (1.0, 0.0)
    # three pairs agree fully, three share 1 of 3 words; with and without the picture nothing is shared
    assert public_score("a b", ("a b", "a b", "a c"), "x") == pytest.approx(0.5 * (3 + 3 / 3) / 6 + 0.5)
    assert public_score("a b", ("a b",) * 3, "a b") == pytest.approx(0.5)


def test_a_calibration_of_these_weights_is_used_and_one_of_others_is_not(
    run: Any, items: list[Item], model_dir: Path
) -> None:
    fitted = Calibration(
        alpha=0.2,
        threshold=0.45,
        weights=identify(model_dir).digest,
        split="elsewhere",
        questions="q",
        n=1,
        correct=1,
        coverage=1,
        coverage_interval=(0.9, 1),
        negatives=1,
        patients=1,
        mirages=0,
        mirage_bound=0.9,
        date="2026-11-22",
    )
    write_calibration(model_dir, fitted)
    found = run(Honest(items))
    assert (found.alpha, found.threshold, found.calibrated) == (0.2, 0.45, True)
    write_calibration(model_dir, fitted.model_copy(update={"weights": "another"}))
    found = run(Honest(items))
    assert (found.alpha, found.threshold, found.calibrated) == (DEFAULT.alpha, DEFAULT.threshold, False)
    write_calibration(model_dir, fitted.model_copy(update={"split": "calibration"}))
    expert = Honest(items)
    with pytest.raises(BadInput, match="was calibrated on 'calibration'"):
        run(expert)
    assert not expert.asked


def shown(found: MirageReport) -> str:
    console = Console(width=180, record=True, file=io.StringIO())
    console.print(*tables(found))
    return console.export_text()


def test_table_json_and_plots_are_of_the_same_report_and_mark_demonstrators(tmp_path: Path) -> None:
    rows = [scored(1.0, 0.8, patient=f"p{n}") for n in range(9)]
    rows += [scored(1.0, 0.05, kind="mirage", patient="m"), scored(0.6, 0.6, kind="wrong", patient="w")]
    found = report(rows)
    assert DEMONSTRATOR in shown(found)
    assert "not calibrated" not in shown(found)
    uncalibrated = found.model_copy(update={"calibrated": False, "model": "MARCUS-ECG"})
    assert "not calibrated" in shown(uncalibrated)
    assert "demonstrator" not in shown(uncalibrated)
    path, *pictures = write(found, tmp_path / "run")
    content = json.loads(path.read_text())
    assert MirageReport.model_validate(content) == found
    assert (content["note"], content["reached"]) == (DEMONSTRATOR, found.reached)
    assert len(pictures) == 3
    for picture in pictures:
        assert cv2.imread(str(picture)).std() > 5


def test_plots_draw_the_curves_and_shares_that_they_name() -> None:
    rows = [scored(1.0, 0.8, patient=f"p{n}") for n in range(9)] + [scored(0.1, 0.1, kind="wrong")]
    lines = risk_coverage_plot(rows, 0.3).axes[0].get_lines()
    assert len(lines) == 4
    ours = np.asarray(lines[0].get_ydata())
    assert ours[8] == 0.0 and ours[9] == pytest.approx(0.1)
    np.testing.assert_allclose(np.asarray(lines[1].get_ydata()), 0.1)
    shares = reliability_plot(rows, 0.3, 0.5).axes[0].get_lines()[0]
    assert list(np.asarray(shares.get_ydata())) == [0.0, 1.0]


@pytest.mark.parametrize("command", [("calibrate",), ("evaluate", "mirage")])
def test_what_a_person_types_reaches_the_expert(
    command: tuple[str, ...],
    settings: Settings,
    model_dir: Path,
    datasets: Path,
    items: list[Item],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Framed(Honest):
        """The command's rephrasings hold the question word for word."""

        def _item(self, text: str) -> tuple[int, Item]:
            return 0, self.items[max((question for question in self.items if question in text), key=len)]

    serve(Framed(items), monkeypatch)
    monkeypatch.setattr(embedding, "load_embedding", lambda: embed_words)
    (tmp_path / "settings.yaml").write_text(json.dumps(settings.model_dump(mode="json")))
    arguments = ["--model", "ecg", "--split", "calibration", "--datasets", datasets, "-o", tmp_path / "out"]
    result = CliRunner(env={"COLUMNS": "160"}).invoke(
        app, [*command, *map(str, arguments), "--config", str(tmp_path / "settings.yaml")]
    )
    assert result.exit_code == 0, result.output
    assert (model_dir / "calibration.json").is_file() == (command == ("calibrate",))
    said = "Calibration of ecg-fake" if command == ("calibrate",) else "Mirage benchmark"
    assert said in result.stdout
    assert "threshold" in result.stdout
