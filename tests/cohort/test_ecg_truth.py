"""The ECG of a patient follows from the disease: often, not always, and never in a way that cannot be."""

from collections import Counter
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest

from chordae.cohort.ecg import EcgLatents, simulate_ecg
from chordae.cohort.ecg_truth import compatible, draw_ecg
from chordae.cohort.findings import topics
from chordae.cohort.sites import load_site
from chordae.cohort.truth import Category

TERRITORIES = ("anterior", "inferior", "lateral")


def draw(category: Category, rng: np.random.Generator, **given: object) -> EcgLatents:
    """One ECG; what is not given is about as frequent as among the cohort's patients."""
    infarction = category == "myocardial infarction"
    usual: dict[str, object] = {
        "severity": rng.random(),
        "territory": TERRITORIES[int(rng.choice(3, p=[0.45, 0.33, 0.22]))] if infarction else None,
        "acute": rng.random() < {"myocardial infarction": 0.45, "myocarditis": 0.75}.get(category, 0.0),
        "la_large": rng.random() < 0.3,
        "effusion": rng.random() < 0.06,
    }
    return draw_ecg(category, rng=rng, **(usual | given))  # type: ignore[arg-type]


def share(category: Category, field: str, value: str, **given: object) -> float:
    rng = np.random.default_rng(7)
    return sum(getattr(draw(category, rng, **given), field) == value for _ in range(1500)) / 1500


@cache
def registry(count: int = 6000) -> tuple[EcgLatents, ...]:
    rng = np.random.default_rng(3)
    mix = load_site("registry").prevalence
    names = list(mix)
    return tuple(draw(names[k], rng) for k in rng.choice(len(names), count, p=list(mix.values())))


def test_the_same_generator_state_is_the_same_ecg() -> None:
    first, second = (draw("amyloidosis", rng) for rng in (np.random.default_rng(5), np.random.default_rng(5)))
    assert first == second


def test_an_infarction_shows_where_it_lies() -> None:
    for territory, st, q_wave in (("anterior", "anterior", "anterior Q"), ("inferior", "inferior", "inferior Q")):
        fresh, old = {"territory": territory, "acute": True}, {"territory": territory, "acute": False}
        assert 0.75 < share("myocardial infarction", "st", st, **fresh) < 0.95
        assert 0.55 < share("myocardial infarction", "morphology", q_wave, **old) < 0.75
        other = "inferior" if st == "anterior" else "anterior"
        assert share("myocardial infarction", "st", other, **fresh) == 0
    lateral = share("myocardial infarction", "st", "inferior", territory="lateral", acute=True)
    assert 0.4 < lateral < 0.7
    assert share("myocardial infarction", "st", "none", territory="lateral", acute=True) > 0.3


@pytest.mark.parametrize(
    ("category", "field", "value", "low", "high"),
    [
        ("right-ventricular abnormality", "axis", "right", 0.4, 0.75),
        ("right-ventricular abnormality", "hypertrophy", "right", 0.35, 0.65),
        ("right-ventricular abnormality", "conduction", "RBBB", 0.2, 0.35),
        ("hypertrophic cardiomyopathy", "hypertrophy", "left", 0.4, 0.7),
        ("hypertrophic cardiomyopathy", "morphology", "T inversion", 0.3, 0.55),
        ("amyloidosis", "morphology", "low voltage", 0.5, 0.65),
        ("amyloidosis", "morphology", "anterior Q", 0.13, 0.25),
        ("dilated cardiomyopathy", "conduction", "LBBB", 0.3, 0.4),
        ("normal", "morphology", "none", 0.9, 1.0),
        ("normal", "rhythm", "sinus", 0.6, 0.85),
    ],
)
def test_diseases_have_their_signs_often_but_not_always(
    category: Category, field: str, value: str, low: float, high: float
) -> None:
    assert low < share(category, field, value) < high


def test_acute_myocarditis_elevates_st_everywhere_and_quickens_the_heart() -> None:
    assert 0.5 < share("myocarditis", "st", "diffuse", acute=True) < 0.7
    assert share("myocarditis", "st", "diffuse", acute=False) < 0.2
    assert share("myocarditis", "rhythm", "tachycardia", acute=True) > 0.3


def test_a_large_atrium_fibrillates_more_often_and_fluid_lowers_the_voltage() -> None:
    assert share("normal", "rhythm", "atrial fibrillation", la_large=True) > 0.1
    assert share("normal", "rhythm", "atrial fibrillation", la_large=False) < 0.08
    assert share("normal", "morphology", "low voltage", effusion=True) > 0.12


def test_nothing_that_cannot_be_is_drawn() -> None:
    for ecg in registry():
        assert compatible(ecg.conduction, ecg.st, ecg.morphology, ecg.hypertrophy, ecg.axis)
        assert (ecg.pr_ms is None) == (ecg.rhythm == "atrial fibrillation")
        assert (ecg.conduction == "first-degree block") == (ecg.pr_ms is not None and ecg.pr_ms > 200)
        assert (ecg.qrs_ms >= 120) == (ecg.conduction in ("LBBB", "RBBB"))
        if ecg.conduction == "LBBB":
            assert (ecg.st, ecg.morphology, ecg.hypertrophy) == ("none", "none", "none")
        assert not (ecg.morphology == "low voltage" and ecg.hypertrophy != "none")


def test_the_simulator_can_draw_every_combination_that_occurs() -> None:
    seen = {(e.conduction, e.st, e.morphology, e.hypertrophy, e.axis): e for e in registry()}
    assert len(seen) > 60
    for ecg in seen.values():
        assert np.isfinite(simulate_ecg(ecg, np.random.default_rng(1), noise=False)).all()


@pytest.mark.parametrize("topic", topics("ecg"), ids=lambda topic: topic.key)
def test_every_finding_is_frequent_enough_in_the_registry_to_be_learnt(topic) -> None:  # type: ignore[no-untyped-def]
    told = Counter(topic.tell(SimpleNamespace(ecg=ecg)) for ecg in registry())
    least = 0.08 if topic.key == "rhythm" else 0.04
    assert {name: told[name] for name in topic.findings if told[name] < least * len(registry())} == {}
