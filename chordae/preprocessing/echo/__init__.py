"""Echocardiography: a study's clips become one video of up to 25 tiles, each one beat of one view.

`prepare_echo` is the whole way. Clips are decoded one after the other; the grid is all that is kept of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from chordae.platform.errors import UnreadableRecording
from chordae.preprocessing.dicom import Instance
from chordae.preprocessing.echo.attention import shipped_selector
from chordae.preprocessing.echo.clips import Clip, clips_of
from chordae.preprocessing.echo.cycle import Cycle, cycle_of
from chordae.preprocessing.echo.refusal import refusal
from chordae.preprocessing.echo.sidecar import grid_facts, tile_facts
from chordae.preprocessing.echo.tiles import render, thumbnails
from chordae.preprocessing.echo.views import Candidate, ViewSelector, judge
from chordae.preprocessing.grid import Grid, Layout, PreparedVideo

PREPROCESSING_VERSION = "echo-2"
"""Part of a media digest: raise it whenever the same study would give other pixels."""

LAYOUT = Layout(side=5, tile=256, frames=24, fps=10.0)

__all__ = ["LAYOUT", "PREPROCESSING_VERSION", "look", "prepare_echo"]


@dataclass(frozen=True)
class Seen:
    """A clip after a first look."""

    clip: Clip
    cycle: Cycle
    candidate: Candidate


def prepare_echo(
    instances: Sequence[Instance], question: str = "", selector: ViewSelector | None = None
) -> PreparedVideo:
    """The objects of one patient's study to the video that the echo expert looks at.

    Clips that cannot be used are set aside and counted in the sidecar; one that can is enough. `selector` chooses where
    there are more of them than tiles; none: the one that ships.

    Raises:
        UnreadableRecording: no clip can be used; the reason is the one that lets the sender do most about it.
    """
    chooser = selector or shipped_selector()
    clips, set_aside = clips_of(instances)
    seen = look(clips, set_aside)
    while seen:
        ranking = chooser.select([one.candidate for one in seen], _TILES, question)
        try:
            return _video([seen[index] for index in ranking], len(clips), set_aside)
        except UnreadableRecording:
            # seldom: damage that the first look did not meet. All tiles are tried, so that this happens once
            seen = _sound(seen, set_aside)
    raise refusal(set_aside)


_TILES = LAYOUT.side**2


def look(clips: list[Clip], set_aside: Counter[str]) -> list[Seen]:
    """A few frames of each clip; those that cannot be decoded or show no sector are set aside."""
    seen = []
    for clip in clips:
        cycle = cycle_of(clip.instance, LAYOUT.frames)
        try:
            small = thumbnails(clip, cycle)
        except UnreadableRecording as error:
            set_aside[error.reason] += 1
        else:
            seen.append(Seen(clip, cycle, Candidate(clip.number, small, judge(small))))
    return seen


def _sound(seen: list[Seen], set_aside: Counter[str]) -> list[Seen]:
    """Those of which the whole tile can be made."""
    sound = []
    for one in seen:
        try:
            render(one.clip, one.cycle, LAYOUT.tile)
        except UnreadableRecording as error:
            set_aside[error.reason] += 1
        else:
            sound.append(one)
    return sound


def _video(ranked: list[Seen], clips: int, set_aside: Counter[str]) -> PreparedVideo:
    """The grid, in the order in which the clips were taken: it is the order in which a study is read."""
    layout = LAYOUT.shrunk(len(ranked))
    grid, tiles = Grid(layout), []
    for rank, one in sorted(enumerate(ranked, start=1), key=lambda pair: pair[1].clip.number):
        tile = render(one.clip, one.cycle, layout.tile)
        place = grid.add(tile.frames)
        tiles.append(tile_facts(one.clip, one.cycle, tile.sector, one.candidate, place, rank))
    sidecar = grid_facts(PREPROCESSING_VERSION, layout, tiles, clips, set_aside)
    return PreparedVideo(grid.mp4(), PREPROCESSING_VERSION, sidecar)
