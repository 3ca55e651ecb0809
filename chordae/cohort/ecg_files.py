"""A simulated ECG as the file that a hospital's cart would send: MUSE or Philips XML, DICOM, or a bare array.

The same signal, machine and identity give the same bytes.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from chordae.cohort.dicom_files import Dataset, encode, header, uid
from chordae.cohort.ecg import LEADS, RATE_HZ
from chordae.cohort.ecg_xml import muse_xml, philips_xml
from chordae.cohort.identity import Identity
from chordae.cohort.sites import EcgMachine
from chordae.platform.files import write_atomically

SUFFIXES = {"muse": ".xml", "philips": ".xml", "dicom": ".dcm", "npy": ".npy"}
MICROVOLTS = 2.5
"""One bit of the DICOM file."""
TWELVE_LEAD_ECG = "1.2.840.10008.5.1.4.1.1.9.1.1"

# IEEE 11073-10101 codes of DICOM context group 3001.
_LEAD_CODES = dict(zip(LEADS, (1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8), strict=True))


def write_ecg(signal: NDArray[np.float32], machine: EcgMachine, identity: Identity, directory: Path) -> Path:
    """Write (12, N) mV at 500 Hz as `ecg` with the format's suffix into the directory, and return its path.

    Resampled to the machine's rate; .npy, which carries none, has 500 Hz by convention.
    """
    rate = machine.rate_hz
    signal = resampled(signal, rate)
    if machine.format == "muse":
        content = muse_xml(signal, rate, identity)
    elif machine.format == "philips":
        content = philips_xml(signal, rate, machine.mains_hz, identity)
    elif machine.format == "dicom":
        content = dicom_ecg(signal, rate, identity)
    else:
        content = _npy(signal)
    path = directory / f"ecg{SUFFIXES[machine.format]}"
    write_atomically(path, content, durable=False)
    return path


def resampled(signal: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """(12, N) at 500 Hz -> (12, M) at `rate` Hz, by polyphase filtering."""
    if rate == RATE_HZ:
        return signal
    common = int(np.gcd(rate, RATE_HZ))
    return np.asarray(resample_poly(signal, rate // common, RATE_HZ // common, axis=1, padtype="line"), np.float32)


def dicom_ecg(signal: NDArray[np.float32], rate: int, identity: Identity) -> bytes:
    """A 12-Lead ECG object (PS3.3 A.34.3): one multiplex group of the twelve leads of (12, N) mV."""
    counts = np.rint(signal.astype(np.float64) * 1000 / MICROVOLTS)
    counts = np.clip(counts, -32767, 32767).astype("<i2")
    found = header(identity, TWELVE_LEAD_ECG, "ECG", 1, "Mortara Instrument, Inc.", "ELI 280", "12-lead ECG")
    del found.AcquisitionDate, found.AcquisitionTime  # this object has them in one
    found.AcquisitionDateTime = identity.when.strftime("%Y%m%d%H%M%S")
    found.SynchronizationFrameOfReferenceUID = uid(identity.study, "clock")
    found.SynchronizationTrigger, found.AcquisitionTimeSynchronized = "NO TRIGGER", "N"
    found.AcquisitionContextSequence = []
    group = Dataset()
    group.WaveformOriginality, group.MultiplexGroupLabel = "ORIGINAL", "RHYTHM"
    group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = counts.shape
    group.SamplingFrequency = rate
    group.ChannelDefinitionSequence = [_channel(lead) for lead in LEADS]
    group.WaveformBitsAllocated, group.WaveformSampleInterpretation = 16, "SS"
    group.WaveformData = np.ascontiguousarray(counts.T).tobytes()
    group["WaveformData"].VR = "OW"
    found.WaveformSequence = [group]
    return encode(found)


def _channel(lead: str) -> Dataset:
    channel = Dataset()
    channel.ChannelLabel = lead
    channel.ChannelSourceSequence = [_code(f"2:{_LEAD_CODES[lead]}", "MDC", f"Lead {lead}")]
    channel.ChannelSensitivity = MICROVOLTS
    channel.ChannelSensitivityUnitsSequence = [_code("uV", "UCUM", "microvolt")]
    channel.ChannelSensitivityCorrectionFactor, channel.ChannelBaseline, channel.ChannelSampleSkew = 1, 0, 0
    channel.WaveformBitsStored = 16
    return channel


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _npy(signal: NDArray[np.float32]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, signal.astype(np.float32))
    return buffer.getvalue()
