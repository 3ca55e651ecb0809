"""A 12-lead ECG as it came out of a file: millivolts, standard lead order, nothing that names a patient."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chordae.platform.errors import UnreadableRecording

Signal = NDArray[np.float32]

LEADS: tuple[str, ...] = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")

_BY_LOWER_NAME = {lead.lower(): index for index, lead in enumerate(LEADS)}


@dataclass(frozen=True)
class EcgRecording:
    """`signal` is (12, N) in mV, rows as in `LEADS`; `rate` is in Hz; `source` names the file format.

    `flags` are short machine-readable remarks, such as "cropped", that travel with the picture.
    """

    signal: Signal
    rate: float
    source: str
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.signal.ndim != 2 or self.signal.shape[0] != len(LEADS):
            raise UnreadableRecording(
                "The recording does not have 12 leads", "send a 12-lead ECG: I, II, III, aVR, aVL, aVF and V1 to V6"
            )

    @property
    def duration(self) -> float:
        """Seconds."""
        return float(self.signal.shape[1] / self.rate)


def lead_index(name: str) -> int | None:
    """The row of a lead whatever its spelling ("AVR", "Lead aVR", "v1"), None for anything else."""
    word = name.strip().lower().removeprefix("lead").strip()
    return _BY_LOWER_NAME.get(word)
