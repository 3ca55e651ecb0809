"""One simulated patient: who it is, which disease in which severity, and the heart that follows.

Every number is drawn around what the literature reports for the category, with an overlap as wide as in patients: a
mild case of most diseases has an ejection fraction, a wall and an ECG that a healthy person may have too.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from chordae.cohort.ecg_truth import draw_ecg
from chordae.cohort.heart import Heart, HeartShape, Lesion, Pose
from chordae.cohort.measure import measure
from chordae.cohort.sites import SiteProfile
from chordae.cohort.truth import CATEGORIES, TERRITORIES, Category, LgePattern, Territory, TissueTruth, Truth

Segments = NDArray[np.float64]
SEPTUM = (2, 3, 8, 9, 14)
INFEROLATERAL = (5, 6, 11, 12)
APICAL = (13, 14, 15, 16)


@dataclass(frozen=True)
class Patient:
    """A truth, and the heart and its place in the body that it was measured on."""

    truth: Truth
    heart: Heart
    pose: Pose


@dataclass(frozen=True)
class _Disease:
    """What a category does to the heart of a person."""

    shape: HeartShape
    pattern: LgePattern = "none"
    t1_rise: float = 0.0
    t2_rise: float = 0.0
    territory: Territory | None = None
    acute: bool = False


def draw_patient(site: SiteProfile, seed: int, number: int) -> Patient:
    """Patient `number` (from 1) of a site: a function of the three."""
    digest = _digest(site, seed, number)
    rng = patient_rng(site, seed, number, "heart")
    category: Category = CATEGORIES[int(rng.choice(len(CATEGORIES), p=list(site.prevalence.values())))]
    severity = float(rng.beta(1.6, 1.4))
    female = bool(rng.random() < _FEMALE.get(category, 0.5))
    low, high = _AGES.get(category, (25, 80))
    age = int(rng.integers(low, high + 1))
    height = float(np.clip(rng.normal(164 if female else 177, 7), 145, 200))
    weight = float(np.clip(rng.normal(26, 4) * (height / 100) ** 2, 45, 140))
    bsa = (height * weight / 3600) ** 0.5
    disease = _DISEASES[category](_healthy(bsa, female, rng), severity, rng)
    shape = _comorbid(disease.shape, category, rng)
    heart = Heart(replace(shape, texture=int(rng.integers(2**31))))
    measured = measure(heart)
    la_large = measured.la_volume / bsa > 40
    native = rng.normal(1000 if site.cmr.field_t < 2 else 1160, 18)
    t2 = rng.normal(46 if site.cmr.field_t < 2 else 41, 1.5)
    segments = _segments(shape.lesion)
    truth = Truth(
        patient=f"{site.name}-{digest[:16]}",
        site=site.name,
        category=category,
        severity=round(severity, 3),
        sex="female" if female else "male",
        age=age,
        height_cm=round(height),
        weight_kg=round(weight),
        territory=disease.territory,
        acute=disease.acute,
        ecg=draw_ecg(category, severity, disease.territory, disease.acute, la_large, shape.effusion > 4, rng),
        tissue=TissueTruth(
            pattern=disease.pattern,
            segments=segments,
            native_t1=round(native),
            lesion_t1=round(native + disease.t1_rise),
            t2=round(t2, 1),
            lesion_t2=round(t2 + disease.t2_rise, 1),
        ),
        measured=measured,
    )
    return Patient(truth, heart, _pose(shape, rng))


def patient_rng(site: SiteProfile, seed: int, number: int, part: str) -> np.random.Generator:
    """Randomness of one part (heart, ecg, cmr, ...) of a patient: no part's depends on which others are made."""
    return np.random.default_rng(list(hashlib.sha256(f"{_digest(site, seed, number)}|{part}".encode()).digest()))


def _digest(site: SiteProfile, seed: int, number: int) -> str:
    return hashlib.sha256(f"{site.name}|{seed}|{number}".encode()).hexdigest()


