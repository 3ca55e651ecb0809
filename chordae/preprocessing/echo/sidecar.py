"""What the video shows, tile by tile, so that an answer can point at its evidence.

An allow-list of facts: numbers, and words of this package. Nothing of a header's text gets in.
"""

from __future__ import annotations

from collections import Counter

from chordae.preprocessing.dicom.regions import COLOUR_FLOW
from chordae.preprocessing.echo.clips import Clip, is_plane
from chordae.preprocessing.echo.cycle import Cycle, frame_times
from chordae.preprocessing.echo.sector import Sector
from chordae.preprocessing.echo.views import Candidate, has_colour
from chordae.preprocessing.grid import Layout
from chordae.preprocessing.identity import harmless_number


def grid_facts(
    version: str, layout: Layout, tiles: list[dict[str, object]], clips: int, set_aside: Counter[str]
) -> dict[str, object]:
    """About the whole video, and what of the study is not in it."""
    return {
        "preprocessing_version": version,
        "modality": "echo",
        "grid": {"side": layout.side, "tile_px": layout.tile, "frames": layout.frames, "fps": layout.fps},
        "clips": clips,
        "set_aside": dict(sorted(set_aside.items())),
        "tiles": tiles,
    }


def tile_facts(
    clip: Clip,
    cycle: Cycle,
    sector: Sector,
    candidate: Candidate,
    place: tuple[int, int],
    rank: int,
) -> dict[str, object]:
    """About one tile: where it is, which clip and which of its frames (from 0) it shows, and how good it is."""
    instance = clip.instance
    coloured = any(is_plane(region) and region.data_type == COLOUR_FLOW for region in clip.regions)
    times, quality = frame_times(instance), candidate.quality
    return {
        "row": place[0],
        "column": place[1],
        "clip": clip.number,
        "series_number": harmless_number(instance.number("SeriesNumber")),
        "instance_number": harmless_number(instance.number("InstanceNumber")),
        "rank": rank,
        "shows": "colour_doppler" if coloured or has_colour(candidate.thumbnails) else "2d",
        "planes": len(sector.outlines),
        "frames": list(cycle.frames),
        "frames_in_clip": instance.frames,
        "cycle": cycle.basis,
        "frame_ms": None if times is None else round(float(times[-1]) / max(1, len(times) - 1), 3),
        "sector": {"box": list(sector.box), "found_by": sector.found_by},
        "quality": {
            "overall": round(quality.overall, 3),
            "contrast": round(quality.contrast, 3),
            "sharpness": round(quality.sharpness, 3),
            "fill": round(quality.fill, 3),
            "motion": round(quality.motion, 3),
        },
    }
