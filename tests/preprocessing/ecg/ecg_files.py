"""Writers of ECG formats, for tests of their readers: each after the format's description, none after the reader.

Counts are (leads, N) integers as a converter gives them.
"""

import base64
import binascii
import io
import struct
from collections.abc import Sequence

import numpy as np

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
EIGHT = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
SCP_NUMBERS = {"I": 1, "II": 2, "III": 61, "aVR": 62, "aVL": 63, "aVF": 64} | {f"V{n}": n + 2 for n in range(1, 7)}


def rows(counts: np.ndarray, leads: Sequence[str]) -> np.ndarray:
    """Some leads of twelve."""
    return counts[[LEADS.index(lead) for lead in leads]]


def npy(signal: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, signal)
    return file.getvalue()


# -- GE MUSE


def muse(
    counts: np.ndarray,
    leads: Sequence[str] = EIGHT,
    rate: int = 500,
    microvolts: float = 4.88,
    statements: Sequence[str] = ("Normal sinus rhythm", "Normal ECG"),
    edited: Sequence[str] = (),
    heart_rate: int = 72,
    head: str = '<!DOCTYPE RestingECG SYSTEM "restecg.dtd">',
) -> bytes:
    """Rhythm and a median beat; every statement in two pieces, the last of them marked ENDSLINE."""

    def waveform(kind: str, values: np.ndarray) -> str:
        parts = []
        for lead, samples in zip(leads, values, strict=True):
            data = base64.encodebytes(samples.astype("<i2").tobytes()).decode()
            parts.append(
                f"<LeadData><LeadByteCountTotal>{2 * len(samples)}</LeadByteCountTotal>"
                f"<LeadSampleCountTotal>{len(samples)}</LeadSampleCountTotal>"
                f"<LeadAmplitudeUnitsPerBit>{microvolts}</LeadAmplitudeUnitsPerBit>"
                f"<LeadAmplitudeUnits>MICROVOLTS</LeadAmplitudeUnits><LeadID>{lead}</LeadID>"
                f"<LeadSampleSize>2</LeadSampleSize><LeadOff>FALSE</LeadOff><WaveFormData>\n{data}</WaveFormData></LeadData>"
            )
        return (
            f"<Waveform><WaveformType>{kind}</WaveformType><NumberofLeads>{len(leads)}</NumberofLeads>"
            f"<SampleBase>{rate}</SampleBase><SampleExponent>0</SampleExponent>{''.join(parts)}</Waveform>"
        )

    def diagnosis(name: str, texts: Sequence[str]) -> str:
        pieces = "".join(
            f"<DiagnosisStatement><StmtText>{first}</StmtText></DiagnosisStatement>"
            f"<DiagnosisStatement><StmtFlag>ENDSLINE</StmtFlag><StmtText>{rest}</StmtText></DiagnosisStatement>"
            for first, _, rest in (text.partition(" ") for text in texts)
        )
        return f"<{name}><Modality>RESTING</Modality>{pieces}</{name}>"

    return (
        f'<?xml version="1.0" encoding="ISO-8859-1"?>{head}<RestingECG>'
        "<PatientDemographics><PatientID>SECRET-ID</PatientID><PatientLastName>Secretname</PatientLastName>"
        "</PatientDemographics>"
        f"<RestingECGMeasurements><VentricularRate>{heart_rate + 3}</VentricularRate></RestingECGMeasurements>"
        f"<OriginalRestingECGMeasurements><VentricularRate>{heart_rate}</VentricularRate><PRInterval>160</PRInterval>"
        "<QRSDuration>92</QRSDuration><QTInterval>400</QTInterval><QTCorrected>420</QTCorrected><PAxis>45</PAxis>"
        "<RAxis>-15</RAxis><TAxis>30</TAxis></OriginalRestingECGMeasurements>"
        f"{diagnosis('Diagnosis', edited)}{diagnosis('OriginalDiagnosis', statements)}"
        f"{waveform('Median', rows_of_zeros(counts))}{waveform('Rhythm', counts)}</RestingECG>"
    ).encode("latin-1")


def rows_of_zeros(counts: np.ndarray) -> np.ndarray:
    return np.zeros((len(counts), 20), dtype=int)


# -- GE CardioSoft


