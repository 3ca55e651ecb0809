"""A 12-lead ECG as it came out of a file: millivolts, standard lead order, nothing that names a patient."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chordae.platform.errors import UnreadableRecording
from chordae.preprocessing.ecg.device import NO_REPORT, DeviceReport

Signal = NDArray[np.float32]

LEADS: tuple[str, ...] = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
LIMB_LEADS = range(6)

LEAD_CODES = {1: "I", 2: "II", 61: "III", 62: "aVR", 63: "aVL", 64: "aVF"} | {n + 2: f"V{n}" for n in range(1, 7)}
"""SCP-ECG's lead numbers, which MDC and DICOM took over (ISO 11073-91064, ISO/IEEE 11073-10101, DICOM CID 3001)."""

MILLIVOLTS = {"v": 1e3, "mv": 1.0, "uv": 1e-3, "\N{MICRO SIGN}v": 1e-3, "\N{GREEK SMALL LETTER MU}v": 1e-3, "nv": 1e-6}

_FROM_I_AND_II = np.array([[1, 0], [0, 1], [-1, 1], [-0.5, -0.5], [1, -0.5], [-0.5, 1]], dtype=np.float32)
"""Each limb lead in terms of I and II: Einthoven's law and Goldberger's augmented leads."""

_BY_LOWER_NAME = {lead.lower(): index for index, lead in enumerate(LEADS)}


@dataclass(frozen=True)
class Window:
    """Which part of a recording was kept: seconds from its start, and how many of them were recorded."""

    start: float
    seconds: float


@dataclass(frozen=True)
class EcgRecording:
    """`signal` is (12, N) in mV, rows as in `LEADS`; `rate` is in Hz; `source` names the file format.

    `flags` are short machine-readable remarks, such as "flat:V1", that travel with the picture; `device` is what the
    electrocardiograph itself said. `window` is set by cleaning.
    """

    signal: Signal
    rate: float
    source: str
    flags: tuple[str, ...] = ()
    device: DeviceReport = NO_REPORT
    window: Window | None = None

    def __post_init__(self) -> None:
        if self.signal.ndim != 2 or self.signal.shape[0] != len(LEADS):
            raise UnreadableRecording(
                "The recording does not have 12 leads",
                "send a 12-lead ECG: I, II, III, aVR, aVL, aVF and V1 to V6",
                "missing_leads",
            )

    @property
    def duration(self) -> float:
        """Seconds."""
        return float(self.signal.shape[1] / self.rate)


def lead_index(name: str) -> int | None:
    """The row of a lead whatever its spelling ("AVR", "Lead aVR", "v1"), None for anything else."""
    word = name.strip().lower().removeprefix("lead").strip()
    return _BY_LOWER_NAME.get(word)


def in_standard_order(samples: Signal, rows: Mapping[int, int]) -> tuple[Signal, tuple[str, ...]]:
    """The rows of `samples` (channels, N) as the 12 leads, and flags for those that had to be derived.

    `rows` says which channel holds which lead. Two limb leads give the other four; a chest lead has no substitute.
    Raises UnreadableRecording, naming what is missing, where that does not make 12.
    """
    missing = [lead for lead in range(len(LEADS)) if lead not in rows]
    if not missing:
        order = [rows[lead] for lead in range(len(LEADS))]
        return samples if order == list(range(len(samples))) else samples[order], ()  # a copy costs as much as reading
    limb = [lead for lead in LIMB_LEADS if lead in rows]
    if missing[-1] not in LIMB_LEADS or len(limb) < 2:
        names = ", ".join(LEADS[lead] for lead in missing)
        raise UnreadableRecording(
            f"The recording has fewer than 12 leads: {names} not found", "send a 12-lead ECG", "missing_leads"
        )
    signal = samples[[rows.get(lead, rows[limb[0]]) for lead in range(len(LEADS))]]
    derive_limb_leads(signal, missing)
    derived = named("derived", missing)
    # Devices that store eight leads, I, II and the chest, mean the others to be derived: nothing is amiss.
    return signal, (derived,) if limb == [0, 1] else (named("missing", missing), derived)


def derive_limb_leads(signal: Signal, wanted: list[int]) -> None:
    """Overwrite these limb leads of `signal` (12, N) by what the first two others say; raises ValueError below two."""
    first, second, *_ = [lead for lead in LIMB_LEADS if lead not in wanted]
    basis = np.linalg.inv(_FROM_I_AND_II[[first, second]])
    signal[wanted] = (_FROM_I_AND_II[wanted] @ basis).astype(np.float32) @ signal[[first, second]]


def stacked(channels: Mapping[int, NDArray[np.float32]]) -> tuple[Signal, tuple[str, ...]]:
    """12 leads, as `in_standard_order`, from separate ones of (N,) mV, which must be equally long."""
    if len({len(samples) for samples in channels.values()}) > 1:
        raise UnreadableRecording(
            "The leads of the recording differ in length",
            "send a recording with all leads taken at the same time",
            "leads_differ",
        )
    samples = np.stack(list(channels.values())) if channels else np.empty((0, 0), dtype=np.float32)
    return in_standard_order(samples, {lead: row for row, lead in enumerate(channels)})


def named(kind: str, leads: list[int]) -> str:
    """A flag about some leads: "flat:V1,V6"."""
    return f"{kind}:{','.join(LEADS[lead] for lead in leads)}"


def to_millivolts(units: Sequence[str], rows: Mapping[int, int]) -> NDArray[np.float32]:
    """(channels, 1) factors; channels that hold no lead may have any unit."""
    factors = [MILLIVOLTS.get(unit.strip().lower()) if row in rows.values() else 1.0 for row, unit in enumerate(units)]
    if None in factors:
        raise UnreadableRecording(
            "The file does not say in which unit of voltage its samples are",
            "export it with units of mV or uV",
            "unknown_scale",
        )
    return np.array(factors, dtype=np.float32)[:, np.newaxis]
