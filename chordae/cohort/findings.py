"""The findings that are asked about, reported and graded: one vocabulary for questions, heads and evaluation.

A topic has a fixed list of findings, of which exactly one is true of a patient; a few patients lie so near to a limit
that readers would disagree, and are not asked (`finding` is then none). Limits: ESC/EACVI chamber quantification
(Lang et al., Eur Heart J Cardiovasc Imaging 2015;16:233), SCMR reference values (Kawel-Boehm et al., JCMR 2020;22:87).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chordae.cohort.truth import TERRITORIES, Truth
from chordae.platform.schemas import Modality


@dataclass(frozen=True)
class Topic:
    """Something that one modality shows. `key` is unique within the modality; `category` is the reference's."""

    modality: Modality
    key: str
    category: str
    findings: tuple[str, ...]
    normal: str
    """The finding that says that nothing is wrong."""
    tell: Callable[[Truth], str | None]
    """Which finding is true; none: too near to a limit to ask."""


def _graded(value: float, limits: tuple[float, ...], names: tuple[str, ...], grey: float) -> str | None:
    """The name of the interval of `limits` (rising) that holds `value`; none within `grey` of a limit."""
    if any(abs(value - limit) < grey for limit in limits):
        return None
    return names[sum(value >= limit for limit in limits)]


# --- ECG

RHYTHM = {
    "sinus": "Normal sinus rhythm",
    "bradycardia": "Sinus bradycardia",
    "tachycardia": "Sinus tachycardia",
    "atrial fibrillation": "Atrial fibrillation",
}
CONDUCTION = {
    "normal": "Normal conduction",
    "LBBB": "Left bundle branch block",
    "RBBB": "Right bundle branch block",
    "first-degree block": "First-degree AV block",
}
ST = {
    "none": "No ST elevation",
    "anterior": "Anterior ST elevation",
    "inferior": "Inferior ST elevation",
    "diffuse": "Diffuse ST elevation",
}
HYPERTROPHY = {
    "none": "No ventricular hypertrophy",
    "left": "Left ventricular hypertrophy",
    "right": "Right ventricular hypertrophy",
}
AXIS = {"normal": "Normal axis", "left": "Left axis deviation", "right": "Right axis deviation"}
RATES = (
    "Below 50 bpm",
    "50 to 59 bpm",
    "60 to 79 bpm",
    "80 to 99 bpm",
    "100 to 119 bpm",
    "120 bpm or more",
)
MORPHOLOGY = {
    "none": "No abnormal Q or T waves",
    "anterior Q": "Anterior Q waves",
    "inferior Q": "Inferior Q waves",
    "T inversion": "Lateral T-wave inversion",
    "low voltage": "Low QRS voltage",
}
ECG_DIAGNOSES = (
    "Normal ECG",
    "Ischaemic pattern",
    "Hypertrophy pattern",
    "Right heart strain pattern",
    "Low-voltage pattern",
    "Pericarditis or myocarditis pattern",
)


def _unless(block: str, tell: Callable[[Truth], str | None]) -> Callable[[Truth], str | None]:
    """Nothing is asked that a bundle branch block hides or imitates: it moves ST segments, turns T waves, makes voltage
    (Surawicz et al., Circulation 2009;119:e235)."""
    return lambda truth: None if truth.ecg.conduction == block else tell(truth)


def _ecg_diagnosis(truth: Truth) -> str | None:
    """What the tracing alone says; none where it says something else (a block, fibrillation) and no pattern."""
    ecg = truth.ecg
    if ecg.st == "diffuse":
        return ECG_DIAGNOSES[5]
    if ecg.st in ("anterior", "inferior") or ecg.morphology in ("anterior Q", "inferior Q"):
        return ECG_DIAGNOSES[1]
    if ecg.morphology == "low voltage":
        return ECG_DIAGNOSES[4]
    if ecg.hypertrophy == "right":
        return ECG_DIAGNOSES[3]
    if ecg.hypertrophy == "left" or ecg.morphology == "T inversion":
        return ECG_DIAGNOSES[2]
    if ecg.conduction == "normal" and ecg.rhythm == "sinus" and ecg.axis == "normal":
        return ECG_DIAGNOSES[0]
    return None


# --- echo and CMR

