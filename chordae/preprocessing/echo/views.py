"""Which clips are worth a tile: the ones that show most, and do not all show the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Quality:
    """How well a clip can be read, 0 to 1 each."""

    contrast: float
    sharpness: float
    fill: float
    motion: float

    @property
    def overall(self) -> float:
        """Their mean: a clip that is blurred or still may yet be the only one of its view."""
        return (self.contrast + self.sharpness + self.fill + self.motion) / 4


@dataclass(frozen=True)
class Candidate:
    """A clip as a selector sees it: its place in the study; (frames, 64, 64, 3) uint8 BGR of its sector, black outside;
    and how well it can be read."""

    number: int
    thumbnails: NDArray[np.uint8] = field(repr=False)
    quality: Quality


class ViewSelector(Protocol):
    """Chooses clips. The same candidates in the same order and the same question always give the same choice."""

    def select(self, candidates: Sequence[Candidate], limit: int, question: str) -> list[int]:
        """Positions in `candidates`, the most telling first, none twice, as many as there are but `limit` at most."""
        ...


def diverse(worth: NDArray[Any], described: NDArray[Any], order: Sequence[int], limit: int) -> list[int]:
    """Positions of the clips that are worth most and do not all show the same, the best first.

    Greedy, by maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998): each next clip is the one with the most
    worth, 0 to 1, less its likeness to the likest of those chosen before.

    Args:
        worth: (clips,).
        described: (clips, features) unit vectors, as `describe` gives them.
        order: (clips,) places in the study; of equals the earlier is taken.
        limit: how many at most.
    """
    likeness = np.zeros(len(worth))
    left, chosen = list(range(len(worth))), list[int]()
    while left and len(chosen) < limit:
        # rounded: what differs by less is equal, whatever the processor
        best = max(left, key=lambda index: (round(float(worth[index] - likeness[index]), 6), -order[index]))
        left.remove(best)
        chosen.append(best)
        # not by BLAS, which rounds equal rows by their place
        likeness = np.maximum(likeness, np.einsum("cf,f->c", described, described[best]))
    return chosen


def judge(thumbnails: NDArray[np.uint8]) -> Quality:
    """Contrast, sharpness, how much of the sector shows something, and how much of it moves.

    Each is x / (x + what a usable clip has), so that more of it helps ever less. Grey levels inside the sector.
    """
    grey = [cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), (3, 3), 0.8) for picture in thumbnails]
    most, least = np.maximum.reduce(grey), np.minimum.reduce(grey)
    inside = (most > 0).astype(np.uint8)
    if not inside.any():
        return Quality(0.0, 0.0, 0.0, 0.0)
    edges = [cv2.convertScaleAbs(cv2.Laplacian(picture, cv2.CV_16S)) for picture in grey]
    return Quality(
        contrast=_saturating(float(cv2.meanStdDev(np.stack(grey, axis=-1), mask=inside)[1].mean()), 30.0),
        sharpness=_saturating(float(np.mean([cv2.mean(picture, inside)[0] for picture in edges])), 4.0),
        fill=cv2.mean((most > 16).astype(np.uint8), inside)[0],
        motion=_saturating(cv2.mean(cv2.subtract(most, least), inside)[0], 12.0),
    )


def describe(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A vector of length 1 for what a clip shows: tissue, where it moves, and where colour flows.

    The product of two is their likeness, 1 for the same clip.
    """
    grey = np.stack([cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) for picture in thumbnails]).astype(np.float32)
    colour = np.stack([_saturation(picture) for picture in thumbnails]).mean(axis=0, dtype=np.float32)
    parts = [
        _unit(_coarse(grey.mean(axis=0), 16), centred=True),
        0.5 * _unit(_coarse(grey.max(axis=0) - grey.min(axis=0), 8), centred=True),
        _coarse(colour, 8) / 64,  # not to unit length: no colour is no colour
    ]
    return _unit(np.concatenate(parts))


def has_colour(thumbnails: NDArray[np.uint8]) -> bool:
    """Whether some of the sector is coloured, as by colour Doppler; a tint of the whole picture is none."""
    return bool(np.mean([(_saturation(picture) > 64).mean() for picture in thumbnails]) > 0.005)


def _saturation(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    blue, green, red = cv2.split(picture)
    most, least = cv2.max(cv2.max(blue, green), red), cv2.min(cv2.min(blue, green), red)
    return np.asarray(cv2.subtract(most, least), np.uint8)


def _saturating(value: float, usual: float) -> float:
    return value / (value + usual)


def _coarse(picture: NDArray[np.float32], edge: int) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(picture, (edge, edge), interpolation=cv2.INTER_AREA), np.float32).ravel()


def _unit(vector: NDArray[np.float32], centred: bool = False) -> NDArray[np.float32]:
    if centred:
        vector = vector - vector.mean()
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0 else vector
