"""Files to `EcgRecording`: what a file holds decides, then its name. To add a format, add a row to `READERS`."""

import io
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from chordae.platform.errors import ChordaeError, UnreadableRecording
from chordae.preprocessing import dicom
from chordae.preprocessing.ecg import aecg, cardiosoft, dicom_ecg, matlab, muse, philips, scp, xmlfile
from chordae.preprocessing.ecg.recording import (
    LEADS,
    EcgRecording,
    in_standard_order,
    lead_index,
    to_millivolts,
)
from chordae.preprocessing.ecg.source import EcgFile, from_bytes, from_path

NPY_RATE = 500.0
"""Hz: what MARCUS's `.npy` files have by convention; the format itself names no rate."""

MAX_SAMPLES = 64 * 1024 * 1024

FORMATS = "a 12-lead ECG as .npy, DICOM, WFDB, SCP-ECG, MATLAB, MUSE, CardioSoft or Philips XML, or HL7 aECG"

_OTHER_KINDS = (
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Salted__", "encrypted"),
    (b"age-encryption.org", "encrypted"),
    (b"-----BEGIN PGP MESSAGE", "encrypted"),
    (b"\xd0\xcf\x11\xe0", "a Microsoft Office or encrypted file"),
    (b"\x89HDF", "an HDF5 file"),
    (b"ISHNE1.0", "an ISHNE Holter recording"),
    (b"0       ", "an EDF recording"),
    (b"<!DOCTYPE html", "a web page"),
    (b"<html", "a web page"),
)
"""Often sent by mistake: told by name. ISHNE and EDF have no twelve simultaneous standard leads to rely on."""


@dataclass(frozen=True)
class Reader:
    """One format: `claims` looks at the name and the first bytes, `read` does the work."""

    name: str
    claims: Callable[[EcgFile], bool]
    read: Callable[[EcgFile], EcgRecording]


def read_ecg(path: Path) -> EcgRecording:
    """The recording in a file, in mV and standard lead order; nothing is filtered or cut.

    Raises UnreadableRecording, with what to do about it, for anything that is not one.
    """
    return _read(from_path(path))


def read_ecg_bytes(name: str, data: bytes, siblings: Mapping[str, bytes] | None = None) -> EcgRecording:
    """The same for a file that is not on disk; `siblings` are those beside it by name, which WFDB needs."""
    return _read(from_bytes(name, data, siblings or {}))


def _read(file: EcgFile) -> EcgRecording:
    if not file.data:
        raise UnreadableRecording("The file is empty", f"send {FORMATS}", "empty")
    reader = next((reader for reader in READERS if reader.claims(file)), None)
    if reader is None:
        kind = next((kind for start, kind in _OTHER_KINDS if file.data.startswith(start)), None)
        what = f"is {kind}, not an ECG" if kind else "is not an ECG"
        raise UnreadableRecording(f"The file {what} that can be read here", f"send {FORMATS}", "not_an_ecg")
    try:
        return reader.read(file)
    except ChordaeError:
        raise
    except Exception as error:  # noqa: BLE001 - parsers of foreign formats raise anything; their messages may quote the file
        raise UnreadableRecording(
            f"The {reader.name} file is damaged or truncated ({type(error).__name__})",
            "export or copy it again",
            "damaged",
        ) from None


def read_npy(file: EcgFile) -> EcgRecording:
    """(12, N) mV at 500 Hz, any real number type; pickled objects are never loaded."""
    array = np.load(io.BytesIO(file.data), allow_pickle=False)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        raise UnreadableRecording(
            "The .npy file does not hold real numbers", "save a float array of shape (12, N) in mV", "invalid_samples"
        )
    if array.ndim != 2 or array.shape[0] != len(LEADS):
        transposed = array.ndim == 2 and array.shape[1] == len(LEADS)
        raise UnreadableRecording(
            f"The .npy array has shape {array.shape}, not (12, N)",
            "transpose it" if transposed else "save all 12 leads as rows I, II, III, aVR, aVL, aVF, V1 to V6",
            "missing_leads",
        )
    with np.errstate(over="ignore"):  # what does not fit a float32 becomes infinite and is refused as such
        return EcgRecording(array.astype(np.float32), NPY_RATE, "npy")


def read_wfdb(file: EcgFile) -> EcgRecording:
    """A single-segment WFDB record, from its header or its signal file; the wfdb package wants both on disk."""
    import wfdb  # brings pandas along: only for those who need it

    if file.header is None:
        raise UnreadableRecording(
            "The WFDB header (.hea) is missing", "send the .hea beside the .dat or .mat", "incomplete"
        )
    with tempfile.TemporaryDirectory(prefix="chordae-") as folder:
        (Path(folder) / "record.hea").write_bytes(file.header)
        record_name = str(Path(folder) / "record")
        head = wfdb.rdheader(record_name)
        if getattr(head, "n_seg", 1) != 1 or not isinstance(head, wfdb.Record):
            raise UnreadableRecording(
                "The WFDB record has several segments", "send one segment as a record of its own", "encoding"
            )
        rows = {
            lead: row
            for row, name in reversed(list(enumerate(head.sig_name or [])))
            if (lead := lead_index(name)) is not None
        }
        in_standard_order(np.empty((len(head.sig_name or []), 0), dtype=np.float32), rows)
        if (head.sig_len or 0) * sum(head.samps_per_frame or [1]) > MAX_SAMPLES:
            raise UnreadableRecording("The WFDB record is too long", "cut out the ten seconds in question", "too_large")
        for name in set(head.file_name):
            content = None
            if re.fullmatch(r"\w[\w.-]*", name) and name != "record.hea":
                content = file.data if name == file.name else file.sibling(name)
            if content is None:
                raise UnreadableRecording(
                    "The WFDB record lacks its signal file", "send the .dat or .mat beside the .hea", "incomplete"
                )
            (Path(folder) / name).write_bytes(content)
        record = wfdb.rdrecord(record_name)
    samples = record.p_signal.T.astype(np.float32)
    samples *= to_millivolts(record.units, rows)
    signal, flags = in_standard_order(samples, rows)
    return EcgRecording(signal, float(record.fs), "wfdb", flags)


def _has_root(name: str) -> Callable[[EcgFile], bool]:
    return lambda file: xmlfile.root_name(file.data) == name


READERS: tuple[Reader, ...] = (
    Reader(".npy", lambda file: file.data.startswith(b"\x93NUMPY"), read_npy),
    Reader("DICOM", lambda file: file.data.startswith(dicom.MAGIC, dicom.MAGIC_OFFSET), dicom_ecg.read_dicom),
    Reader("MUSE XML", _has_root(muse.ROOT), muse.read_muse),
    Reader("CardioSoft XML", _has_root(cardiosoft.ROOT), cardiosoft.read_cardiosoft),
    Reader("Philips XML", _has_root(philips.ROOT), philips.read_philips),
    Reader("HL7 aECG", _has_root(aecg.ROOT), aecg.read_aecg),
    Reader("SCP-ECG", lambda file: file.suffix == ".scp" or scp.MAGIC in file.data[:32], scp.read_scp),
    Reader("MATLAB", lambda file: file.data.startswith((matlab.MAGIC, matlab.HDF5_MAGIC)), matlab.read_matlab),
    # From here on only names tell. A .mat beside a .hea is WFDB's signal file.
    Reader("MATLAB", lambda file: file.suffix == ".mat" and file.header is None, matlab.read_matlab),
    Reader("WFDB", lambda file: file.suffix in {".hea", ".dat", ".mat"}, read_wfdb),
)