_FEMALE: dict[Category, float] = {"myocardial infarction": 0.3, "amyloidosis": 0.25, "myocarditis": 0.3}
_AGES: dict[Category, tuple[int, int]] = {
    "myocardial infarction": (42, 84),
    "amyloidosis": (58, 88),
    "myocarditis": (18, 60),
    "hypertrophic cardiomyopathy": (22, 75),
    "LV non-compaction": (18, 65),
}


def _healthy(bsa: float, female: bool, rng: np.random.Generator) -> HeartShape:
    """A healthy heart of that body size (Kawel-Boehm et al., JCMR 2020;22:87)."""
    scale = (bsa / 1.9) ** (1 / 3) * (0.965 if female else 1.0) * float(np.exp(rng.normal(0, 0.035)))
    wall = rng.normal(8.0 if female else 8.8, 0.7) + rng.normal(0, 0.35, 16)
    wall[list(np.array(APICAL) - 1)] -= 1.2
    wall[list(np.array(SEPTUM) - 1)] += 0.4
    return HeartShape(
        lv_radius=25.6 * scale * float(np.exp(rng.normal(0, 0.02))),
        lv_length=92 * scale * float(np.exp(rng.normal(0, 0.03))),
        wall=wall,
        contraction=np.clip(rng.normal(0.335, 0.018) + rng.normal(0, 0.012, 16), 0.2, 0.45),
        shortening=float(np.clip(rng.normal(0.155, 0.012), 0.1, 0.2)),
        rv_width=float(rng.normal(31.5, 2.0)) * scale,
        rv_contraction=float(np.clip(rng.normal(0.36, 0.03), 0.26, 0.46)),
        rv_shortening=float(np.clip(rng.normal(0.21, 0.015), 0.14, 0.28)),
        la_radius=float(rng.normal(23.5, 1.2)) * scale,
        ra_radius=float(rng.normal(23.5, 1.2)) * scale,
        fat=float(rng.uniform(1.5, 4.5)),
        systole=float(rng.uniform(0.33, 0.40)),
    )


def _at(segments: tuple[int, ...], value: float = 1.0) -> Segments:
    extent = np.zeros(16)
    extent[np.array(segments, dtype=np.intp) - 1] = value
    return extent


def _infarction(heart: HeartShape, severity: float, rng: np.random.Generator) -> _Disease:
    territory: Territory = ("anterior", "inferior", "lateral")[int(rng.choice(3, p=[0.45, 0.33, 0.22]))]
    acute = bool(rng.random() < 0.45)
    members = TERRITORIES[territory]
    count = max(3, round(len(members) * (0.6 + 0.4 * severity)))
    hit = tuple(sorted(rng.permutation(members)[:count].tolist())) if severity < 0.6 else members
    transmural = severity > 0.45
    loss = _at(hit, 0.78 + 0.30 * severity) + _at(members, 0.15)
    contraction = heart.contraction * np.clip(1 - loss, -0.05, 1) * (1 - 0.34 * severity)
    wall = heart.wall * np.where(_at(hit) > 0, 1.08 if acute else 1 - 0.3 * severity, 1)
    remodelled = 1 + (0.05 if acute else 0.16) * severity
    return _Disease(
        replace(
            heart,
            lv_radius=heart.lv_radius * remodelled,
            la_radius=heart.la_radius * (1 + 0.14 * severity),
            wall=wall,
            contraction=contraction,
            shortening=heart.shortening * (1 - 0.45 * severity),
            lesion=Lesion(_at(hit), (0.0, 1.0 if transmural else float(rng.uniform(0.4, 0.55)))),
        ),
        pattern="transmural" if transmural else "subendocardial",
        t1_rise=float(rng.normal(180 if acute else 110, 25)),
        t2_rise=float(rng.normal(17, 3)) if acute else 0.0,
        territory=territory,
        acute=acute,
    )


