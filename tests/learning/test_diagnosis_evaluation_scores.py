"""Figures of a diagnosis: those of scikit-learn, whole and with cases drawn several times."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, recall_score, roc_auc_score

from chordae.learning.diagnosis_evaluation_scores import (
    NONE,
    Answers,
    accuracy,
    accuracy_relied_on,
    auc,
    calibration_error,
    confusion,
    estimate,
    faithfulness,
    macro_f1,
    recall_of,
    recalls,
    relied_on,
    resampled,
    unanswered,
)
from chordae.platform.diagnosis.temperature import calibration_error as ece_of_cases


def made_up(count: int, seed: int, categories: int = 8) -> Answers:
    """Answers that are often right; some have no category, and then no probabilities; some scores are equal."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(categories, size=count)
    probabilities = rng.dirichlet(np.ones(8), count)
    probabilities[np.arange(count), truth] += 0.3
    probabilities = np.round(probabilities / probabilities.sum(axis=1, keepdims=True), 1)
    chosen = probabilities.argmax(axis=1)
    silent = rng.random(count) < 0.1
    chosen[silent], probabilities[silent] = NONE, 0.0
    return Answers(truth, chosen, probabilities, rng.random(count) < 0.8, silent | (rng.random(count) < 0.3))


def ones(answers: Answers) -> np.ndarray:
    return np.ones((1, len(answers.truth)))


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 120), st.integers(0, 10**6), st.integers(2, 8))
def test_figures_are_those_of_scikit_learn(count: int, seed: int, categories: int) -> None:
    answers = made_up(count, seed, categories)
    present = sorted(set(answers.truth.tolist()))
    f1 = f1_score(answers.truth, answers.chosen, labels=present, average="macro", zero_division=0)
    assert macro_f1(answers, ones(answers))[0] == pytest.approx(f1)
    recall = recall_score(answers.truth, answers.chosen, labels=present, average=None, zero_division=0)
    found = recalls(answers, ones(answers))[0]
    np.testing.assert_allclose(found[present], recall)
    assert np.isnan(np.delete(found, present)).all()
    if len(present) > 1:
        areas = [roc_auc_score(answers.truth == one, answers.probabilities[:, one]) for one in present]
        assert auc(answers, ones(answers))[0] == pytest.approx(np.mean(areas))
    else:
        assert np.isnan(auc(answers, ones(answers))[0])


FIGURES = [accuracy, accuracy_relied_on, auc, calibration_error, faithfulness, macro_f1, relied_on, unanswered]


@pytest.mark.parametrize("figure", [*FIGURES, recall_of([1, 4, 7])])
def test_a_case_of_weight_three_counts_as_three_cases(figure: object) -> None:
    answers, rng = made_up(60, 4), np.random.default_rng(5)
    weights = rng.integers(0, 4, size=60)
    repeated = answers.at(np.repeat(np.arange(60), weights))
    assert figure(answers, weights[None].astype(float))[0] == pytest.approx(figure(repeated, ones(repeated))[0])  # type: ignore[operator]


def test_the_calibration_error_is_that_of_the_cases_that_have_probabilities() -> None:
    answers = made_up(200, 6)
    some = np.flatnonzero(answers.probabilities.any(axis=1))
    assert len(some) < 200
    expected = ece_of_cases(answers.probabilities[some], answers.truth[some])
    assert calibration_error(answers, ones(answers))[0] == pytest.approx(expected)


def test_accuracy_of_what_is_relied_on_leaves_out_what_is_flagged() -> None:
    answers = made_up(200, 3)
    kept = answers.at(np.flatnonzero(~answers.flagged))
    assert relied_on(answers, ones(answers))[0] == len(kept.truth) / 200
    assert accuracy_relied_on(answers, ones(answers))[0] == pytest.approx(accuracy(kept, ones(kept))[0])
    nobody = Answers(answers.truth, answers.chosen, answers.probabilities, answers.faithful, answers.flagged | True)
    assert np.isnan(accuracy_relied_on(nobody, ones(nobody))[0])


def test_intervals_hold_the_figure_and_a_share_of_one_has_one_too() -> None:
    answers = made_up(80, 7)
    found = estimate(answers, macro_f1)
    assert found.interval is not None and found.value is not None
    assert found.interval[0] < found.value < found.interval[1]
    right = Answers(answers.truth, answers.truth, answers.probabilities, answers.faithful, answers.flagged)
    whole = estimate(right, accuracy)
    assert whole.value == 1.0 and whole.interval is not None and 0.9 < whole.interval[0] < 1.0
    few = estimate(right, recall_of([0]), 20)
    assert few.interval == pytest.approx((0.8389, 1.0), abs=1e-4), "Wilson's for 20 of 20"
    assert estimate(answers.at(np.array([], int)), accuracy).value is None


@pytest.mark.parametrize("seed", range(5))
def test_the_interval_of_the_calibration_error_holds_the_error(seed: int) -> None:
    found = estimate(made_up(400, seed), calibration_error)
    assert found.interval is not None and found.value is not None
    assert found.interval[0] < found.value < found.interval[1]


def test_resampling_an_accuracy_gives_the_binomial_spread() -> None:
    answers = made_up(400, 8)
    share = accuracy(answers, ones(answers))[0]
    assert resampled(answers, accuracy, 4000).std() == pytest.approx(np.sqrt(share * (1 - share) / 400), rel=0.05)


def test_the_confusion_matrix_has_a_column_for_no_category() -> None:
    answers = made_up(100, 9)
    table = confusion(answers)
    assert table.shape == (8, 9) and table.sum() == 100
    assert table[:, NONE].sum() == (answers.chosen == NONE).sum()