def cardiosoft(
    counts: np.ndarray, leads: Sequence[str] = LEADS, rate: int = 500, microvolts: float = 5.0, disclosed: bool = False
) -> bytes:
    """One strip, or, `disclosed`, interleaved samples at a lower resolution in time beside an empty strip."""
    scale = f'<SampleRate units="Hz">{rate}</SampleRate><Resolution units="uVperLsb">{microvolts}</Resolution>'
    if disclosed:
        data = ",".join(map(str, counts.T.ravel().tolist()))
        wave = (
            f"<FullDisclosure><NumberOfChannels>{len(leads)}</NumberOfChannels>{scale}"
            f"<LeadOrder>{','.join(leads)}</LeadOrder><FullDisclosureData>\n{data},\n</FullDisclosureData></FullDisclosure>"
        )
    else:
        strips = "".join(
            f'<WaveformData lead="{lead}">{",".join(map(str, samples.tolist()))}</WaveformData>'
            for lead, samples in zip(leads, counts, strict=True)
        )
        wave = f"<StripData><NumberOfLeads>{len(leads)}</NumberOfLeads>{scale}{strips}</StripData>"
    return (
        '<?xml version="1.0" encoding="ISO-8859-1"?><CardiologyXML><ObservationType>RestECG</ObservationType>'
        "<PatientInfo><PID>SECRET-ID</PID><Name><FamilyName>Secretname</FamilyName></Name></PatientInfo>"
        "<Interpretation><Diagnosis><DiagnosisText>Sinus rhythm</DiagnosisText>"
        "<DiagnosisText>Unconfirmed, Dr Secretname</DiagnosisText></Diagnosis>"
        "<Conclusion><ConclusionText>Normal ECG</ConclusionText></Conclusion></Interpretation>"
        '<RestingECGMeasurements><VentricularRate units="BPM">64</VentricularRate><PQInterval>150</PQInterval>'
        '<QRSDuration units="ms">88</QRSDuration><QTInterval units="ms">390</QTInterval><QTCInterval>402</QTCInterval>'
        f"</RestingECGMeasurements>{wave}</CardiologyXML>"
    ).encode("latin-1")


# -- HL7 aECG


def aecg(
    counts: np.ndarray,
    leads: Sequence[str] = LEADS,
    rate: int = 500,
    microvolts: float = 2.5,
    origin: float = 0.0,
    relative: bool = False,
    statements: Sequence[str] = ("(SR) SINUS RHYTHM",),
) -> bytes:
    """A rhythm and a representative beat derived from it."""

    def sequences(values: np.ndarray) -> str:
        kind, head = ("RELATIVE", 'value="0" unit="s"') if relative else ("ABSOLUTE", 'value="20200102030405.000"')
        time = (
            f'<component><sequence><code code="TIME_{kind}"/><value><head {head}/>'
            f'<increment value="{1000 / rate}" unit="ms"/></value></sequence></component>'
        )
        return f"<component><sequenceSet>{time}" + "".join(
            f'<component><sequence><code code="MDC_ECG_LEAD_{lead.upper()}"/><value>'
            f'<origin value="{origin}" unit="uV"/>'
            f'<scale value="{microvolts}" unit="uV"/><digits>{" ".join(map(str, samples.tolist()))}</digits></value>'
            "</sequence></component>"
            for lead, samples in zip(leads, values, strict=True)
        ) + "</sequenceSet></component>"  # fmt: skip

    notes = "".join(
        f'<component><annotation><code code="MDC_ECG_INTERPRETATION_STATEMENT"/><value>{text}</value></annotation>'
        "</component>"
        for text in statements
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><!-- a comment --><AnnotatedECG xmlns="urn:hl7-org:v3">'
        "<componentOf><subjectDemographicPerson><name>Secretname</name></subjectDemographicPerson></componentOf>"
        f'<component><series><code code="RHYTHM"/>{sequences(counts)}<subjectOf><annotationSet><component><annotation>'
        '<code code="MDC_ECG_HEART_RATE"/><value value="72" unit="/min"/></annotation></component>'
        f"{notes}</annotationSet></subjectOf><derivation><derivedSeries>"
        f'<code code="REPRESENTATIVE_BEAT"/>{sequences(rows_of_zeros(counts))}'
        "</derivedSeries></derivation></series></component></AnnotatedECG>"
    ).encode()


# -- Philips


