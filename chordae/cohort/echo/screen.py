"""The machine's screen: from beams to pixels, and what is written around the sector."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from chordae.cohort.echo.windows import Plane
from chordae.cohort.sites import EchoMachine

Picture = NDArray[np.uint8]
TOP, BOTTOM = 12, 14
"""Rows left free above and below the sector."""


@dataclass(frozen=True)
class Screen:
    """How one sector lies on the screen. Made once for each geometry."""

    rows: int
    columns: int
    box: tuple[int, int, int, int]
    """Left, top, right, bottom of the sector; right and bottom are the last ones inside."""
    mm_per_pixel: float
    apex: tuple[float, float]
    """x and y of the transducer."""
    map_range: NDArray[np.int16]
    map_weight: NDArray[np.uint16]
    outside: NDArray[np.bool_]
    """(rows, columns) of the box."""

    def convert(self, polar: Picture) -> Picture:
        """(ranges, beams[, 3]) -> the sector's box, black outside it."""
        return np.asarray(
            cv2.remap(polar, self.map_range, self.map_weight, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        )


def screen_of(plane: Plane, machine: EchoMachine, ranges: int, beams: int) -> Screen:
    """Fits the sector into the screen, its middle beam upright. `ranges` and `beams` of what will be converted."""
    angles = np.deg2rad(plane.angles(181))
    corners_x = np.concatenate([plane.depth * np.sin(angles), plane.near * np.sin(angles)])
    corners_y = np.concatenate([plane.depth * np.cos(angles), plane.near * np.cos(angles)])
    height, width = np.ptp(corners_y), np.ptp(corners_x)
    scale = max(height / (machine.rows - TOP - BOTTOM), width / (machine.columns - 44))
    left = (machine.columns - width / scale) / 2
    apex = (left - corners_x.min() / scale, TOP - corners_y.min() / scale)
    x0, y0 = int(left), TOP
    x1, y1 = (
        min(machine.columns - 1, int(left + width / scale) + 1),
        min(machine.rows - 1, int(TOP + height / scale) + 1),
    )
    y, x = np.mgrid[y0 : y1 + 1, x0 : x1 + 1].astype(np.float32)
    down, right = (y - apex[1]) * scale, (x - apex[0]) * scale
    distance, angle = np.hypot(down, right), np.rad2deg(np.arctan2(right, down)) - plane.aside
    row = (distance - plane.near) / (plane.depth - plane.near) * (ranges - 1)
    column = (angle / plane.degrees + 0.5) * (beams - 1)
    outside = (row < 0) | (row > ranges - 1) | (column < 0) | (column > beams - 1)
    row[outside] = column[outside] = -10
    whole, weight = cv2.convertMaps(column.astype(np.float32), row.astype(np.float32), cv2.CV_16SC2)
    return Screen(machine.rows, machine.columns, (x0, y0, x1, y1), float(scale), apex, whole, weight, outside)


def overlay(screen: Screen, plane: Plane, machine: EchoMachine, lines: list[str], label: str) -> Picture:
    """(rows, columns) of what is around the sector: the machine's name, settings, depth scale, grey bar, label."""
    picture = np.zeros((screen.rows, screen.columns), np.uint8)
    small = 0.28
    cv2.putText(picture, machine.model, (3, 9), cv2.FONT_HERSHEY_SIMPLEX, small, 200, 1)
    for number, line in enumerate(lines):
        cv2.putText(picture, line, (3, 20 + 10 * number), cv2.FONT_HERSHEY_SIMPLEX, small, 160, 1)
    cv2.putText(picture, label, (3, screen.rows - 4), cv2.FONT_HERSHEY_SIMPLEX, small, 220, 1)
    x = min(screen.columns - 14, screen.box[2] + 4)
    for centimetre in range(int(plane.near // 10), int(plane.depth // 10) + 1):
        y = round(screen.apex[1] + centimetre * 10 / screen.mm_per_pixel)
        if TOP <= y < screen.rows - 2:
            cv2.line(picture, (x, y), (x + (6 if centimetre % 5 == 0 else 3), y), 170, 1)
    bar = np.linspace(255, 0, 60).astype(np.uint8)[:, None]
    picture[16:76, screen.columns - 6 : screen.columns - 2] = bar
    picture[screen.box[1] : screen.box[3] + 1, screen.box[0] : screen.box[2] + 1][~screen.outside] = 0
    return picture
