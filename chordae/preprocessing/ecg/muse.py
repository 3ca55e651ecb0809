"""GE MUSE XML ("restecg.dtd"): eight leads of base64 int16; III and the augmented leads are left to the reader.

A file has a rhythm of ten seconds and a median beat. MUSE keeps two sets of statements and measurements: the original
ones, which the electrocardiograph made, and those after editing; the original ones are taken.
"""

import base64
from xml.etree.ElementTree import Element

import numpy as np

from chordae.platform.errors import UnreadableRecording
from chordae.preprocessing.ecg import xmlfile
from chordae.preprocessing.ecg.device import DeviceReport, device_report
from chordae.preprocessing.ecg.recording import EcgRecording, Signal, lead_index, named, stacked
from chordae.preprocessing.ecg.source import EcgFile

ROOT = "RestingECG"

_UNITS = {"MICROVOLTS": 1e-3, "MILLIVOLTS": 1.0}
_MEASUREMENTS = {
    "heart_rate_bpm": "VentricularRate",
    "pr_ms": "PRInterval",
    "qrs_ms": "QRSDuration",
    "qt_ms": "QTInterval",
    "qtc_ms": "QTCorrected",
    "p_axis_deg": "PAxis",
    "qrs_axis_deg": "RAxis",
    "t_axis_deg": "TAxis",
}


def read_muse(file: EcgFile) -> EcgRecording:
    """The rhythm of a MUSE export."""
    root = xmlfile.parse(file.data)
    rhythm = next((part for part in root.iter("Waveform") if xmlfile.text_of(part, "WaveformType") == "Rhythm"), None)
    if rhythm is None:
        raise UnreadableRecording("The MUSE file holds no rhythm", "export it with its waveforms", "no_waveform")
    # The rate is SampleBase times ten to the SampleExponent.
    exponent = xmlfile.number(rhythm.findtext("SampleExponent")) or 0.0
    rate = xmlfile.positive(rhythm.findtext("SampleBase"), "sampling rate") * 10.0 ** min(max(exponent, -9), 9)
    channels: dict[int, Signal] = {}
    off = []
    for part in rhythm.iter("LeadData"):
        lead = lead_index(xmlfile.text_of(part, "LeadID"))
        if lead is not None and lead not in channels:
            channels[lead] = _millivolts(part)
            if xmlfile.text_of(part, "LeadOff").upper() == "TRUE":
                off.append(lead)
    signal, flags = stacked(channels)
    if off:
        flags += (named("lead-off", off),)
    return EcgRecording(signal, rate, "muse", flags, _device(root))


def _millivolts(part: Element) -> Signal:
    factor = _UNITS.get(xmlfile.text_of(part, "LeadAmplitudeUnits").upper())
    if factor is None:
        raise UnreadableRecording(
            "The file does not say in which unit of voltage its samples are",
            "export it with its LeadAmplitudeUnits",
            "unknown_scale",
        )
    per_bit = xmlfile.positive(part.findtext("LeadAmplitudeUnitsPerBit"), "voltage per bit") * factor
    if xmlfile.text_of(part, "LeadSampleSize") not in ("", "2"):
        raise UnreadableRecording(
            "The MUSE file has samples of another size than two bytes", "export it again", "encoding"
        )
    raw = base64.b64decode(xmlfile.text_of(part, "WaveFormData"))
    expected = xmlfile.number(part.findtext("LeadSampleCountTotal"))
    if len(raw) % 2 or (expected is not None and len(raw) != 2 * expected):
        raise UnreadableRecording("The MUSE file lacks samples of a lead", "export or copy it again", "damaged")
    return np.frombuffer(raw, dtype="<i2") * np.float32(per_bit)


def _device(root: Element) -> DeviceReport:
    diagnosis = root.find("OriginalDiagnosis")
    measured = root.find("OriginalRestingECGMeasurements")
    return device_report(
        _statements(diagnosis if diagnosis is not None else root.find("Diagnosis")),
        {
            field: xmlfile.text_of(measured if measured is not None else root.find("RestingECGMeasurements"), name)
            for field, name in _MEASUREMENTS.items()
        },
    )


def _statements(diagnosis: Element | None) -> list[str]:
    """Statements come in pieces; the flag ENDSLINE marks the last piece of one."""
    lines, pieces = [], []
    for part in diagnosis.iter("DiagnosisStatement") if diagnosis is not None else ():
        pieces.append(xmlfile.text_of(part, "StmtText"))
        if any((flag.text or "").strip() == "ENDSLINE" for flag in part.iter("StmtFlag")):
            lines.append(" ".join(pieces))
            pieces = []
    return [*lines, " ".join(pieces)]