def philips(
    counts: np.ndarray, rate: int = 500, microvolts: float = 5.0, version: str = "1.04", xli: bool = True
) -> bytes:
    """Twelve leads, XLI-compressed or raw; 1.03 differs from 1.04 in the names of attributes."""
    old = version == "1.03"
    data = b"".join(map(_xli, _residuals(counts))) if xli else counts.astype("<i2").tobytes()
    compression = ("compressmethod" if old else "compression") + f'="{"XLI" if xli else "Uncompressed"}"'
    labels = "" if old else f'numberofleads="{len(LEADS)}" leadlabels="{" ".join(LEADS)}"'
    resolution = "signalresolution" if old else "resolution"
    return (
        '<?xml version="1.0" encoding="utf-16"?><restingecgdata xmlns="http://www3.medical.philips.com">'
        f"<documentinfo><documenttype>PhilipsECG</documenttype><documentversion>{version}</documentversion></documentinfo>"
        f"<dataacquisition><signalcharacteristics><samplingrate>{rate}</samplingrate>"
        f"<{resolution}>{microvolts}</{resolution}></signalcharacteristics></dataacquisition>"
        "<patient><generalpatientdata><name><lastname>Secretname</lastname></name></generalpatientdata></patient>"
        "<interpretations><interpretation><globalmeasurements><heartrate>61</heartrate></globalmeasurements>"
        "<mdsignatureline>Confirmed by Secretname, MD</mdsignatureline><severity>- NORMAL ECG -</severity>"
        '<statement editedflag="False"><leftstatement>SINUS RHYTHM</leftstatement>'
        "<rightstatement>normal P axis, V-rate 50-99</rightstatement></statement>"
        '<statement editedflag="True"><leftstatement>NORMAL VARIANT</leftstatement></statement>'
        "</interpretation></interpretations>"
        f'<waveforms><parsedwaveforms dataencoding="Base64" {compression} {labels} '
        f'durationperchannel="{1000 * counts.shape[1] // rate}">{base64.b64encode(data).decode()}</parsedwaveforms>'
        "</waveforms></restingecgdata>"
    ).encode("utf-16")


