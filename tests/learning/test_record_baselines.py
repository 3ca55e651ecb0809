"""Floors and ceiling of diagnosis from records: each sees what it should, and no more."""

import numpy as np
import pytest
from invented import truth
from sklearn.metrics import roc_auc_score

from chordae.cohort.record_cases import Case, Reading, read_study
from chordae.cohort.sites import load_site
from chordae.cohort.truth import CATEGORIES
from chordae.learning.record_baselines import baselines, judge
from chordae.platform.errors import BadInput


def cases(count: int, seed: int, tell: bool) -> list[Case]:
    """Made-up patients; with `tell` their noiseless numbers give the category away."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        one = read_study(truth(rng), load_site("university"), Reading(), rng)
        numbers = {"x": CATEGORIES.index(one.category) + rng.normal(0, 0.1) if tell else rng.normal()}
        made.append(one.model_copy(update={"patient": f"university-{seed}-{number}", "numbers": numbers}))
    return made


def test_the_majority_is_right_as_often_as_its_category_occurs_and_ranks_nothing() -> None:
    train, test = cases(60, 1, True), cases(80, 2, True)
    found = {one.name: one for one in baselines(train, test)}
    majority = found["majority"]
    shares = [sum(case.category == name for case in test) / len(test) for name in CATEGORIES]
    assert any(majority.accuracy == pytest.approx(share) for share in shares)
    assert majority.auc == pytest.approx(0.5)
    assert sorted(majority.recall.values())[-2:] == [0.0, 1.0]


def test_noiseless_numbers_that_tell_the_category_are_a_ceiling_near_one_and_others_are_none() -> None:
    for tell, least, most in ((True, 0.9, 1.0), (False, 0.0, 0.35)):
        found = {one.name: one for one in baselines(cases(160, 1, tell), cases(80, 2, tell))}
        assert least <= found["gradient boosting, noiseless numbers"].accuracy <= most


def test_words_tell_what_the_table_does_not() -> None:
    """Made-up tables are noise; only the infarction's late enhancement is told in words."""
    found = {one.name: one for one in baselines(cases(160, 1, False), cases(80, 2, False))}
    assert found["logistic regression, table and words"].recall["myocardial infarction"] > 0.8
    assert found["logistic regression, table"].recall["myocardial infarction"] < 0.6


def test_scores_are_those_of_scikit_learn_and_the_interval_holds_the_accuracy() -> None:
    test = cases(80, 3, True)
    right = np.array([CATEGORIES.index(case.category) for case in test])
    probabilities = np.random.default_rng(0).dirichlet(np.ones(8), len(test))
    probabilities[np.arange(len(test)), right] += 0.2
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    found = judge("mine", probabilities, test)
    assert found.auc == pytest.approx(roc_auc_score(right, probabilities, multi_class="ovr", average="macro"))
    assert found.accuracy == pytest.approx((probabilities.argmax(axis=1) == right).mean())
    assert found.interval[0] <= found.accuracy <= found.interval[1]
    assert np.mean(list(found.recall.values())) == pytest.approx(
        np.mean([(probabilities.argmax(axis=1) == right)[right == index].mean() for index in range(8)])
    )


def test_a_category_that_training_lacks_gets_no_probability() -> None:
    train = [case for case in cases(100, 1, True) if case.category != "amyloidosis"]
    found = baselines(train, cases(60, 2, True))
    assert all(one.recall["amyloidosis"] == 0 for one in found)


def test_patients_on_both_sides_and_sets_of_one_category_are_refused() -> None:
    train = cases(60, 1, True)
    with pytest.raises(BadInput, match="both trained and judged"):
        baselines(train, train[:10])
    alone = [case for case in train if case.category == train[0].category]
    with pytest.raises(BadInput, match="of one category"):
        baselines(alone, cases(30, 2, True))
    with pytest.raises(BadInput, match="of one category"):
        judge("mine", np.full((len(alone), 8), 1 / 8), alone)