LV_FUNCTION = (
    "Severely reduced LV function",
    "Moderately reduced LV function",
    "Mildly reduced LV function",
    "Normal LV function",
)
EF_LIMITS, EF_GREY = (30.0, 42.0, 53.0), 1.5
RV_FUNCTION = (
    "Dilated right ventricle with reduced function",
    "Reduced RV function without dilatation",
    "Normal right ventricle",
)
WALL_MOTION = {
    "none": "No wall motion abnormality",
    "anterior": "Anterior wall motion abnormality",
    "inferior": "Inferior wall motion abnormality",
    "lateral": "Lateral wall motion abnormality",
    "global": "Global hypokinesis",
}
PERICARDIAL = (
    "No pericardial effusion",
    "Small pericardial effusion",
    "Moderate pericardial effusion",
    "Large pericardial effusion",
)
EFFUSION_LIMITS, EFFUSION_GREY = (2.0, 10.0, 20.0), 1.0
"""Depth, mm (Adler et al., Eur Heart J 2015;36:2921)."""
ATRIUM = ("Normal left atrium", "Mildly enlarged left atrium", "Severely enlarged left atrium")
ATRIUM_LIMITS, ATRIUM_GREY = (36.0, 50.0), 1.5
"""Volume over body surface, mL/m2."""
CARDIOMYOPATHY = {
    "dilated cardiomyopathy": "Dilated cardiomyopathy",
    "hypertrophic cardiomyopathy": "Hypertrophic cardiomyopathy",
    "amyloidosis": "Infiltrative cardiomyopathy",
    "LV non-compaction": "Non-compaction cardiomyopathy",
}
NO_CARDIOMYOPATHY = "No cardiomyopathy"
DIAGNOSIS = {
    "myocardial infarction": "Myocardial infarction",
    "right-ventricular abnormality": "Right ventricular abnormality",
    "LV non-compaction": "LV non-compaction",
    "hypertrophic cardiomyopathy": "Hypertrophic heart disease",
    "amyloidosis": "Cardiac amyloidosis",
    "dilated cardiomyopathy": "Dilated heart disease",
    "myocarditis": "Myocarditis",
    "normal": "Normal heart",
}
LGE = {
    "none": "No late gadolinium enhancement",
    "anterior": "Ischaemic enhancement of the anterior wall",
    "inferior": "Ischaemic enhancement of the inferior wall",
    "lateral": "Ischaemic enhancement of the lateral wall",
    "mid-wall": "Mid-wall enhancement",
    "insertion points": "Enhancement at the insertion points",
    "subepicardial": "Subepicardial enhancement",
    "diffuse subendocardial": "Diffuse subendocardial enhancement",
}
TISSUE = (
    "Normal T1 and T2",
    "Raised T1 and T2",
    "Markedly raised T1 with normal T2",
    "Mildly raised T1 with normal T2",
)
T1_LIMITS, T1_GREY, T2_LIMIT, T2_GREY = (35.0, 90.0), 10.0, 5.0, 1.5
"""Rise over the remote myocardium, ms."""


def _lv_function(truth: Truth) -> str | None:
    return _graded(truth.measured.lv_ef, EF_LIMITS, LV_FUNCTION, EF_GREY)


def _rv_function(truth: Truth) -> str | None:
    measured = truth.measured
    reduced, size = measured.rv_ef, measured.rv_edv / truth.bsa
    if abs(reduced - 45) < 2 or (reduced < 45 and abs(size - 110) < 4):
        return None
    if reduced >= 45:
        return RV_FUNCTION[2] if size < 106 else None
    return RV_FUNCTION[0] if size > 110 else RV_FUNCTION[1]


def _wall_motion(truth: Truth) -> str | None:
    """Territories that thicken much less than the best one; all of them: global."""
    thickening = truth.measured.thickening
    means = {name: sum(thickening[s - 1] for s in segments) / len(segments) for name, segments in TERRITORIES.items()}
    best, worst = max(means.values()), min(means, key=lambda name: means[name])
    if means[worst] < 0.66 * best:
        others = [value for name, value in means.items() if name != worst]
        return WALL_MOTION[worst] if min(others) > 0.7 * best else None
    if means[worst] < 0.8 * best:
        return None
    if truth.measured.lv_ef < 47:
        return WALL_MOTION["global"]
    return WALL_MOTION["none"] if truth.measured.lv_ef > 51 else None


def _pericardial(truth: Truth) -> str | None:
    return _graded(truth.measured.effusion_mm, EFFUSION_LIMITS, PERICARDIAL, EFFUSION_GREY)


def _atrium(truth: Truth) -> str | None:
    return _graded(truth.measured.la_volume / truth.bsa, ATRIUM_LIMITS, ATRIUM, ATRIUM_GREY)


def _cardiomyopathy(truth: Truth) -> str | None:
    return CARDIOMYOPATHY.get(truth.category, NO_CARDIOMYOPATHY)


def _lge(truth: Truth) -> str | None:
    pattern = truth.tissue.pattern
    return LGE[truth.territory] if pattern in ("subendocardial", "transmural") and truth.territory else LGE[pattern]