def _residuals(counts: np.ndarray) -> list[np.ndarray]:
    one, two, three, avr, avl, avf, *chest = counts
    limb = [two - one - three, -avr - (one + two) // 2, (one - three) // 2 - avl, (two + three) // 2 - avf]
    return [one, two, *limb, *chest]


def _xli(samples: np.ndarray) -> bytes:
    errors = 2 * samples[1:-1] - samples[:-2] - samples[2:]
    stored = np.concatenate([samples[:2], errors[1:] + 64, [64]]).astype(np.int16).view(np.uint16)
    packed = _lzw((stored >> 8).astype(np.uint8).tobytes() + (stored & 0xFF).astype(np.uint8).tobytes())
    return struct.pack("<iHh", len(packed), 0, np.int64(errors[0]).astype(np.int16)) + packed


def _lzw(data: bytes) -> bytes:
    table = {bytes([value]): value for value in range(256)}
    codes, current = [], b""
    for value in data:
        longer = current + bytes([value])
        if longer in table:
            current = longer
            continue
        codes.append(table[current])
        if len(table) <= 1022:
            table[longer] = len(table)
        current = bytes([value])
    codes += [table[current], 1023]
    return bits_to_bytes("".join(f"{code:010b}" for code in codes))


def bits_to_bytes(bits: str) -> bytes:
    bits += "0" * (-len(bits) % 8)
    return int(bits or "0", 2).to_bytes(len(bits) // 8, "big")


# -- SCP-ECG


def scp(
    counts: np.ndarray,
    leads: Sequence[str] = EIGHT,
    rate: int = 500,
    microvolts: float = 5.0,
    order: int = 2,
    table: str = "default",
    beat: tuple[np.ndarray, int, Sequence[int]] | None = None,
    statements: Sequence[str] = ("Sinus rhythm",),
    bimodal: bool = False,
) -> bytes:
    """`beat`: reference samples (leads, M), its fiducial and those of the QRS complexes it is subtracted at, from 1."""
    sections = {1: b"SECRET-ID Secretname\0", 7: _measurements(), 8: _statements(statements)}
    if table != "none":
        sections[2] = struct.pack("<H", 19999) if table == "default" else _own_table()
    count = counts.shape[1]
    sections[3] = bytes([len(leads), 1 if beat else 0]) + b"".join(
        struct.pack("<IIB", 1, count, SCP_NUMBERS[lead]) for lead in leads
    )
    if beat:
        reference, fiducial, complexes = beat
        zones = [(centre - fiducial + 1, centre, centre - fiducial + reference.shape[1]) for centre in complexes]
        counts = counts.copy()
        for first, _, last in zones:
            counts[:, first - 1 : last] -= reference
        milliseconds = reference.shape[1] * 1000 // rate
        sections[4] = struct.pack("<HHH", milliseconds, fiducial, len(zones)) + b"".join(
            struct.pack("<HIII", 0, *zone) for zone in zones
        )
        sections[5] = _waves(reference, rate, microvolts, order, table, 0)
    sections[6] = _waves(counts, rate, microvolts, order, table, int(bimodal))
    return assembled(sections)


def assembled(sections: dict[int, bytes]) -> bytes:
    """Section 0 and the others, with all checksums."""
    size0, body, pointers = 16 + 12 * 10, b"", {}
    for number, content in sorted(sections.items()):
        content += b"\0" * (len(content) % 2)
        pointers[number] = (len(content) + 16, 7 + size0 + len(body))
        body += _section(number, content)
    index = b"".join(struct.pack("<HII", n, *pointers.get(n, (0, 0))) for n in range(1, 12))
    index = struct.pack("<HII", 0, size0, 7) + index
    rest = _section(0, index, b"SCPECG") + body
    rest = struct.pack("<I", len(rest) + 6) + rest
    return struct.pack("<H", binascii.crc_hqx(rest, 0xFFFF)) + rest


def with_checksum(data: bytes) -> bytes:
    """The same record with the checksum that its content has."""
    length = min(max(struct.unpack_from("<I", data.ljust(6, b"\0"), 2)[0], 2), len(data))
    return struct.pack("<H", binascii.crc_hqx(data[2:length], 0xFFFF)) + data[2:]


def _section(number: int, content: bytes, reserved: bytes = b"\0" * 6) -> bytes:
    rest = struct.pack("<HIBB6s", number, len(content) + 16, 20, 20, reserved) + content
    return struct.pack("<H", binascii.crc_hqx(rest, 0xFFFF)) + rest


def _waves(counts: np.ndarray, rate: int, microvolts: float, order: int, table: str, flag: int) -> bytes:
    data = []
    for samples in counts:
        values = samples.astype(np.int64)
        if order == 1:
            values = np.concatenate([values[:1], np.diff(values)])
        if order == 2:
            values = np.concatenate([values[:2], np.diff(values, n=2)])
        if table == "none":
            data.append(values.astype("<i2").tobytes())
            continue
        encoded = bits_to_bytes("".join(_code(value, table) for value in values.tolist()))
        data.append(encoded + b"\0" * (len(encoded) % 2))
    head = struct.pack("<HHBB", round(microvolts * 1000), round(1e6 / rate), order, flag)
    return head + b"".join(struct.pack("<H", len(part)) for part in data) + b"".join(data)


def _code(value: int, table: str) -> str:
    if table == "own":
        return {0: "0", 1: "10", -1: "110"}.get(value) or f"111{value & 0xFFFF:016b}"
    if abs(value) <= 8:
        return "0" if value == 0 else f"{'1' * abs(value)}0{int(value < 0)}"
    return f"1111111110{value & 0xFF:08b}" if -128 <= value < 128 else f"1111111111{value & 0xFFFF:016b}"


def _own_table() -> bytes:
    """0 -> "0", 1 -> "10", -1 -> "110", "111" before 16 bits; codes are stored with their first bit lowest."""
    codes = [(1, 1, 1, 0, 0b0), (2, 2, 1, 1, 0b01), (3, 3, 1, -1, 0b011), (3, 19, 1, 0, 0b111)]
    return struct.pack("<HH", 1, len(codes)) + b"".join(struct.pack("<BBBhI", *code) for code in codes)


def _measurements() -> bytes:
    """RR 1000 ms; P from 100, QRS 260 to 350, T to 660 ms; axes 40, -20 and 60 degrees."""
    return struct.pack("<BB7H3h", 1, 0, 1000, 29999, 100, 200, 260, 350, 660, 40, -20, 60)


def _statements(statements: Sequence[str]) -> bytes:
    texts = [text.encode("latin-1") + b"\0" for text in statements]
    return struct.pack("<BHBBBBBB", 0, 2020, 1, 2, 3, 4, 5, len(texts)) + b"".join(
        struct.pack("<BH", number, len(text)) + text for number, text in enumerate(texts, 1)
    )
