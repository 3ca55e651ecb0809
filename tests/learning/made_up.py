"""Datasets without patients: media in which the place of a square tells the finding, for tests of training."""

import hashlib
from pathlib import Path

import cv2
import numpy as np

from chordae.cohort.dataset import SAMPLES, Sample, write_rows
from chordae.cohort.findings import topics
from chordae.platform.schemas import KIND_OF, Modality
from chordae.preprocessing.grid import Layout, encode_mp4


def make_dataset(directory: Path, modality: Modality, count: int = 40, seed: int = 0) -> Path:
    """`count` patients; number i has finding i mod n of every topic, and a square in quarter i mod 4."""
    (directory / "media").mkdir(parents=True)
    rng, rows = np.random.default_rng(seed), []
    for number in range(count):
        findings = {topic.key: topic.findings[number % len(topic.findings)] for topic in topics(modality)}
        content = _media(modality, number % 4, rng)
        name = f"media/{hashlib.sha256(content).hexdigest()}.{'png' if modality == 'ecg' else 'mp4'}"
        (directory / name).write_bytes(content)
        rows.append(
            Sample(
                patient=f"{seed}-{number}",
                site="made-up",
                modality=modality,
                media=name,
                findings={key: None if rng.random() < 0.1 else found for key, found in findings.items()},
                numbers={"rate_bpm" if modality == "ecg" else "lv_ef": 50.0 + 10 * (number % 4)},
            )
        )
    write_rows(directory / SAMPLES, rows)
    return directory


def _media(modality: Modality, quarter: int, rng: np.random.Generator) -> bytes:
    def frame() -> np.ndarray:
        drawn = rng.normal(80, 5, (112, 112, 3))
        top, left = 14 + 56 * (quarter // 2), 14 + 56 * (quarter % 2)
        drawn[top : top + 28, left : left + 28] += 100
        return np.clip(drawn, 0, 255).astype(np.uint8)

    if KIND_OF[modality] == "image":
        return cv2.imencode(".png", frame())[1].tobytes()
    return encode_mp4((frame() for _ in range(8)), Layout(1, 112, 8, 8.0))
