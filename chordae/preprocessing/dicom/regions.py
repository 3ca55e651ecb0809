"""What an ultrasound picture is made of: its regions (PS3.3 C.8.5.5), as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass

from chordae.platform.errors import UnreadableRecording
from chordae.preprocessing.dicom.instance import Instance

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom are the first ones outside."""

TWO_D, M_MODE, SPECTRAL = 1, 2, 3
"""Region Spatial Format (C.8.5.5.1.1)."""
TISSUE, COLOUR_FLOW = 1, 2
"""Region Data Type (C.8.5.5.1.2)."""


@dataclass(frozen=True)
class Region:
    """One part of the picture, where its header says it lies: it need not lie inside the picture."""

    spatial_format: int
    data_type: int
    box: Box


def ultrasound_regions(instance: Instance) -> list[Region]:
    """The picture's regions; none where the header does not tell.

    Raises:
        UnreadableRecording: the sequence is damaged.
    """
    try:
        return [
            Region(
                int(item.get("RegionSpatialFormat") or 0),
                int(item.get("RegionDataType") or 0),
                (
                    int(item.get("RegionLocationMinX0") or 0),
                    int(item.get("RegionLocationMinY0") or 0),
                    int(item.get("RegionLocationMaxX1") or 0) + 1,
                    int(item.get("RegionLocationMaxY1") or 0) + 1,
                ),
            )
            for item in instance.sequence("SequenceOfUltrasoundRegions")
        ]
    except Exception:  # noqa: BLE001 - pydicom raises anything; its messages may quote the file
        raise UnreadableRecording("The ultrasound regions are damaged", "export it again", "bad_header") from None
