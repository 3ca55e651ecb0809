"""Pictures of the simulated heart: a cine of any plane, and stills of any contrast at end-diastole."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from chordae.cohort.cmr import artefacts, contrast
from chordae.cohort.cmr.anatomy import Chest, Organ
from chordae.cohort.cmr.planes import Plane
from chordae.cohort.cmr.sampling import HeartPixels, Samples
from chordae.cohort.patient import Patient
from chordae.cohort.sites import CmrScanner

Array = NDArray[np.float32]

LARGEST_STEP = 0.2
"""Of the activation between two moments that are labelled; the others are blends, of about a pixel's motion."""
MAP_NOISE_MS = {"t1": 24.0, "t2": 1.8}
MAP_LARGEST_MS = {"t1": 4000.0, "t2": 600.0}


class Renderer:
    """Pictures of some planes of one patient."""

    def __init__(
        self, patient: Patient, scanner: CmrScanner, planes: Sequence[Plane], rng: np.random.Generator
    ) -> None:
        self._scanner, self._heart, self._rng = scanner, patient.heart, rng
        truth = patient.truth
        self._pixels = HeartPixels(planes, patient.heart, patient.pose)
        chest = Chest(patient.pose.centre, truth.bsa, truth.weight_kg / (truth.height_cm / 100) ** 2, rng)
        self._organs = [chest.organs(plane) for plane in planes]
        self._shading = [artefacts.shading(plane, scanner.shading, patient.pose.centre) for plane in planes]
        self._texture = [artefacts.texture(plane.matrix, rng) for plane in planes]
        self._diastole: Samples = self._pixels.sample(0.0)
        self._tissue = contrast.TissueContrast(truth.tissue, scanner.field_t)
        self._beat: Array | None = None

    def cine(self, plane: int, breathing: bool) -> Array:
        """(phases, matrix, matrix), blood about 1; phase k at k / phases of the cycle."""
        if self._beat is None:
            self._beat = self._moving()
        still = np.abs(self._around("cine", plane))
        frames = np.repeat(still[None], self._scanner.phases, axis=0)
        part = self._pixels.slices[plane]
        frames.reshape(len(frames), -1)[:, self._pixels.within_plane[part]] = self._beat[:, part]
        return self._received(frames, plane, self._scanner.noise, breathing)

    def still(self, kind: str, plane: int, breathing: bool) -> Array:
        """(1, matrix, matrix) at end-diastole: `cine`, `late` or `stir`."""
        signal = {"cine": contrast.cine(1.0), "late": self._tissue.late, "stir": self._tissue.stir}[kind]
        frames = self._composed(kind, signal, plane)[None]
        return self._received(frames, plane, self._scanner.noise * 0.9, breathing)

    def map_ms(self, kind: str, plane: int) -> Array:
        """(1, matrix, matrix) of `t1` or `t2`, ms: noise where there is no signal, nothing outside the body."""
        values = self._composed(kind, self._tissue.t1 if kind == "t1" else self._tissue.t2, plane)
        organs = self._organs[plane]
        spread: Array = np.where(organs == Organ.LUNG, np.float32(8), np.float32(1)) * np.float32(MAP_NOISE_MS[kind])
        self._fill(spread, plane, np.float32(MAP_NOISE_MS[kind]))
        spread[organs == Organ.AIR] = 0
        values += spread * artefacts.normals(values.size, self._rng).reshape(values.shape)
        return np.clip(values, 0, MAP_LARGEST_MS[kind])[None]

    def _moving(self) -> Array:
        """(phases, n) signal of the heart's pixels over the cycle."""
        moments = np.arange(self._scanner.phases) / self._scanner.phases
        level = np.array([self._heart.activation(moment) for moment in moments])
        keys = key_moments(level)
        around = self._flat("cine")
        # blood that flows in is fresh and bright; it slows down in diastasis
        inflow = 1 + 0.05 * np.sin(2 * np.pi * (moments - 0.05))
        found = np.empty((len(moments), len(around)), np.float32)
        for index in keys:
            samples = self._diastole if index == 0 else self._pixels.sample(moments[index])
            found[index] = samples.signal(contrast.cine(inflow[index]), around)
        for before, after in zip(keys, [*keys[1:], len(moments)], strict=True):
            end, last = (found[0], 0.0) if after == len(moments) else (found[after], level[after])
            for index in range(before + 1, after):
                span = last - level[before]
                by_time = (index - before) / (after - before)
                share = (level[index] - level[before]) / span if abs(span) > 0.02 else by_time
                found[index] = found[before] + np.float32(np.clip(share, 0, 1)) * (end - found[before])
        return found

    def _flat(self, kind: str) -> Array:
        """(n,) signal of the surroundings at the heart's pixels."""
        pixels = self._pixels
        return np.concatenate(
            [
                self._around(kind, plane).reshape(-1)[pixels.within_plane[part]]
                for plane, part in enumerate(pixels.slices)
            ]
        )

    def _around(self, kind: str, plane: int) -> Array:
        return np.asarray(cv2.blur(contrast.around(kind, self._organs[plane], self._scanner.field_t), (2, 2)))

    def _composed(self, kind: str, signal: contrast.Contrast, plane: int) -> Array:
        found = self._around(kind, plane)
        part = self._pixels.slices[plane]
        within = self._pixels.within_plane[part]
        found.reshape(-1)[within] = self._diastole.of(part).signal(signal, found.reshape(-1)[within])
        return np.abs(found)

    def _fill(self, picture: Array, plane: int, value: np.float32) -> None:
        part = self._pixels.slices[plane]
        inside = self._diastole.centres.tissue[part] > 0
        picture.reshape(-1)[self._pixels.within_plane[part][inside]] = value

    def _received(self, frames: Array, plane: int, sigma: float, breathing: bool) -> Array:
        frames *= self._shading[plane] * self._texture[plane]
        if breathing:
            artefacts.breathe(frames, self._rng)
        artefacts.add_noise(frames, sigma, self._rng)
        return frames


def key_moments(level: NDArray[np.float64]) -> list[int]:
    """Indices of the phases that are labelled: the first, the ends of motion, and enough between them."""
    keys = [0]
    peak = int(level.argmax())
    for index in range(1, len(level)):
        beyond = index + 1 < len(level) and abs(level[index + 1] - level[keys[-1]]) > LARGEST_STEP
        if index == peak or beyond:
            keys.append(index)
    if level[-1] > LARGEST_STEP / 2 and keys[-1] != len(level) - 1:
        keys.append(len(level) - 1)
    return keys
