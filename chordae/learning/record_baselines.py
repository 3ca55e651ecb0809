"""What a diagnosis from records is to be held against: majority, logistic regression, and a ceiling.

The floors know how frequent the categories are, or see the table; the third classifier sees the table and the words of
the description, as the reasoner does. The ceiling is a gradient-boosted classifier that sees the patient's noiseless
numbers, among them what the site left out or stated wrongly. All are fitted on the training cases, judged on others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from chordae.cohort.record_cases import Case
from chordae.cohort.truth import CATEGORIES, Category
from chordae.learning.statistics import cluster_interval
from chordae.platform.diagnosis.record import UNITS
from chordae.platform.errors import BadInput

SEED = 20_260_101
Features = NDArray[np.float64]


class Judged(BaseModel):
    """How the cases of a set were diagnosed."""

    model_config = ConfigDict(frozen=True)

    name: str
    cases: int
    accuracy: float
    interval: tuple[float, float]
    """95 % of the accuracy."""
    macro_f1: float
    """Over the categories that the set holds."""
    auc: float
    """Macro one-vs-rest, over the categories that the set holds."""
    recall: dict[Category, float]
    """Of each category that the set holds."""


def judge(name: str, probabilities: Features, cases: Sequence[Case]) -> Judged:
    """Scores of (cases, 8) probabilities, categories in the order of `CATEGORIES`; the likeliest is the diagnosis.

    Raises:
        BadInput: the cases are all of one category: no one-vs-rest AUC is defined.
    """
    truth = np.array([CATEGORIES.index(case.category) for case in cases])
    present = sorted(set(truth.tolist()))
    if len(present) < 2:
        raise BadInput("all cases are of one category", "judge on a set with several")
    chosen = probabilities.argmax(axis=1)
    right = chosen == truth
    return Judged(
        name=name,
        cases=len(cases),
        accuracy=float(right.mean()),
        interval=cluster_interval(right.astype(float), [case.patient for case in cases]),
        macro_f1=float(f1_score(truth, chosen, labels=present, average="macro", zero_division=0)),
        auc=float(np.mean([roc_auc_score(truth == index, probabilities[:, index]) for index in present])),
        recall={CATEGORIES[index]: float(right[truth == index].mean()) for index in present},
    )


def baselines(train: Sequence[Case], test: Sequence[Case]) -> list[Judged]:
    """Floors and ceiling, from the weakest: majority, table, table and words, noiseless numbers.

    Raises:
        BadInput: the training cases are all of one category, or a patient is in both.
    """
    if {case.patient for case in train} & {case.patient for case in test}:
        raise BadInput("some patients are both trained and judged on", "make datasets of other seeds")
    labels = np.array([CATEGORIES.index(case.category) for case in train])
    if len(set(labels.tolist())) < 2:
        raise BadInput("all training cases are of one category", "train on a set with several")
    shares = np.bincount(labels, minlength=len(CATEGORIES)) / len(labels)
    words = CountVectorizer(binary=True, ngram_range=(1, 2), min_df=2)
    described = [words.fit_transform(_texts(train)).toarray(), words.transform(_texts(test)).toarray()]
    tables = [_table(train), _table(test)]
    both = [np.hstack(pair) for pair in zip(tables, described, strict=True)]
    numbers = sorted({name for case in train for name in case.numbers})
    noiseless = [_noiseless(train, numbers), _noiseless(test, numbers)]
    return [
        judge("majority", np.tile(shares, (len(test), 1)), test),
        judge("logistic regression, table", _fitted(_logistic(), tables, labels), test),
        judge("logistic regression, table and words", _fitted(_logistic(), both, labels), test),
        judge("gradient boosting, noiseless numbers", _fitted(_boosting(), noiseless, labels), test),
    ]


def _fitted(model: Any, features: Sequence[Features], labels: NDArray[np.int64]) -> Features:
    """(test, 8) probabilities; 0 for a category that training does not hold."""
    train, test = features
    model.fit(train, labels)
    probabilities = np.zeros((len(test), len(CATEGORIES)))
    probabilities[:, model.classes_] = model.predict_proba(test)
    return probabilities


def _logistic() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000, random_state=SEED))


def _boosting() -> Any:
    return HistGradientBoostingClassifier(
        max_iter=120,
        max_leaf_nodes=15,
        learning_rate=0.08,
        min_samples_leaf=10,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=SEED,
    )


def _table(cases: Sequence[Case]) -> Features:
    """Each parameter as its place in the reference range (-1 and 1: the limits), sex and age; 0 where it is missing."""
    rows = []
    for case in cases:
        row = []
        for name in UNITS:
            one = case.record.parameter(name)
            if one is None or one.low is None or one.high is None or one.low == one.high:
                row.append(0.0)
            else:
                row.append((2 * one.value - one.low - one.high) / (one.high - one.low))
        rows.append([*row, *_person(case)])
    table: Features = np.nan_to_num(np.array(rows, dtype=np.float64))
    return table


def _texts(cases: Sequence[Case]) -> list[str]:
    """The words of the descriptions, without their numbers: the table has those."""
    return [re.sub(r"[\d.]+", " ", "\n".join(one.text for one in case.record.description)) for case in cases]


def _noiseless(cases: Sequence[Case], names: Sequence[str]) -> Features:
    return np.array([[*(case.numbers.get(name, np.nan) for name in names), *_person(case)] for case in cases])


def _person(case: Case) -> tuple[float, float]:
    sex, age = case.record.sex, case.record.age
    return (np.nan if sex is None else float(sex == "male"), np.nan if age is None else age / 50 - 1)
