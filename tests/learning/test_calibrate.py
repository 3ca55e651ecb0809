"""Calibration: the largest coverage at a mirage rate of 0, its bound, and who gets none."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import embed_words
from probing_experts import Dreaming, Hallucinating, Honest, make_split, scored, serve, three_ways

from chordae.cohort.dataset import QUESTIONS, Item, read_rows
from chordae.cohort.items import checksum
from chordae.cohort.record_cases import load_cases_config
from chordae.learning.calibrate import ALPHAS, calibrate_served, calibration, fit, upper_bound
from chordae.learning.datasets import load_dataset_config
from chordae.learning.evaluate_served import Split
from chordae.learning.probe_scores import Scored
from chordae.learning.probed_answers import read_answers
from chordae.platform.calibration import read_calibration
from chordae.platform.errors import BadInput
from chordae.platform.settings import ExpertSettings
from chordae.platform.weights import identify


def test_the_rule_of_three_and_clopper_and_pearson() -> None:
    assert upper_bound(0, 100) == pytest.approx(1 - 0.05 ** (1 / 100))
    assert upper_bound(0, 1000) == pytest.approx(3 / 1000, rel=0.01)
    assert upper_bound(5, 5) == 1.0


def test_the_fit_is_the_best_of_all_pairs_on_a_fine_grid() -> None:
    rng = np.random.default_rng(1)
    rows = [scored(*rng.uniform((0.5, 0.3), 1.0)) for _ in range(60)]
    rows += [scored(*rng.uniform((0.4, 0.0), (1.0, 0.5)), kind="mirage") for _ in range(30)]
    best, most = fit(rows), 0
    for alpha in ALPHAS:
        for threshold in np.linspace(alpha + 0.005, 1, 400):
            if not any(one.mirage and one.confidence(alpha) >= threshold for one in rows):
                most = max(most, sum(one.correct and one.confidence(alpha) >= threshold for one in rows))
    assert best.kept == pytest.approx(most, abs=2)  # the gap of 0.01 may cost some
    assert not any(one.mirage and one.confidence(best.alpha) >= best.threshold for one in rows)


def test_mirages_that_only_the_picture_tells_are_found_by_the_image_delta() -> None:
    rows = [scored(0.8, 0.8) for _ in range(9)] + [scored(1.0, 0.0, kind="mirage")] * 3
    best = fit(rows)
    assert best.kept == 9
    assert best.alpha < best.threshold < best.alpha * 0.8 + (1 - best.alpha) * 0.8


def test_mirages_that_waver_are_told_by_agreement() -> None:
    rows = [scored(1.0, 0.3)] * 9 + [scored(0.2, 0.6, kind="mirage")] * 3
    best = fit(rows)
    assert (best.kept, best.alpha > 0.1) == (9, True)


def test_without_any_mirage_a_perfectly_consistent_one_would_still_be_flagged() -> None:
    best = fit([scored(0.9, 0.7)] * 5 + [scored(0.5, 0.7, kind="wrong")])
    assert best.kept == 5
    assert scored(1.0, 0.0, kind="mirage").confidence(best.alpha) < best.threshold


def test_of_all_thresholds_that_keep_as_many_it_is_the_strictest() -> None:
    best = fit([scored(0.9, 0.8)] * 4 + [scored(0.9, 0.2, kind="mirage")])
    lowest = scored(0.9, 0.8).confidence(best.alpha)
    assert lowest - 0.01 < best.threshold < lowest


def of_patients(*rows: Scored) -> list[Scored]:
    """One answer a patient."""
    return [row.model_copy(update={"patient": f"p{number}"}) for number, row in enumerate(rows)]


def test_of_equal_coverage_the_smaller_area_wins_where_the_difference_is_more_than_chance() -> None:
    # agreement is the wrong way round, the image delta tells who is wrong
    best = fit(of_patients(*[scored(0.5, 0.9)] * 200 + [scored(1.0, 0.7, kind="wrong")] * 200))
    assert best.kept == 200
    assert best.alpha < 0.5
    assert best.area == pytest.approx(sum((k - 200) / k for k in range(201, 401)) / 400)


def test_where_areas_differ_by_chance_both_probes_weigh_alike() -> None:
    rng = np.random.default_rng(3)
    rows = [scored(*rng.uniform(0.8, 1.0, 2), kind=kind) for kind in ["correct"] * 30 + ["wrong"] * 3]
    assert fit(of_patients(*rows)).alpha == 0.5


def test_an_answer_that_contradicts_itself_is_never_kept() -> None:
    rows = of_patients(*[scored(0.9, 0.8)] * 5, *[scored(1.0, 1.0, contradicts=True)] * 5)
    best = fit(rows)
    assert (best.correct, best.kept) == (10, 5)
    assert all(one.confidence(best.alpha) == 0 for one in rows if one.contradicts)


def test_wrong_answers_and_other_conditions_are_in_no_coverage() -> None:
    rows = [scored(1.0, 0.9), scored(0.1, 0.1, kind="wrong"), scored(0.1, 0.1, condition="other patient")]
    best = fit(rows)
    assert (best.correct, best.kept) == (1, 1)


def test_no_threshold_that_reaches_zero_is_said() -> None:
    with pytest.raises(BadInput, match="flags all 2 mirages"):
        fit([scored(0.7, 0.5)] * 3 + [scored(1.0, 1.0, kind="mirage")] * 2)
    with pytest.raises(BadInput, match="flags all 0 mirages"):
        fit([scored(1.0, 0.0)] * 3)  # the picture changes nothing
    with pytest.raises(BadInput, match="no answer is correct"):
        fit([scored(1.0, 0.5, kind="wrong")])


def test_the_bound_counts_patients_and_not_their_questions() -> None:
    rows = [scored(1.0, 0.9, patient=f"c{number}") for number in range(50)]
    rows += [scored(1.0, 0.0, kind="mirage", patient=f"m{number % 20}") for number in range(80)]
    found = calibration(rows, "digest", "calibration", "sum")
    assert (found.negatives, found.patients, found.mirages) == (80, 20, 80)
    assert found.mirage_bound == pytest.approx(1 - 0.05 ** (1 / 20))
    assert (found.coverage, found.correct, found.n) == (1.0, 50, 130)
    assert found.coverage_interval[0] < 0.95
    assert found.coverage_interval[1] == pytest.approx(1.0)


def test_the_calibration_split_has_patients_of_its_own_and_no_multiple_choice() -> None:
    members = {
        path.stem: (load_cases_config if path.stem.startswith("cmr-r-") else load_dataset_config)(path).members
        for path in Path("configs/datasets").glob("*.yaml")
    }
    mine = {(one.site, one.seed) for one in members["calibration"]}
    others = {(one.site, one.seed) for name, each in members.items() if name != "calibration" for one in each}
    assert not mine & others
    config = load_dataset_config(Path("configs/datasets/calibration.yaml"))
    assert not config.label_noise
    assert config.questions is not None and config.questions.mcq_per_topic == 0 and config.questions.checksum


@pytest.fixture
def datasets(tmp_path: Path) -> Path:
    return make_split(tmp_path / "datasets", "calibration")


def questions(datasets: Path) -> list[Item]:
    return read_rows(datasets / "calibration" / QUESTIONS, Item)


def run(model_dir: Path, datasets: Path, output: Path, most: int | None = None) -> Any:
    settings = ExpertSettings(model=str(model_dir), port=1)
    split = Split(datasets, "calibration", None, most)
    return calibrate_served(settings, "ecg", split, output, three_ways, embed_words)


def test_an_honest_expert_is_calibrated_and_the_figures_lie_beside_its_weights(
    model_dir: Path, datasets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(Honest(questions(datasets)), monkeypatch)
    before = identify(model_dir)
    found = run(model_dir, datasets, tmp_path / "out")
    assert read_calibration(model_dir, before.digest) == found
    assert identify(model_dir) == before
    assert found.questions == checksum(questions(datasets))
    assert (found.split, found.mirages, found.coverage) == ("calibration", 0, 1.0)
    assert found.threshold > found.alpha
    pictures = sorted(path.name for path in (tmp_path / "out").glob("*.png"))
    assert pictures == [f"calibration_{name}.png" for name in ("reliability", "risk_coverage", "scores")]


def test_an_expert_that_dreams_of_one_topic_keeps_what_it_reads_of_the_others(
    model_dir: Path, datasets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(Dreaming(questions(datasets), {"conduction"}), monkeypatch)
    found = run(model_dir, datasets, tmp_path / "out")
    assert found.mirages > 0
    assert found.coverage == 1.0
    assert found.mirage_bound == pytest.approx(1 - 0.05 ** (1 / found.patients))


def test_an_expert_that_never_looks_is_not_calibrated_and_its_answers_stay(
    model_dir: Path, datasets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(Hallucinating(questions(datasets)), monkeypatch)
    with pytest.raises(BadInput, match="nothing is stored"):
        run(model_dir, datasets, tmp_path / "out")
    assert not (model_dir / "calibration.json").exists()
    assert read_answers(tmp_path / "out" / "calibration-answers.json")


def test_some_of_the_questions_are_the_same_ones_each_time(
    model_dir: Path, datasets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expert = Honest(questions(datasets))
    serve(expert, monkeypatch)
    first, second = (run(model_dir, datasets, tmp_path / name, most=20) for name in "ab")
    assert first.questions == second.questions != checksum(questions(datasets))


def test_patients_whom_training_saw_are_refused_before_anything_is_asked(
    model_dir: Path, datasets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expert = Honest(questions(datasets))
    serve(expert, monkeypatch)
    (model_dir / "manifest.json").write_text(
        '{"name": "ecg-nano", "version": "1", "lineage": {"datasets": {"calibration": "x"}}}'
    )
    with pytest.raises(BadInput, match="training data"):
        run(model_dir, datasets, tmp_path / "out")
    assert not expert.asked
