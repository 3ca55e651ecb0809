"""DICOM 12-lead ECGs (PS3.3 A.34.3): the rhythm group, and what the device measured and said."""

import re

from chordae.preprocessing import dicom
from chordae.preprocessing.ecg.device import DeviceReport, device_report
from chordae.preprocessing.ecg.recording import LEAD_CODES, EcgRecording, in_standard_order, lead_index, to_millivolts
from chordae.preprocessing.ecg.source import EcgFile

_CODE = re.compile(r"(?:5\.6\.3-9-|2:)(\d+)")
_MEANING = re.compile(r"(?:lead\s+)?(\w+)(?:\s*\(.*\))?|augmented voltage, \w+ \((avr|avl|avf)\)", re.IGNORECASE)


def read_dicom(file: EcgFile) -> EcgRecording:
    """The rhythm of a DICOM ECG: of the recorded groups with the most leads the longest (a median beat is derived)."""
    groups = dicom.read_waveforms(file.data)
    candidates = [(_lead_rows(group), group) for group in groups]
    rows, best = max(candidates, key=lambda pair: (len(pair[0]), pair[1].samples.shape[1] / pair[1].rate))
    samples = best.samples
    samples *= to_millivolts([channel.unit for channel in best.channels], rows)
    signal, flags = in_standard_order(samples, rows)
    return EcgRecording(signal, best.rate, "dicom", flags, _device(file.data))


_MEASUREMENTS = {
    "5.10.2.1-3": "rr_ms",
    "5.13.5-7": "pr_ms",
    "5.13.5-9": "qrs_ms",
    "5.13.5-11": "qt_ms",
    "5.10.2.5-5": "qtc_ms",
    "5.10.3-11": "p_axis_deg",
    "5.10.3-13": "qrs_axis_deg",
    "5.10.3-15": "t_axis_deg",
}
"""SCPECG codes of global measurements (DICOM CID 3227 to 3229)."""


def _device(data: bytes) -> DeviceReport:
    annotations = dicom.read_annotations(data)
    measured = {_MEASUREMENTS[a.code]: a.value for a in reversed(annotations) if a.code in _MEASUREMENTS}
    rr_ms = measured.pop("rr_ms", None)
    rate = round(60_000 / rr_ms) if rr_ms else None
    return device_report([a.text for a in annotations if a.text], measured | {"heart_rate_bpm": rate})


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
