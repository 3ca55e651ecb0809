"""ECGs as the XML files that GE MUSE and Philips carts export.

MUSE ("restecg.dtd"): a median beat and the rhythm, eight leads of base64 int16, 4.88 uV a bit. Philips ("PhilipsECG"
1.04): twelve leads, 5 uV a bit, XLI-compressed as worked out by the Sierra ECG Tools
(github.com/sixlettervariables/sierra-ecg-tools, MIT).
"""

from __future__ import annotations

import base64
import struct
import zlib
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray
from scipy.signal import find_peaks

from chordae.cohort.ecg import LEADS
from chordae.cohort.identity import Identity

MUSE_MICROVOLTS, PHILIPS_MICROVOLTS = 4.88, 5.0
STORED = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
"""Of the twelve leads those that MUSE stores; the others follow from I and II."""
_BEFORE_S, _AFTER_S = 0.4, 0.8
_CODE_BITS, _END_CODE = 10, 1023

Counts = NDArray[np.int64]


def muse_xml(signal: NDArray[np.float32], rate: int, identity: Identity) -> bytes:
    """(12, N) mV at `rate` Hz as a MUSE export."""
    family, _, given = identity.name.partition("^")
    born = f"{identity.birth_date[4:6]}-{identity.birth_date[6:]}-{identity.birth_date[:4]}"
    stored = signal[[LEADS.index(lead) for lead in STORED]]
    return (
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<!DOCTYPE RestingECG SYSTEM "restecg.dtd">\n<RestingECG>\n'
        "<MuseInfo><MuseVersion>8.0.1.10673</MuseVersion></MuseInfo>\n"
        f"<PatientDemographics><PatientID>{escape(identity.patient_id)}</PatientID><DateofBirth>{born}</DateofBirth>"
        f"<Gender>{'FEMALE' if identity.sex == 'F' else 'MALE'}</Gender>"
        f"<PatientLastName>{escape(family)}</PatientLastName><PatientFirstName>{escape(given)}</PatientFirstName>"
        "</PatientDemographics>\n"
        "<TestDemographics><DataType>RESTING</DataType><Site>1</Site><Status>UNCONFIRMED</Status>"
        f"<AcquisitionDevice>MAC55</AcquisitionDevice><AcquisitionTime>{identity.when:%H:%M:%S}</AcquisitionTime>"
        f"<AcquisitionDate>{identity.when:%m-%d-%Y}</AcquisitionDate></TestDemographics>\n"
        f"{_muse_waveform('Median', median_beat(stored, rate), rate)}{_muse_waveform('Rhythm', stored, rate)}"
        "</RestingECG>\n"
    ).encode("latin-1", "xmlcharrefreplace")


def _muse_waveform(kind: str, signal: NDArray[np.float32], rate: int) -> str:
    counts = _counts(signal, MUSE_MICROVOLTS)
    leads = "".join(_muse_lead(lead, row.astype("<i2").tobytes()) for lead, row in zip(STORED, counts, strict=True))
    return (
        f"<Waveform><WaveformType>{kind}</WaveformType><WaveformStartTime>0</WaveformStartTime>"
        f"<NumberofLeads>{len(STORED)}</NumberofLeads><SampleType>CONTINUOUS_SAMPLES</SampleType>"
        f"<SampleBase>{rate}</SampleBase><SampleExponent>0</SampleExponent>"
        f"<HighPassFilter>16</HighPassFilter><LowPassFilter>150</LowPassFilter><ACFilter>NONE</ACFilter>\n{leads}"
        "</Waveform>\n"
    )


def _muse_lead(lead: str, data: bytes) -> str:
    return (
        f"<LeadData><LeadByteCountTotal>{len(data)}</LeadByteCountTotal><LeadTimeOffset>0</LeadTimeOffset>"
        f"<LeadSampleCountTotal>{len(data) // 2}</LeadSampleCountTotal>"
        f"<LeadAmplitudeUnitsPerBit>{MUSE_MICROVOLTS}</LeadAmplitudeUnitsPerBit>"
        "<LeadAmplitudeUnits>MICROVOLTS</LeadAmplitudeUnits><LeadHighLimit>32767</LeadHighLimit>"
        f"<LeadLowLimit>-32768</LeadLowLimit><LeadID>{lead}</LeadID><LeadOffsetFirstSample>0</LeadOffsetFirstSample>"
        "<FirstSampleBaseline>0</FirstSampleBaseline><LeadSampleSize>2</LeadSampleSize><LeadOff>FALSE</LeadOff>"
        f"<BaselineSway>FALSE</BaselineSway><LeadDataCRC32>{zlib.crc32(data)}</LeadDataCRC32>"
        f"<WaveFormData>\n{base64.encodebytes(data).decode()}</WaveFormData></LeadData>\n"
    )