def _tissue(truth: Truth) -> str | None:
    tissue = truth.tissue
    t1_rise, t2_rise = tissue.lesion_t1 - tissue.native_t1, tissue.lesion_t2 - tissue.t2
    t1 = _graded(t1_rise, T1_LIMITS, (TISSUE[0], TISSUE[3], TISSUE[2]), T1_GREY)
    if abs(t2_rise - T2_LIMIT) < T2_GREY or t1 is None:
        return None
    if t2_rise > T2_LIMIT:
        return TISSUE[1] if t1_rise > T1_LIMITS[0] else None
    return t1


def _values(names: dict[str, str]) -> tuple[str, ...]:
    return tuple(names.values())


_CARDIOMYOPATHIES = (*CARDIOMYOPATHY.values(), NO_CARDIOMYOPATHY)

TOPICS: tuple[Topic, ...] = (
    Topic("ecg", "rhythm", "rhythm", _values(RHYTHM), RHYTHM["sinus"], lambda t: RHYTHM[t.ecg.rhythm]),
    Topic(
        "ecg",
        "conduction",
        "conduction",
        _values(CONDUCTION),
        CONDUCTION["normal"],
        lambda t: CONDUCTION[t.ecg.conduction],
    ),
    Topic("ecg", "st", "ST changes", _values(ST), ST["none"], _unless("LBBB", lambda t: ST[t.ecg.st])),
    Topic(
        "ecg",
        "hypertrophy",
        "hypertrophy",
        _values(HYPERTROPHY),
        HYPERTROPHY["none"],
        _unless("LBBB", _unless("RBBB", lambda t: HYPERTROPHY[t.ecg.hypertrophy])),
    ),
    Topic("ecg", "axis", "axis", _values(AXIS), AXIS["normal"], lambda t: AXIS[t.ecg.axis]),
    Topic(
        "ecg",
        "rate",
        "intervals",
        RATES,
        RATES[2],
        lambda t: _graded(t.ecg.rate_bpm, (49.5, 59.5, 79.5, 99.5, 119.5), RATES, 2.0),
    ),
    Topic(
        "ecg",
        "morphology",
        "morphology",
        _values(MORPHOLOGY),
        MORPHOLOGY["none"],
        _unless("LBBB", lambda t: MORPHOLOGY[t.ecg.morphology]),
    ),
    Topic("ecg", "diagnosis", "diagnosis", ECG_DIAGNOSES, ECG_DIAGNOSES[0], _ecg_diagnosis),
    Topic("echo", "lv_function", "LV function", LV_FUNCTION, LV_FUNCTION[3], _lv_function),
    Topic("echo", "rv_function", "RV function", RV_FUNCTION, RV_FUNCTION[2], _rv_function),
    Topic("echo", "wall_motion", "wall motion", _values(WALL_MOTION), WALL_MOTION["none"], _wall_motion),
    Topic("echo", "pericardial", "pericardial", PERICARDIAL, PERICARDIAL[0], _pericardial),
    Topic("echo", "cardiomyopathy", "cardiomyopathy", _CARDIOMYOPATHIES, NO_CARDIOMYOPATHY, _cardiomyopathy),
    Topic("echo", "atrium", "haemodynamics", ATRIUM, ATRIUM[0], _atrium),
    Topic("echo", "diagnosis", "diagnosis", _values(DIAGNOSIS), DIAGNOSIS["normal"], lambda t: DIAGNOSIS[t.category]),
    Topic("cmr", "lv_function", "cine function", LV_FUNCTION, LV_FUNCTION[3], _lv_function),
    Topic("cmr", "rv_function", "cine function", RV_FUNCTION, RV_FUNCTION[2], _rv_function),
    Topic("cmr", "lge", "LGE/fibrosis", _values(LGE), LGE["none"], _lge),
    Topic("cmr", "tissue", "tissue characterisation", TISSUE, TISSUE[0], _tissue),
    Topic("cmr", "cardiomyopathy", "cardiomyopathy", _CARDIOMYOPATHIES, NO_CARDIOMYOPATHY, _cardiomyopathy),
    Topic("cmr", "pericardial", "pericardial", PERICARDIAL, PERICARDIAL[0], _pericardial),
    Topic("cmr", "diagnosis", "diagnosis", _values(DIAGNOSIS), DIAGNOSIS["normal"], lambda t: DIAGNOSIS[t.category]),
)


def topics(modality: Modality) -> tuple[Topic, ...]:
    """All topics of a modality, in a fixed order."""
    return tuple(topic for topic in TOPICS if topic.modality == modality)


def findings(truth: Truth, modality: Modality) -> dict[str, str | None]:
    """What is true of a patient, by topic key; none where it is too near to a limit to ask."""
    return {topic.key: topic.tell(truth) for topic in topics(modality)}
