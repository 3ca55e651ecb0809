"""Files to `EcgRecording`: what a file holds decides, then its name. To add a format, add a row to `READERS`."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chordae.platform.errors import ChordaeError, UnreadableRecording
from chordae.preprocessing import dicom
from chordae.preprocessing.ecg.recording import LEADS, EcgRecording, lead_index

NPY_RATE = 500.0
"""Hz: what MARCUS's `.npy` files have by convention; the format itself names no rate."""

MAX_BYTES = 256 * 1024 * 1024
MAX_SAMPLES = 64 * 1024 * 1024

MILLIVOLTS = {"v": 1e3, "mv": 1.0, "uv": 1e-3, "\N{MICRO SIGN}v": 1e-3, "\N{GREEK SMALL LETTER MU}v": 1e-3, "nv": 1e-6}

_FORMATS = "a 12-lead ECG as .npy, DICOM waveform or WFDB"

LEAD_CODES = {1: "I", 2: "II", 61: "III", 62: "aVR", 63: "aVL", 64: "aVF"} | {n + 2: f"V{n}" for n in range(1, 7)}
"""Last part of the codes SCPECG 5.6.3-9-n and MDC 2:n (DICOM CID 3001, ISO/IEEE 11073-10101 and 11073-91064)."""

_CODE = re.compile(r"(?:5\.6\.3-9-|2:)(\d+)")
_MEANING = re.compile(r"(?:lead\s+)?(\w+)(?:\s*\(.*\))?|augmented voltage, \w+ \((avr|avl|avf)\)", re.IGNORECASE)


@dataclass(frozen=True)
class Reader:
    """One format: `claims` looks at the path and the first 512 bytes, `read` does the work."""

    name: str
    claims: Callable[[Path, bytes], bool]
    read: Callable[[Path], EcgRecording]


def read_ecg(path: Path) -> EcgRecording:
    """The recording in a file, in mV and standard lead order; nothing is filtered or cut.

    Raises UnreadableRecording, with what to do about it, for anything that is not one.
    """
    try:
        with path.open("rb") as file:
            head = file.read(512)
        size = path.stat().st_size
    except (OSError, ValueError):
        raise UnreadableRecording("The file cannot be opened", "check that it exists and may be read") from None
    if size > MAX_BYTES:
        raise UnreadableRecording("The file is too large for an ECG", "cut out the ten seconds in question")
    if not head:
        raise UnreadableRecording("The file is empty", f"send {_FORMATS}")
    reader = next((reader for reader in READERS if reader.claims(path, head)), None)
    if reader is None:
        raise UnreadableRecording("The file is not an ECG that can be read here", f"send {_FORMATS}")
    try:
        return reader.read(path)
    except ChordaeError:
        raise
    except Exception as error:  # noqa: BLE001 - parsers of foreign formats raise anything; their messages may quote the file
        raise UnreadableRecording(
            f"The {reader.name} file is damaged or truncated ({type(error).__name__})", "export or copy it again"
        ) from None


def read_npy(path: Path) -> EcgRecording:
    """(12, N) mV at 500 Hz, any real number type; pickled objects are never loaded."""
    array = np.load(path, allow_pickle=False)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        raise UnreadableRecording(
            "The .npy file does not hold real numbers", "save a float array of shape (12, N) in mV"
        )
    if array.ndim != 2 or array.shape[0] != len(LEADS):
        transposed = array.ndim == 2 and array.shape[1] == len(LEADS)
        raise UnreadableRecording(
            f"The .npy array has shape {array.shape}, not (12, N)",
            "transpose it" if transposed else "save all 12 leads as rows I, II, III, aVR, aVL, aVF, V1 to V6",
        )
    with np.errstate(over="ignore"):  # what does not fit a float32 becomes infinite and is refused as such
        return EcgRecording(array.astype(np.float32), NPY_RATE, "npy")


