"""One recording's pictures: a plane through the beating heart, its speckle, and the screen around it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from chordae.cohort.echo.acoustics import cycle_levels, draw_window, scar_grey
from chordae.cohort.echo.colour import ColourBox, draw_box, flow
from chordae.cohort.echo.plan import ClipSpec
from chordae.cohort.echo.screen import Picture, Screen, overlay, screen_of
from chordae.cohort.echo.speckle import MARGIN, MOMENTS, Array
from chordae.cohort.echo.windows import APICAL, Plane, plane_of
from chordae.cohort.heart import Heart
from chordae.cohort.patient import Patient
from chordae.cohort.sites import EchoMachine

FINE_RANGES, FINE_BEAMS = 216, 128
"""Samples of the picture; labels are asked for at fewer (`acoustics.RANGES`, `BEAMS`)."""
PHASES, JUNK_PHASES = 14, 8
SPECKLE_GREY = 15.0
"""Standard deviation; 5.6 dB less what the machine averages."""
DRIFT = 5.0
"""Samples that the speckle moves along the beam from end-diastole to end-systole."""


@dataclass(frozen=True)
class Timing:
    """Of one cine loop, ms."""

    frame: float
    beat: float
    r_wave: float
    """Of the first beat, from the first frame; the next comes one beat later."""
    frames: int

    def phases(self) -> NDArray[np.float64]:
        """(frames,) 0 to 1 from the R wave."""
        return np.asarray(((np.arange(self.frames) * self.frame - self.r_wave) / self.beat) % 1.0)


@dataclass(frozen=True)
class Loop:
    """Pictures of a recording: (frames, rows, columns) grey, or (frames, rows, columns, 3) BGR of a coloured one."""

    pictures: Picture
    screen: Screen
    plane: Plane
    timing: Timing
    colour: tuple[int, int, int, int] | None
    """Left, top, right, bottom of the colour box on the screen."""


FRAMES_A_BEAT = 25
"""A slow heart is stored at fewer frames a second: exports are thinned so."""


def draw_timing(rate_bpm: float, irregular: bool, machine: EchoMachine, rng: np.random.Generator) -> Timing:
    """One beat and a little more, at the machine's frame rate or as many frames as are stored."""
    beat = 60_000 / rate_bpm * float(np.exp(rng.normal(0, 0.18 if irregular else 0.02)))
    beat = float(np.clip(beat, 300, 1600))
    frame = max(1000 / machine.frame_rate, beat / FRAMES_A_BEAT)
    r_wave = float(rng.uniform(0.0, 1.5)) * frame
    return Timing(round(frame, 3), beat, round(r_wave, 1), int(np.ceil((r_wave + beat) / frame)) + 1)


def aim(heart: Heart, spec: ClipSpec, machine: EchoMachine, rng: np.random.Generator) -> Plane:
    """The plane that the sonographer got: a little off the standard one, far off in an off-axis clip."""
    plane = plane_of(heart, spec.view, machine.depth_mm, machine.sector_degrees)
    if spec.kind == "off-axis":
        sign = float(rng.choice([-1, 1]))
        shift = rng.normal(0, 8, 3)
        return plane.tilted(sign * float(rng.uniform(16, 30)), float(rng.normal(0, 22)), shift)
    plane = plane.tilted(float(rng.normal(0, 1.8)), float(rng.normal(0, 3.5)), rng.normal(0, 1.8, 3))
    if spec.kind == "zoomed":
        middle = plane.depth * float(rng.uniform(0.42, 0.68))
        return plane.zoomed(middle - 38, middle + 38, float(rng.normal(0, 6)), 44.0)
    return plane


def render(
    patient: Patient,
    spec: ClipSpec,
    timing: Timing,
    machine: EchoMachine,
    bank: Array,
    rng: np.random.Generator,
    label: str = "",
) -> Loop:
    """All frames of one recording. `bank` is the study's (`speckle_bank` of FINE_RANGES and FINE_BEAMS).

    `label` is burned in beside the sector, as machines do with whose picture it is.
    """
    heart = patient.heart
    plane = aim(heart, spec, machine, rng)
    window = draw_window(plane, spec.quality, machine.noise, spec.view, rng)
    count = PHASES if spec.kind == "standard" else JUNK_PHASES
    cycle = cycle_levels(heart, plane, window, count, scar_grey(patient.truth))
    screen = screen_of(plane, machine, FINE_RANGES, FINE_BEAMS)
    around = overlay(screen, plane, machine, [f"{round(1000 / timing.frame)}Hz", f"{round(plane.depth / 10)}cm"], label)
    box = draw_box(plane, FINE_RANGES, FINE_BEAMS, rng) if spec.kind == "colour" else None
    left, top, right, bottom = screen.box
    shape = (timing.frames, screen.rows, screen.columns, *((3,) if box else ()))
    pictures = np.empty(shape, np.uint8)
    pictures[:] = around[..., None] if box else around
    start = rng.integers(0, 2 * MARGIN - int(DRIFT) - 1, 2)
    flip = bool(rng.random() < 0.5)
    for number, phase in enumerate(timing.phases()):
        polar = _polar(heart, cycle, float(phase), bank, start, flip)
        if box:
            polar = flow(polar, heart, box, float(phase), spec.view in APICAL)
        fan = screen.convert(polar)
        part = pictures[number, top : bottom + 1, left : right + 1]
        np.maximum(part, fan, out=part)
    return Loop(pictures, screen, plane, timing, _on_screen(box, plane, screen) if box else None)


def _polar(heart: Heart, cycle: Array, phase: float, bank: Array, start: NDArray[np.int64], flip: bool) -> Picture:
    """(FINE_RANGES, FINE_BEAMS) grey: levels between the two nearest moments, and the speckle of this one."""
    at = phase * len(cycle)
    before, share = int(at) % len(cycle), at - int(at)
    level = cv2.addWeighted(cycle[before], 1 - share, cycle[(before + 1) % len(cycle)], share, 0)
    fine = cv2.resize(level, (FINE_BEAMS, FINE_RANGES), interpolation=cv2.INTER_LINEAR)
    row = int(start[0]) + round(DRIFT * heart.activation(phase))
    moment = bank[int(phase * MOMENTS) % MOMENTS]
    grain = moment[row : row + FINE_RANGES, int(start[1]) : int(start[1]) + FINE_BEAMS]
    if flip:
        grain = grain[:, ::-1]
    return np.asarray(cv2.convertScaleAbs(np.maximum(fine + np.float32(SPECKLE_GREY) * grain, 0)), np.uint8)


def _on_screen(box: ColourBox, plane: Plane, screen: Screen) -> tuple[int, int, int, int]:
    angles = np.deg2rad(plane.angles(FINE_BEAMS)[[box.beams[0], box.beams[1] - 1]])
    depths = plane.near + (plane.depth - plane.near) * np.array(box.ranges) / FINE_RANGES
    x = screen.apex[0] + np.outer(np.sin(angles), depths) / screen.mm_per_pixel
    y = screen.apex[1] + np.outer(np.cos(angles), depths) / screen.mm_per_pixel
    return (
        max(0, int(x.min())),
        max(0, int(y.min())),
        min(screen.columns - 1, int(x.max()) + 1),
        min(screen.rows - 1, int(y.max()) + 1),
    )
