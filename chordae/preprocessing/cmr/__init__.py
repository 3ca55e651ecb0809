"""Cardiac MR: route the series, choose what the question needs, and lay it out as one video.

`prepare_cmr` is the whole way from a study's DICOM objects to what the expert looks at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from numpy.typing import NDArray

from chordae.platform.errors import UnreadableRecording
from chordae.preprocessing import dicom
from chordae.preprocessing.cmr.router import Routed, route
from chordae.preprocessing.cmr.selection import Tile, focus, plan
from chordae.preprocessing.cmr.series import stacks
from chordae.preprocessing.cmr.window import eight_bits, shrunk
from chordae.preprocessing.dicom import Instance
from chordae.preprocessing.grid import Grid, Layout, PreparedVideo
from chordae.preprocessing.identity import harmless_number

PREPROCESSING_VERSION = "cmr-1"
"""Part of a media digest: raise it whenever the same study would give other pixels."""

LAYOUT = Layout(side=4, tile=240, frames=16, fps=16.0)
"""MARCUS's grid for CMR; a heartbeat takes one second."""

__all__ = ["LAYOUT", "PREPROCESSING_VERSION", "lay_out", "prepare_cmr"]


def prepare_cmr(instances: Sequence[Instance], question: str = "") -> PreparedVideo:
    """A study's DICOM objects as a grid of moving tiles. The same objects in any order give the same bytes.

    Raises:
        UnreadableRecording: `scouts_only`, `not_cardiac`, `nothing_diagnostic`, the reason why no object could be used,
            or that of the last tile where none could be decoded.
    """
    grid, sidecar = lay_out(instances, question)
    return PreparedVideo(grid.mp4(), PREPROCESSING_VERSION, sidecar)


def lay_out(instances: Sequence[Instance], question: str = "") -> tuple[Grid, dict[str, object]]:
    """The grid before it is encoded, and what it shows. Raises as `prepare_cmr` does."""
    set_aside = Counter[str]()
    found = stacks(instances, set_aside)
    if not found:
        raise _nothing(set_aside)
    routed = route(found)
    topic = focus(question)
    shown = _decoded(plan(routed, topic), set_aside)
    layout = LAYOUT.shrunk(len(shown))
    grid = Grid(layout)
    tiles = []
    for tile, numbers, frames, window in shown:
        row, column = grid.add(frames)
        tiles.append({"row": row, "column": column, **_facts(tile, numbers), "window": window})
    return grid, {
        "preprocessing_version": PREPROCESSING_VERSION,
        "focus": topic,
        "grid": {"side": layout.side, "tile_px": layout.tile, "frames": layout.frames, "fps": layout.fps},
        "tiles": tiles,
        "series": [_series(one) for one in routed],
        "set_aside": dict(sorted(set_aside.items())),
    }


Shown = tuple[Tile, list[int], list[NDArray[Any]], dict[str, object]]
"""A tile, which of its phases (from 0) are shown, their frames in eight bits, and its window."""


def _decoded(tiles: Sequence[Tile], set_aside: Counter[str]) -> list[Shown]:
    """The tiles whose pixels can be read. A damaged one is left out and counted: the others are still evidence."""
    shown: list[Shown] = []
    spares: list[NDArray[Any]] = []
    problem = UnreadableRecording(
        "The study holds no series that is shown",
        "send cines, late enhancement or maps",
        "nothing_diagnostic",
    )
    for tile in tiles:
        numbers = phases_shown(len(tile.phases))
        pictures = [tile.phases[number] for number in numbers]
        try:
            raw = [
                shrunk(dicom.decode(picture.instance, [picture.frame])[0], LAYOUT.tile, spare)
                for picture, spare in zip_longest(pictures, spares[: len(pictures)])
            ]
        except UnreadableRecording as error:
            set_aside[f"tile_{error.reason}"] += 1
            problem = error
            continue
        spares = raw
        routed = tile.routed
        frames, window = eight_bits(raw, routed.label, routed.stack.component, pictures[0].values)
        shown.append((tile, numbers, frames, window))
    if not shown:
        raise problem
    return shown


def phases_shown(count: int) -> list[int]:
    """Which of so many phases become frames, evenly: all of them where there are no more than frames."""
    if count <= LAYOUT.frames:
        return list(range(count))
    return [index * count // LAYOUT.frames for index in range(LAYOUT.frames)]


def _facts(tile: Tile, numbers: Sequence[int]) -> dict[str, object]:
    """An allow-list of what a tile shows: our own labels and numbers, no text of the header."""
    one = tile.routed
    shown = [tile.phases[number] for number in numbers]
    return {
        "sequence": one.label.value,
        "view": one.view,
        "series": harmless_number(one.stack.number),
        "slice": {"number": tile.number, "of": tile.of},
        "phases": {"numbers": [number + 1 for number in numbers], "of": len(tile.phases)},
        "images": [harmless_number(picture.number) for picture in shown],
        # of multi-frame objects, in which all images have one number
        **({"image_frames": [picture.frame + 1 for picture in shown]} if shown[0].instance.frames > 1 else {}),
    }


def _series(one: Routed) -> dict[str, object]:
    return {
        "series": harmless_number(one.stack.number),
        "sequence": one.label.value,
        "told_by": one.basis,
        "rule": one.rule,
        "view": one.view,
        "view_told_by": one.view_basis,
        "slices": len(one.stack.slices),
        "phases": one.stack.phases,
        "component": one.stack.component,
    }


def _nothing(set_aside: Counter[str]) -> UnreadableRecording:
    reason = set_aside.most_common(1)[0][0] if set_aside else "empty"
    return UnreadableRecording("The study holds no MR image that can be read", "send a cardiac MR study", reason)