def median_beat(signal: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """(L, N) mV -> (L, 1.2 s): the median of the beats, found where all leads together change fastest."""
    slope = np.abs(np.diff(signal, axis=1)).sum(axis=0)
    energy = np.convolve(slope, np.ones(round(0.06 * rate)), mode="same")
    before, after = round(_BEFORE_S * rate), round(_AFTER_S * rate)
    inside = energy[before : signal.shape[1] - after]
    peaks, _ = find_peaks(inside, distance=round(0.3 * rate), height=0.4 * float(inside.max()))
    beats = [signal[:, at : at + before + after] for at in peaks.tolist()]
    return np.asarray(np.median(beats, axis=0), dtype=np.float32)


def philips_xml(signal: NDArray[np.float32], rate: int, mains_hz: int, identity: Identity) -> bytes:
    """(12, N) mV at `rate` Hz as a Philips export, version 1.04, in UTF-16 as carts write it."""
    family, _, given = identity.name.partition("^")
    born = f"{identity.birth_date[:4]}-{identity.birth_date[4:6]}-{identity.birth_date[6:]}"
    acquired = f'date="{identity.when:%Y-%m-%d}" time="{identity.when:%H:%M:%S}"'
    data = b"".join(map(_xli, _residuals(_counts(signal, PHILIPS_MICROVOLTS))))
    return (
        '<?xml version="1.0" encoding="utf-16"?>\n'
        '<restingecgdata xmlns="http://www3.medical.philips.com" status="Unconfirmed" lang="en" locale="US">\n'
        "<documentinfo><documentname>ecg.xml</documentname><documenttype>PhilipsECG</documenttype>"
        "<documentversion>1.04</documentversion></documentinfo>\n"
        f"<reportinfo {acquired}><reportlabel>STD 12 LEAD</reportlabel></reportinfo>\n"
        f'<dataacquisition {acquired} statflag="False"><machine machineid="1" detaildescription="simulated">'
        "PageWriter Touch</machine><signalcharacteristics>"
        f"<samplingrate>{rate}</samplingrate><resolution>{PHILIPS_MICROVOLTS:g}</resolution><hipass>0.05</hipass>"
        f"<lowpass>150</lowpass><acsetting>{mains_hz}</acsetting><notchfiltered>False</notchfiltered>"
        "<acquisitiontype>10-WIRE</acquisitiontype><bitspersample>16</bitspersample><signaloffset>0</signaloffset>"
        "<signalsigned>True</signalsigned><numberchannelsallocated>12</numberchannelsallocated>"
        "<numberchannelsvalid>12</numberchannelsvalid><electrodeplacement>STD</electrodeplacement>"
        "</signalcharacteristics></dataacquisition>\n"
        f"<patient><generalpatientdata><patientid>{escape(identity.patient_id)}</patientid>"
        f"<name><lastname>{escape(family)}</lastname><firstname>{escape(given)}</firstname></name>"
        f"<age><dateofbirth>{born}</dateofbirth></age><sex>{'Female' if identity.sex == 'F' else 'Male'}</sex>"
        "</generalpatientdata></patient>\n"
        f'<waveforms><parsedwaveforms dataencoding="Base64" compression="XLI" numberofleads="{len(LEADS)}" '
        f'leadlabels="{" ".join(LEADS)}" durationperchannel="{1000 * signal.shape[1] // rate}" '
        f'samplespersecond="{rate}" resolution="{PHILIPS_MICROVOLTS:g}" signaloffset="0" signalsigned="True" '
        f'bitspersample="16">\n{base64.encodebytes(data).decode()}</parsedwaveforms></waveforms>\n</restingecgdata>\n'
    ).encode("utf-16")


def _counts(signal: NDArray[np.float32], microvolts: float) -> Counts:
    """mV to bits; what a 16-bit converter cannot hold stands at its limit."""
    bits = np.rint(signal.astype(np.float64) * 1000 / microvolts)
    return np.clip(bits, -32767, 32767).astype(np.int64)


def _residuals(counts: Counts) -> list[Counts]:
    """What remains of III, aVR, aVL and aVF after predicting them from I, II and III, as XLI stores them."""
    one, two, three, avr, avl, avf, *chest = counts
    limb = [two - one - three, -avr - (one + two) // 2, (one - three) // 2 - avl, (two + three) // 2 - avf]
    return [one, two, *limb, *chest]


def _xli(samples: Counts) -> bytes:
    """One lead: length, two bytes of no use, the first second difference; then LZW over all high, then all low bytes.

    The first two values are samples, the others second differences with 64 added.
    """
    errors = 2 * samples[1:-1] - samples[:-2] - samples[2:]
    stored = np.concatenate([samples[:2], errors[1:] + 64, [64]]).astype(np.int16).view(np.uint16)
    packed = _lzw((stored >> 8).astype(np.uint8).tobytes() + (stored & 0xFF).astype(np.uint8).tobytes())
    return struct.pack("<iHh", len(packed), 0, np.int64(errors[0]).astype(np.int16)) + packed


def _lzw(data: bytes) -> bytes:
    """LZW with 10-bit codes, highest bit first; the table stays as it is once full, and 1023 ends the data."""
    table: dict[int, int] = {}  # the code of a string and the byte that follows -> the code of both
    codes, current = [], data[0]
    for value in data[1:]:
        longer = current << 8 | value
        known = table.get(longer)
        if known is not None:
            current = known
            continue
        codes.append(current)
        if 256 + len(table) < _END_CODE:
            table[longer] = 256 + len(table)
        current = value
    all_codes = np.array([*codes, current, _END_CODE])
    return np.packbits((all_codes[:, None] >> np.arange(_CODE_BITS)[::-1] & 1).astype(np.uint8)).tobytes()
