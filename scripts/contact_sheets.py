"""Draw docs/images/simulated-patients.jpg: one simulated patient a category, as preprocessing hands them to the models.

python scripts/contact_sheets.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from chordae.cohort.make import make_patient, patient_directory
from chordae.cohort.patient import draw_patient
from chordae.cohort.sites import load_site
from chordae.cohort.truth import CATEGORIES, Truth
from chordae.preprocessing.identity import Site
from chordae.preprocessing.study import prepare_study

SITE, SEED, EDGE, MARGIN = "university", 77, 420, 30
OUTPUT = Path("docs/images/simulated-patients.jpg")
Picture = NDArray[np.uint8]


def main() -> None:
    """The first well-marked patient of each category; end-diastole and end-systole of CMR and echo side by side."""
    site, rows = load_site(SITE), []
    for category in CATEGORIES:
        number = next(
            number
            for number in range(1, 500)
            if (truth := draw_patient(site, SEED, number).truth).category == category
            and (category == "normal" or 0.55 < truth.severity < 0.85)
        )
        with tempfile.TemporaryDirectory() as directory:
            make_patient(site, SEED, number, Path(directory), ("ecg", "cmr", "echo"))
            files = patient_directory(Path(directory), number)
            truth = Truth.model_validate_json((files / "truth.json").read_text())
            rows.append(_row(files, truth))
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(OUTPUT), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 82])


def _row(files: Path, truth: Truth) -> Picture:
    cells: list[Picture] = []
    for modality in ("ecg", "cmr", "echo"):
        (study,) = files.glob(f"{modality}.*")
        prepared = prepare_study(study, Site("docs", b"\0" * 32))
        path = files / f"media{'.png' if prepared.kind == 'image' else '.mp4'}"
        path.write_bytes(prepared.content)
        frames = _frames(path)
        shown = [frames[0]] if prepared.kind == "image" else [frames[0], frames[round(0.36 * len(frames))]]
        cells += [_fit(frame) for frame in shown]
    measured = truth.measured
    caption = (
        f"{truth.category}   EF {measured.lv_ef:.0f} %, EDV {measured.lv_edv:.0f} mL, mass {measured.lv_mass:.0f} g, "
        f"RV EF {measured.rv_ef:.0f} %, wall {max(measured.wall_ed):.0f} mm, LGE {truth.tissue.pattern}; "
        f"{truth.ecg.rhythm} {truth.ecg.rate_bpm}, {truth.ecg.conduction}, ST {truth.ecg.st}, {truth.ecg.morphology}"
    )
    title = np.full((MARGIN, EDGE * len(cells), 3), 255, np.uint8)
    cv2.putText(title, caption, (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([title, np.hstack(cells)])


def _frames(path: Path) -> list[Picture]:
    if path.suffix == ".png":
        return [np.asarray(cv2.imread(str(path)), np.uint8)]
    video, frames = cv2.VideoCapture(str(path)), []
    while (read := video.read())[0]:
        frames.append(np.asarray(read[1], np.uint8))
    return frames


def _fit(frame: Picture) -> Picture:
    scale = EDGE / max(frame.shape[:2])
    small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    cell = np.full((EDGE, EDGE, 3), 255 if frame.mean() > 128 else 0, np.uint8)
    top, left = (EDGE - small.shape[0]) // 2, (EDGE - small.shape[1]) // 2
    cell[top : top + small.shape[0], left : left + small.shape[1]] = small
    return cell


if __name__ == "__main__":
    main()
