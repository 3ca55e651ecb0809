"""Stills: what a study holds beside its loops, and what preprocessing sets aside."""

from __future__ import annotations

import cv2
import numpy as np

from chordae.cohort.echo.clips import Loop
from chordae.cohort.echo.screen import Picture
from chordae.cohort.sites import EchoMachine

Box = tuple[int, int, int, int]


def doppler_spectrum(machine: EchoMachine, rate_bpm: float, rng: np.random.Generator) -> tuple[Picture, Box]:
    """A pulsed-wave recording of mitral inflow over three seconds, (rows, columns), and the box of its spectrum.

    Its waves are anybody's: nothing about the patient follows from it.
    """
    rows, columns = machine.rows, machine.columns
    picture = np.zeros((rows, columns), np.uint8)
    cv2.putText(picture, f"{machine.model}  PW", (3, 10), cv2.FONT_HERSHEY_SIMPLEX, 0.3, 200, 1)
    left, top, right, bottom = 8, rows // 3, columns - 26, rows - 8
    zero, height = bottom - (bottom - top) // 5, (bottom - top) * 0.7
    phase = np.linspace(0, 3.0 * rate_bpm / 60, right - left) % 1.0
    early, late = rng.uniform(0.6, 0.9), rng.uniform(0.35, 0.7)
    wave = early * np.exp(-(((phase - 0.5) / 0.07) ** 2)) + late * np.exp(-(((phase - 0.88) / 0.05) ** 2))
    above = (zero - np.arange(top, bottom)[:, None]) / height
    filled = (above > 0) & (above < wave[None, :])
    edge = np.exp(-(((above - wave[None, :]) / 0.06) ** 2)) * (wave > 0.05)
    spectrum = (filled * 70 + edge * 120) * rng.gamma(3, 1 / 3, filled.shape)
    picture[top:bottom, left:right] = np.clip(spectrum + rng.gamma(2, 3, filled.shape), 0, 255).astype(np.uint8)
    cv2.line(picture, (left, zero), (right - 1, zero), 150, 1)
    return picture, (left, top, right - 1, bottom - 1)


def measured_frame(loop: Loop, rng: np.random.Generator) -> Picture:
    """A frozen frame with calipers and a table of what they span, (rows, columns)."""
    picture = loop.pictures[0].copy()
    left, top, right, bottom = loop.screen.box
    ends = [
        (int(rng.uniform(0.35, 0.65) * (right - left)) + left, int(part * (bottom - top)) + top) for part in (0.35, 0.7)
    ]
    for x, y in ends:
        cv2.drawMarker(picture, (x, y), 255, cv2.MARKER_CROSS, 7, 1)
    cv2.line(picture, ends[0], ends[1], 200, 1, cv2.LINE_4)
    length = float(np.hypot(ends[0][0] - ends[1][0], ends[0][1] - ends[1][1])) * loop.screen.mm_per_pixel / 10
    text = f"1 L {length:.1f} cm"
    cv2.putText(picture, text, (3, picture.shape[0] - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.3, 230, 1)
    return np.asarray(picture, np.uint8)
