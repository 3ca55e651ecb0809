"""HL7 annotated ECG (aECG, ANSI/HL7 V3 ECG R1-2004): integers in text with an origin, a scale and a unit per lead.

Only series of the type RHYTHM count: derived ones, such as the representative beat, hang below them. A rhythm may be
recorded in several sets of sequences; the one with the most leads, and of those the longest, is taken.
"""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from chordae.platform.errors import UnreadableRecording
from chordae.preprocessing.ecg import xmlfile
from chordae.preprocessing.ecg.device import DeviceReport, device_report
from chordae.preprocessing.ecg.recording import MILLIVOLTS, EcgRecording, Signal, lead_index, stacked
from chordae.preprocessing.ecg.source import EcgFile

ROOT = "AnnotatedECG"

_LEAD = "MDC_ECG_LEAD_"
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
_MEASUREMENTS = {
    "MDC_ECG_HEART_RATE": "heart_rate_bpm",
    "MDC_ECG_TIME_PD_PR": "pr_ms",
    "MDC_ECG_TIME_PD_QRS": "qrs_ms",
    "MDC_ECG_TIME_PD_QT": "qt_ms",
    "MDC_ECG_TIME_PD_QTC": "qtc_ms",
    "MDC_ECG_TIME_PD_QTCB": "qtc_ms",
    "MDC_ECG_ANGLE_P_FRONT": "p_axis_deg",
    "MDC_ECG_ANGLE_QRS_FRONT": "qrs_axis_deg",
    "MDC_ECG_ANGLE_T_FRONT": "t_axis_deg",
}


def read_aecg(file: EcgFile) -> EcgRecording:
    """The rhythm of an annotated ECG."""
    root = xmlfile.parse(file.data)
    found = [(series, part) for series in root.iterfind("component/series") if _code(series) == "RHYTHM"
             for part in series.iterfind("component/sequenceSet")]  # fmt: skip
    if not found:
        raise UnreadableRecording(
            "The annotated ECG holds no rhythm", "export it with its rhythm waveforms", "no_waveform"
        )
    series, best = max(found, key=lambda pair: _size(pair[1]))
    signal, flags = stacked(dict(_leads(best)))
    return EcgRecording(signal, _rate(best), "aecg", flags, _device(series))


def _code(part: Element) -> str:
    code = part.find("code")
    return "" if code is None else code.get("code", "")


def _lead(sequence: Element) -> int | None:
    code = _code(sequence).upper()
    return lead_index(code.removeprefix(_LEAD)) if code.startswith(_LEAD) else None


def _size(part: Element) -> tuple[int, int]:
    sequences = [sequence for sequence in part.iter("sequence") if _lead(sequence) is not None]
    return len(sequences), max((len(sequence.findtext("value/digits", "")) for sequence in sequences), default=0)


def _leads(part: Element) -> Iterator[tuple[int, Signal]]:
    """Every lead of a set in mV: origin + digit x scale (section 3.5 of the implementation guide)."""
    seen = set()
    for sequence in part.iter("sequence"):
        lead = _lead(sequence)
        if lead is None or lead in seen:
            continue
        seen.add(lead)
        scale, origin = sequence.find("value/scale"), sequence.find("value/origin")
        per_digit = xmlfile.positive(scale.get("value") if scale is not None else None, "voltage per digit")
        zero = xmlfile.number(origin.get("value")) if origin is not None else None
        samples = xmlfile.numbers(sequence.findtext("value/digits", ""))
        yield lead, samples * (per_digit * _factor(scale)) + (zero or 0.0) * (_factor(origin) if zero else 1.0)


def _factor(quantity: Element | None) -> float:
    unit = "" if quantity is None else quantity.get("unit", "").lower()
    if unit not in MILLIVOLTS:
        raise UnreadableRecording(
            "The file does not say in which unit of voltage its samples are",
            "export it with units of mV or uV",
            "unknown_scale",
        )
    return MILLIVOLTS[unit]


def _rate(part: Element) -> float:
    """Hz, from the time sequence that goes with the leads."""
    increment = next((found for sequence in part.iter("sequence") if _code(sequence).startswith("TIME_")
                      for found in sequence.iterfind("value/increment")), None)  # fmt: skip
    seconds = _SECONDS.get(increment.get("unit", "").lower()) if increment is not None else None
    if increment is None or seconds is None:
        raise UnreadableRecording(
            "The file does not say its sampling rate", "export it again with all of its fields", "bad_rate"
        )
    return 1.0 / (xmlfile.positive(increment.get("value"), "sampling rate") * seconds)


def _device(series: Element) -> DeviceReport:
    """The first value of each measurement, and statements, of the rhythm itself (not of derived series)."""
    statements, measured = [], dict[str, str | float | None]()
    for annotation in series.iterfind("subjectOf/annotationSet//annotation"):
        code, value = _code(annotation).upper(), annotation.find("value")
        if value is None:
            continue
        if code == "MDC_ECG_INTERPRETATION_STATEMENT":
            statements.append(_without_code(value.text or ""))
        elif code in _MEASUREMENTS and value.get("unit", "").lower() != "s":
            measured.setdefault(_MEASUREMENTS[code], value.get("value"))
    return device_report(statements, measured)


def _without_code(statement: str) -> str:
    """Philips writes its short code in front: "(SB) SINUS BRADYCARDIA"."""
    code, bracket, text = statement.strip().partition(") ")
    return text if bracket and code.startswith("(") and len(code) < 12 else statement
