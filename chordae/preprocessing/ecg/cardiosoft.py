"""GE CardioSoft XML ("CardiologyXML"): leads as integers in text, either one by one (StripData, the ten seconds of a
resting ECG) or interleaved sample by sample (FullDisclosure, the whole recording).

The strip is taken where there is one: it is what the device measured and interpreted. `Conclusion` is what a
physician wrote and is left alone.
"""

from xml.etree.ElementTree import Element

from chordae.platform.errors import UnreadableRecording
from chordae.preprocessing.ecg import xmlfile
from chordae.preprocessing.ecg.device import DeviceReport, device_report
from chordae.preprocessing.ecg.recording import MILLIVOLTS, EcgRecording, Signal, lead_index, stacked
from chordae.preprocessing.ecg.source import EcgFile

ROOT = "CardiologyXML"

_MEASUREMENTS = {
    "heart_rate_bpm": "VentricularRate",
    "pr_ms": "PQInterval",
    "qrs_ms": "QRSDuration",
    "qt_ms": "QTInterval",
    "qtc_ms": "QTCInterval",
    "p_axis_deg": "PAxis",
    "qrs_axis_deg": "RAxis",
    "t_axis_deg": "TAxis",
}


def read_cardiosoft(file: EcgFile) -> EcgRecording:
    """The strip of a CardioSoft export, or its full disclosure."""
    root = xmlfile.parse(file.data)
    strip, disclosure = root.find(".//StripData"), root.find(".//FullDisclosure")
    if strip is not None and strip.find("WaveformData") is not None:
        part, channels = strip, _strip(strip)
    elif disclosure is not None:
        part, channels = disclosure, _disclosure(disclosure)
    else:
        raise UnreadableRecording(
            "The CardioSoft file holds no waveform", "export it with its waveforms", "no_waveform"
        )
    rate = xmlfile.positive(part.findtext("SampleRate"), "sampling rate")
    scale = _millivolts_per_bit(part.find("Resolution"))
    signal, flags = stacked({lead: samples * scale for lead, samples in channels.items()})
    return EcgRecording(signal, rate, "cardiosoft", flags, _device(root))


def _strip(strip: Element) -> dict[int, Signal]:
    channels: dict[int, Signal] = {}
    for part in strip.iter("WaveformData"):
        lead = lead_index(part.get("lead", ""))
        if lead is not None and lead not in channels:
            channels[lead] = xmlfile.numbers(part.text or "")
    return channels


def _disclosure(disclosure: Element) -> dict[int, Signal]:
    leads = [lead_index(name) for name in xmlfile.text_of(disclosure, "LeadOrder").split(",")]
    samples = xmlfile.numbers(xmlfile.text_of(disclosure, "FullDisclosureData"))
    if len(samples) % len(leads):
        raise UnreadableRecording("The CardioSoft file lacks samples of a lead", "export or copy it again", "damaged")
    by_lead = samples.reshape(-1, len(leads)).T
    return {lead: by_lead[row] for row, lead in enumerate(leads) if lead is not None}


def _millivolts_per_bit(resolution: Element | None) -> float:
    unit = (resolution.get("units") or "uVperLsb" if resolution is not None else "").lower().removesuffix("perlsb")
    if unit not in MILLIVOLTS:
        raise UnreadableRecording(
            "The file does not say in which unit of voltage its samples are",
            "export it with its Resolution",
            "unknown_scale",
        )
    return xmlfile.positive(xmlfile.text_of(resolution), "voltage per bit") * MILLIVOLTS[unit]


def _device(root: Element) -> DeviceReport:
    measured = root.find(".//RestingECGMeasurements")
    texts = [part.text or "" for part in root.iterfind(".//Interpretation//DiagnosisText")]
    return device_report(texts, {field: xmlfile.text_of(measured, name) for field, name in _MEASUREMENTS.items()})