def _right_heart(heart: HeartShape, severity: float, rng: np.random.Generator) -> _Disease:
    pressure = rng.random() < 0.6  # the others: volume load or arrhythmogenic disease
    return _Disease(
        replace(
            heart,
            rv_width=heart.rv_width * (1.42 + 0.55 * severity),
            rv_contraction=heart.rv_contraction * (0.78 - 0.55 * severity),
            rv_shortening=heart.rv_shortening * (0.85 - 0.45 * severity),
            rv_wall=3.0 + (3.5 * severity if pressure else 0.0),
            ra_radius=heart.ra_radius * (1.1 + 0.3 * severity),
            flattening=(0.08 + 0.22 * severity) if pressure else 0.02,
            lv_radius=heart.lv_radius * (1 - 0.06 * severity),
            lesion=Lesion(_at((2, 3, 8, 9), 0.9), (0.3, 0.8), insertion=True) if pressure and severity > 0.4 else None,
        ),
        pattern="insertion points" if pressure and severity > 0.4 else "none",
        t1_rise=float(rng.normal(60, 12)) if pressure and severity > 0.4 else 0.0,
    )


def _noncompaction(heart: HeartShape, severity: float, rng: np.random.Generator) -> _Disease:
    layer = _at((7, 11, 12, 13, 15, 16), 1.0) + _at((8, 10, 5, 6), 0.35)
    compact = heart.wall * np.where(layer > 0.9, 0.72, 0.92)
    return _Disease(
        replace(
            heart,
            lv_radius=heart.lv_radius * (1.07 + 0.16 * severity),
            wall=compact,
            noncompacted=layer * compact * (2.1 + 0.9 * severity),
            contraction=heart.contraction * (0.92 - 0.50 * severity),
            shortening=heart.shortening * (0.95 - 0.35 * severity),
            la_radius=heart.la_radius * (1 + 0.08 * severity),
        ),
    )


def _hypertrophic(heart: HeartShape, severity: float, rng: np.random.Generator) -> _Disease:
    apical = rng.random() < 0.22
    thick = (13, 14, 15, 16) if apical else (2, 3, 8, 9, 14)
    extra = _at(thick, 6.0 + 9.0 * severity) + _at((1, 7, 4, 10), 1.5 + 2 * severity)
    fibrosis = severity > 0.35
    where = APICAL if apical else (2, 3, 8, 9)
    return _Disease(
        replace(
            heart,
            wall=heart.wall + extra,
            rv_width=heart.rv_width - (1.0 if apical else 4 + 5 * severity),
            lv_radius=heart.lv_radius * (0.97 - 0.08 * severity),
            contraction=np.clip(heart.contraction * (1.08 + 0.08 * severity) * (1 - _at(thick, 0.22)), 0.1, 0.5),
            la_radius=heart.la_radius * (1.06 + 0.16 * severity),
            lesion=Lesion(_at(where, 0.9), (0.3, 0.8), insertion=not apical) if fibrosis else None,
        ),
        pattern=("mid-wall" if apical else "insertion points") if fibrosis else "none",
        t1_rise=float(rng.normal(60, 12)) if fibrosis else 0.0,
    )


def _amyloidosis(heart: HeartShape, severity: float, rng: np.random.Generator) -> _Disease:
    return _Disease(
        replace(
            heart,
            wall=heart.wall + 4.0 + 5.5 * severity + rng.normal(0, 0.4, 16),
            lv_radius=heart.lv_radius * (0.95 - 0.04 * severity),
            contraction=heart.contraction * (0.90 - 0.28 * severity),
            shortening=heart.shortening * (0.70 - 0.35 * severity),
            rv_wall=4.5 + 3 * severity,
            rv_width=heart.rv_width - 2 - 3 * severity,
            rv_contraction=heart.rv_contraction * (0.85 - 0.4 * severity),
            rv_shortening=heart.rv_shortening * (0.8 - 0.35 * severity),
            la_radius=heart.la_radius * (1.16 + 0.2 * severity),
            ra_radius=heart.ra_radius * (1.12 + 0.18 * severity),
            effusion=float(rng.uniform(3, 9)) if rng.random() < 0.5 else 0.0,
            lesion=Lesion(np.full(16, 1.0), (0.0, 0.35 + 0.35 * severity)),
        ),
        pattern="diffuse subendocardial",
        t1_rise=float(rng.normal(135 + 60 * severity, 20)),
    )


