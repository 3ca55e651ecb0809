"""Invented patients and studies: truth records and labelled samples with no files behind them."""

from typing import Any

import numpy as np

from chordae.cohort.dataset import Sample
from chordae.cohort.ecg import EcgLatents
from chordae.cohort.findings import topics
from chordae.cohort.truth import CATEGORIES, Category, Measurements, TissueTruth, Truth
from chordae.cohort.wording import EF_NUMBERS, RATE_NUMBERS
from chordae.platform.schemas import Modality


def sample(modality: Modality, rng: np.random.Generator, patient: str = "university-0", **given: str | None) -> Sample:
    """A study whose findings are drawn evenly, each on its own; `given` ones, by topic key, stay."""
    found: dict[str, str | None] = {
        topic.key: topic.findings[int(rng.integers(len(topic.findings)))] for topic in topics(modality)
    } | given
    numbers = {}
    for key, name, ranges in (("rate", "rate_bpm", RATE_NUMBERS), ("lv_function", "lv_ef", EF_NUMBERS)):
        finding = found.get(key)
        if finding is not None:
            numbers[name] = float(rng.integers(*ranges[finding]))
    site = patient.rsplit("-", 1)[0]
    media = f"media/{patient}-{modality}.png"
    return Sample(patient=patient, site=site, modality=modality, media=media, findings=found, numbers=numbers)


def samples(modality: Modality, count: int, seed: int = 0, site: str = "university") -> list[Sample]:
    """One study each of so many patients."""
    rng = np.random.default_rng([seed, count])
    return [sample(modality, rng, f"{site}-{number}") for number in range(count)]


def truth(rng: np.random.Generator, category: Category | None = None, **given: Any) -> Truth:
    """A patient of plausible numbers; nothing was measured on a heart."""
    category = category or CATEGORIES[int(rng.integers(len(CATEGORIES)))]
    ef, edv = float(rng.uniform(22, 70)), float(rng.uniform(110, 260))
    rv_ef, rv_edv = float(rng.uniform(30, 65)), float(rng.uniform(110, 240))
    wall = tuple(float(value) for value in rng.uniform(6, 11, 16))
    infarct = category == "myocardial infarction"
    measured = Measurements(
        lv_edv=edv,
        lv_esv=edv * (1 - ef / 100),
        lv_ef=ef,
        lv_mass=float(rng.uniform(70, 220)),
        rv_edv=rv_edv,
        rv_esv=rv_edv * (1 - rv_ef / 100),
        rv_ef=rv_ef,
        la_volume=float(rng.uniform(40, 130)),
        wall_ed=wall,
        wall_es=tuple(value * float(rng.uniform(1.1, 1.6)) for value in wall),
        trabeculated_ratio=float(rng.uniform(0.5, 3.0)),
        circumferential_strain=float(rng.uniform(-22, -8)),
        longitudinal_strain=float(rng.uniform(-22, -8)),
        effusion_mm=float(rng.choice([0.0, 0.0, 6.0, 14.0])),
    )
    tissue = TissueTruth(
        pattern="transmural" if infarct else "none",
        segments=(1, 2, 7, 8) if infarct else (),
        native_t1=1000.0,
        lesion_t1=1120.0 if infarct else 1000.0,
        t2=47.0,
        lesion_t2=62.0 if infarct else 47.0,
    )
    ecg = EcgLatents(
        rhythm="sinus", conduction="normal", st="none", rate_bpm=int(rng.integers(60, 100)), pr_ms=160, qrs_ms=92
    )
    values: dict[str, Any] = {
        "patient": "university-0123456789abcdef",
        "site": "university",
        "category": category,
        "severity": float(rng.random()),
        "sex": "female" if rng.random() < 0.5 else "male",
        "age": int(rng.integers(20, 85)),
        "height_cm": int(rng.integers(155, 190)),
        "weight_kg": int(rng.integers(50, 100)),
        "territory": "anterior" if infarct else None,
        "acute": infarct,
        "ecg": ecg,
        "tissue": tissue,
        "measured": measured,
    }
    return Truth.model_validate(values | given)
