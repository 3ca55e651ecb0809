"""Patients of a site: who they are, what is measured on them, and that they stay the same."""

from collections import defaultdict

import numpy as np
import pytest

from chordae.cohort.findings import findings, topics
from chordae.cohort.numbers import numbers
from chordae.cohort.patient import Patient, draw_patient, patient_rng
from chordae.cohort.sites import load_site
from chordae.cohort.truth import CATEGORIES


@pytest.fixture(scope="module")
def patients() -> list[Patient]:
    return [draw_patient(load_site("registry"), 1, number) for number in range(1, 161)]


def test_the_same_site_seed_and_number_are_the_same_patient() -> None:
    site = load_site("university")
    assert draw_patient(site, 3, 5).truth == draw_patient(site, 3, 5).truth
    assert draw_patient(site, 3, 5).truth != draw_patient(site, 4, 5).truth
    assert draw_patient(load_site("regional"), 3, 5).truth.patient.startswith("regional-")


def test_parts_of_a_patient_have_independent_randomness() -> None:
    site = load_site("university")
    one, other = (patient_rng(site, 3, 5, part).random(4) for part in ("ecg", "cmr"))
    assert not np.allclose(one, other)


def test_prevalence_is_the_profiles() -> None:
    site = load_site("regional")
    drawn = [draw_patient(site, 9, number).truth.category for number in range(1, 121)]
    share = drawn.count("myocardial infarction") / len(drawn)
    assert share == pytest.approx(site.prevalence["myocardial infarction"], abs=0.15)


def test_categories_differ_where_medicine_says_so_and_overlap(patients: list[Patient]) -> None:
    by = defaultdict(list)
    for patient in patients:
        by[patient.truth.category].append(patient.truth.measured)
    assert set(by) == set(CATEGORIES)

    def median(category: str, name: str) -> float:
        return float(np.median([getattr(measured, name) for measured in by[category]]))

    normal = {name: median("normal", name) for name in ("lv_ef", "lv_edv", "lv_mass", "rv_ef", "la_volume")}
    assert 55 < normal["lv_ef"] < 70
    assert 90 < normal["lv_edv"] < 190
    assert median("dilated cardiomyopathy", "lv_ef") < 40
    assert median("dilated cardiomyopathy", "lv_edv") > 1.3 * normal["lv_edv"]
    assert median("amyloidosis", "lv_mass") > 1.5 * normal["lv_mass"]
    assert median("right-ventricular abnormality", "rv_ef") < normal["rv_ef"] - 10
    assert median("LV non-compaction", "trabeculated_ratio") > 2.0
    # and no one number separates them
    assert max(m.lv_ef for m in by["dilated cardiomyopathy"]) > min(m.lv_ef for m in by["myocardial infarction"]) + 3
    assert max(m.lv_ef for m in by["myocarditis"]) > min(m.lv_ef for m in by["normal"])


def test_every_finding_of_echo_and_cmr_occurs(patients: list[Patient]) -> None:
    for modality in ("echo", "cmr"):
        seen = defaultdict(set)
        for patient in patients:
            for key, finding in findings(patient.truth, modality).items():
                seen[key].add(finding)
        for topic in topics(modality):
            missing = set(topic.findings) - seen[topic.key]
            assert len(missing) <= 1, (topic.key, missing)  # one may be rare in so few


def test_a_finding_near_a_limit_is_not_asked(patients: list[Patient]) -> None:
    for patient in patients:
        name = findings(patient.truth, "cmr")["lv_function"]
        near = min(abs(patient.truth.measured.lv_ef - limit) for limit in (30, 42, 53)) < 1.5
        assert (name is None) == near


def test_numbers_are_finite_and_tell_of_the_measured_heart(patients: list[Patient]) -> None:
    for patient in patients[:40]:
        for modality in ("ecg", "echo", "cmr"):
            values = numbers(patient.truth, modality)
            assert all(np.isfinite(list(values.values())))
        assert values["lv_ef"] == patient.truth.measured.lv_ef
        assert values["lv_edv_index"] * patient.truth.bsa == pytest.approx(patient.truth.measured.lv_edv, rel=1e-3)