def _dilated(heart: HeartShape, severity: float, rng: np.random.Generator) -> _Disease:
    stripe = rng.random() < 0.45
    return _Disease(
        replace(
            heart,
            lv_radius=heart.lv_radius * (1.16 + 0.24 * severity),
            lv_length=heart.lv_length * (1.03 + 0.09 * severity),
            wall=heart.wall * (0.96 - 0.1 * severity),
            contraction=heart.contraction * (0.62 - 0.44 * severity),
            shortening=heart.shortening * (0.68 - 0.42 * severity),
            rv_width=heart.rv_width * (1 + 0.14 * severity),
            rv_contraction=heart.rv_contraction * (0.92 - 0.62 * severity),
            rv_shortening=heart.rv_shortening * (0.9 - 0.4 * severity),
            la_radius=heart.la_radius * (1.08 + 0.2 * severity),
            lesion=Lesion(_at(SEPTUM, 0.9), (0.35, 0.68)) if stripe else None,
        ),
        pattern="mid-wall" if stripe else "none",
        t1_rise=float(rng.normal(62, 12)) if stripe else 0.0,
    )


def _myocarditis(heart: HeartShape, severity: float, rng: np.random.Generator) -> _Disease:
    acute = bool(rng.random() < 0.75)
    where = INFEROLATERAL if rng.random() < 0.8 else (2, 3, 5, 8)
    return _Disease(
        replace(
            heart,
            wall=heart.wall * (1 + (0.10 * severity if acute else 0)),
            contraction=heart.contraction * (1 - 0.32 * severity) * (1 - _at(where, 0.12)),
            effusion=float(rng.uniform(3, 12)) if rng.random() < 0.45 else 0.0,
            lesion=Lesion(_at(where, 1.0), (float(rng.uniform(0.5, 0.6)), 1.0)),
        ),
        pattern="subepicardial",
        t1_rise=float(rng.normal(120 if acute else 62, 18)),
        t2_rise=float(rng.normal(15, 3)) if acute else 0.0,
        acute=acute,
    )


def _normal(heart: HeartShape, severity: float, rng: np.random.Generator) -> _Disease:
    return _Disease(heart)


_DISEASES = {
    "myocardial infarction": _infarction,
    "right-ventricular abnormality": _right_heart,
    "LV non-compaction": _noncompaction,
    "hypertrophic cardiomyopathy": _hypertrophic,
    "amyloidosis": _amyloidosis,
    "dilated cardiomyopathy": _dilated,
    "myocarditis": _myocarditis,
    "normal": _normal,
}


def _comorbid(shape: HeartShape, category: Category, rng: np.random.Generator) -> HeartShape:
    """What else people have: pericardial effusion, hypertension's wall, an enlarged atrium."""
    draw = rng.random()
    if not shape.effusion and draw < 0.16:
        shape = replace(
            shape, effusion=float(rng.choice([rng.uniform(3, 9), rng.uniform(11, 19), rng.uniform(21, 30)]))
        )
    if category != "normal" and rng.random() < 0.15:
        shape = replace(shape, wall=shape.wall + rng.uniform(0.5, 2.0))
    if rng.random() < 0.12:
        shape = replace(shape, la_radius=shape.la_radius * rng.uniform(1.08, 1.25))
    return shape


def _segments(lesion: Lesion | None) -> tuple[int, ...]:
    return () if lesion is None else tuple(int(number) + 1 for number in np.flatnonzero(lesion.extent > 0.5))


def _pose(shape: HeartShape, rng: np.random.Generator) -> Pose:
    """The long axis points to the left, forward and down, a little different in everyone."""
    axis = np.array([0.62, -0.55, -0.56]) + rng.normal(0, 0.06, 3)
    axis /= np.linalg.norm(axis)
    front = np.array([0.0, -0.6, 0.8]) + rng.normal(0, 0.05, 3)
    front -= (front @ axis) * axis
    front /= np.linalg.norm(front)
    centre = np.array([25.0, -35.0, 0.0]) + rng.normal(0, 6, 3)
    return Pose(np.stack([np.cross(front, axis), front, axis], axis=1), centre, shape.lv_length / 2)
