"""What is true of a patient in numbers, by modality: regression targets, and what the ceiling is given."""

from __future__ import annotations

from typing import get_args

from chordae.cohort.latents import Axis, Conduction, Hypertrophy, Morphology, Rhythm, StSegment
from chordae.cohort.truth import TERRITORIES, LgePattern, Territory, Truth
from chordae.platform.schemas import Modality

CODE = "code_"
"""Begins the name of a latent that is a kind, not a size: its place in the list of kinds. Nothing to regress on."""


def numbers(truth: Truth, modality: Modality) -> dict[str, float]:
    """Noiseless values, each under its name; what does not exist (a PR interval in fibrillation) is left out."""
    if modality == "ecg":
        ecg = truth.ecg
        kinds = {
            f"{CODE}rhythm": get_args(Rhythm).index(ecg.rhythm),
            f"{CODE}conduction": get_args(Conduction).index(ecg.conduction),
            f"{CODE}st": get_args(StSegment).index(ecg.st),
            f"{CODE}axis": get_args(Axis).index(ecg.axis),
            f"{CODE}hypertrophy": get_args(Hypertrophy).index(ecg.hypertrophy),
            f"{CODE}morphology": get_args(Morphology).index(ecg.morphology),
        }
        sizes = {"rate_bpm": ecg.rate_bpm, "qrs_ms": ecg.qrs_ms, "qtc_ms": ecg.qtc_ms, "pr_ms": ecg.pr_ms}
        return {name: float(value) for name, value in (sizes | kinds).items() if value is not None}
    measured, bsa = truth.measured, truth.bsa
    wall = measured.wall_ed
    thickening = measured.thickening
    best = max(max(thickening), 1.0)
    values = {
        "lv_ef": measured.lv_ef,
        "lv_edv_index": measured.lv_edv / bsa,
        "lv_mass_index": measured.lv_mass / bsa,
        "rv_ef": measured.rv_ef,
        "rv_edv_index": measured.rv_edv / bsa,
        "la_volume_index": measured.la_volume / bsa,
        "septal_wall_mm": max(wall[segment - 1] for segment in (2, 3, 8, 9)),
        "lateral_wall_mm": max(wall[segment - 1] for segment in (5, 6, 11, 12)),
        "apical_wall_mm": max(wall[12:]),
        "trabeculated_ratio": measured.trabeculated_ratio,
        "effusion_mm": measured.effusion_mm,
        "longitudinal_strain": measured.longitudinal_strain,
    }
    for territory, segments in TERRITORIES.items():
        values[f"{territory}_thickening"] = sum(thickening[s - 1] for s in segments) / len(segments) / best
    if modality == "cmr":
        tissue = truth.tissue
        values |= {
            "t1_rise_ms": float(tissue.lesion_t1 - tissue.native_t1),
            "t2_rise_ms": tissue.lesion_t2 - tissue.t2,
            "enhanced_segments": float(len(tissue.segments)),
            f"{CODE}pattern": float(get_args(LgePattern).index(tissue.pattern)),
            f"{CODE}territory": float(get_args(Territory).index(truth.territory) + 1 if truth.territory else 0),
        }
    return {name: round(float(value), 3) for name, value in values.items()}