def read_dicom(path: Path) -> EcgRecording:
    """The rhythm of a DICOM ECG: of the recorded groups with 12 leads (a median beat is a derived one) the longest."""
    groups = dicom.read_waveforms(path.read_bytes())
    candidates = [(_lead_rows(group), group) for group in groups]
    rows, best = max(candidates, key=lambda pair: (len(pair[0]), pair[1].samples.shape[1] / pair[1].rate))
    _require_all([LEADS[lead] for lead in rows])
    order = [rows[lead] for lead in range(len(LEADS))]
    scale = _to_millivolts([best.channels[row].unit for row in order])
    signal = best.samples[order]
    signal *= scale
    return EcgRecording(signal, best.rate, "dicom")


def read_wfdb(path: Path) -> EcgRecording:
    """A single-segment WFDB record, from its header or its signal file; both must lie in the same folder."""
    import wfdb  # brings pandas along: only for those who need it

    header = path.resolve().with_suffix(".hea")
    if not header.is_file():
        raise UnreadableRecording("The WFDB header (.hea) is missing", "send the .hea beside the .dat or .mat")
    if re.search("::|://", str(header)):  # fsspec, underneath, would take it for an address
        raise UnreadableRecording("The WFDB record has an unusual name", "rename it to letters, digits and underscores")
    record_name = str(header.with_suffix(""))
    head = wfdb.rdheader(record_name)
    if getattr(head, "n_seg", 1) != 1 or not isinstance(head, wfdb.Record):
        raise UnreadableRecording("The WFDB record has several segments", "send one segment as a record of its own")
    _require_all(head.sig_name or [])
    for name in head.file_name:
        if not re.fullmatch(r"\w[\w.-]*", name) or not (header.parent / name).is_file():
            raise UnreadableRecording("The WFDB record lacks its signal file", "send the .dat or .mat beside the .hea")
    if (head.sig_len or 0) * sum(head.samps_per_frame or [1]) > MAX_SAMPLES:
        raise UnreadableRecording("The WFDB record is too long", "cut out the ten seconds in question")
    record = wfdb.rdrecord(record_name)
    rows = {lead_index(name): row for row, name in reversed(list(enumerate(record.sig_name)))}
    order = [rows[lead] for lead in range(len(LEADS))]
    scale = _to_millivolts([record.units[row] for row in order])
    signal = record.p_signal.T[order].astype(np.float32) * scale
    return EcgRecording(signal, float(record.fs), "wfdb")


READERS: tuple[Reader, ...] = (
    Reader(".npy", lambda path, head: head.startswith(b"\x93NUMPY"), read_npy),
    Reader("DICOM", lambda path, head: head[dicom.MAGIC_OFFSET :].startswith(dicom.MAGIC), read_dicom),
    Reader("WFDB", lambda path, head: path.suffix.lower() in {".hea", ".dat", ".mat"}, read_wfdb),
)


def _lead_rows(group: dicom.WaveformGroup) -> dict[int, int]:
    """Which channel holds which lead of `LEADS`; of two with the same name the first counts."""
    rows: dict[int, int] = {}
    for row, channel in enumerate(group.channels[: len(group.samples)]):
        lead = _dicom_lead(channel)
        if lead is not None:
            rows.setdefault(lead, row)
    return rows


def _dicom_lead(channel: dicom.Channel) -> int | None:
    code = _CODE.fullmatch(channel.code.strip())
    if code:
        return lead_index(LEAD_CODES.get(int(code[1]), ""))
    meaning = _MEANING.fullmatch(channel.meaning.strip())
    return lead_index(meaning[1] or meaning[2]) if meaning else None


def _require_all(names: Sequence[str]) -> None:
    present = {lead_index(name) for name in names}
    missing = [lead for index, lead in enumerate(LEADS) if index not in present]
    if missing:
        raise UnreadableRecording(
            f"The recording has fewer than 12 leads: {', '.join(missing)} not found", "send a 12-lead ECG"
        )


def _to_millivolts(units: Sequence[str]) -> NDArray[np.float32]:
    factors = [MILLIVOLTS.get(unit.strip().lower()) for unit in units]
    if any(factor is None for factor in factors):
        raise UnreadableRecording(
            "The file does not say in which unit of voltage its samples are", "export it with units of mV or uV"
        )
    return np.array(factors, dtype=np.float32)[:, np.newaxis]
