"""What a writer puts into a format, its reader gets out: the samples exactly, the device's words, and no patient."""

import json
from collections.abc import Callable

import ecg_files
import numpy as np
import pytest
from ecg_files import EIGHT, LEADS, rows
from hypothesis import given, settings
from hypothesis import strategies as st

from chordae.platform.errors import UnreadableRecording
from chordae.preprocessing.ecg import EcgRecording, read_ecg_bytes

some = settings(max_examples=12, deadline=None)
seeds, rates = st.integers(0, 2**32 - 1), st.sampled_from([250, 500, 1000])
resolutions = st.sampled_from([1.0, 2.5, 4.88, 5.0])

LIMB = np.array([[1, 0], [0, 1], [-1, 1], [-0.5, -0.5], [1, -0.5], [-0.5, 1]])


def counts_of(seed: int, samples: int = 320) -> np.ndarray:
    """Twelve leads of whole numbers that wander as slowly as a heart's, now and then with a leap."""
    random = np.random.default_rng(seed)
    steps = random.integers(-9, 10, (12, samples)) + random.integers(-900, 901, (12, samples)) * (
        random.random((12, samples)) < 0.01
    )
    return np.clip(np.cumsum(steps, axis=1), -16_000, 16_000)


def with_limb_leads_of_their_own(millivolts: np.ndarray) -> np.ndarray:
    """III and the augmented leads as I and II make them."""
    return np.concatenate([LIMB @ millivolts[:2], millivolts[6:]])


def read(name: str, data: bytes) -> EcgRecording:
    return read_ecg_bytes(name, data)


def refusal(name: str, data: bytes) -> str:
    with pytest.raises(UnreadableRecording) as caught:
        read_ecg_bytes(name, data)
    assert "\n" not in str(caught.value)
    assert name not in str(caught.value)
    return str(caught.value)


# -- writer and reader


@some
@given(seeds, rates, resolutions)
def test_muse_gives_its_eight_leads_back_and_the_four_that_follow_from_them(seed, rate, microvolts) -> None:
    counts = counts_of(seed)
    recording = read("a.xml", ecg_files.muse(rows(counts, EIGHT), rate=rate, microvolts=microvolts))
    expected = with_limb_leads_of_their_own(counts * microvolts / 1000)
    np.testing.assert_allclose(recording.signal, expected, rtol=1e-5, atol=1e-5)
    assert (recording.rate, recording.source) == (rate, "muse")
    assert recording.flags == ("derived:III,aVR,aVL,aVF",)


@some
@given(seeds, rates, resolutions, st.booleans(), st.permutations(LEADS))
def test_cardiosoft_gives_every_lead_back_from_a_strip_or_a_full_disclosure(
    seed, rate, microvolts, full, order
) -> None:
    counts = counts_of(seed)
    data = ecg_files.cardiosoft(rows(counts, order), order, rate, microvolts, disclosed=full)
    recording = read("a.xml", data)
    np.testing.assert_allclose(recording.signal, counts * microvolts / 1000, rtol=1e-5, atol=1e-6)
    assert (recording.rate, recording.source, recording.flags) == (rate, "cardiosoft", ())


@some
@given(seeds, rates, resolutions, st.booleans(), st.permutations(LEADS), st.sampled_from([0.0, -150.0]))
def test_an_annotated_ecg_gives_every_lead_back(seed, rate, microvolts, relative, order, origin) -> None:
    counts = counts_of(seed)
    data = ecg_files.aecg(rows(counts, order), order, rate, microvolts, origin, relative)
    recording = read("a.xml", data)
    np.testing.assert_allclose(recording.signal, (counts * microvolts + origin) / 1000, rtol=1e-5, atol=1e-5)
    assert recording.rate == pytest.approx(rate)
    assert (recording.source, recording.flags) == ("aecg", ())


@some
@given(seeds, rates, resolutions, st.sampled_from(["1.03", "1.04", "1.04.01"]), st.booleans())
def test_philips_gives_every_lead_back_compressed_or_not(seed, rate, microvolts, version, xli) -> None:
    counts = counts_of(seed, samples=400)
    recording = read("a.xml", ecg_files.philips(counts, rate, microvolts, version, xli))
    np.testing.assert_allclose(recording.signal, counts * microvolts / 1000, rtol=1e-5, atol=1e-6)
    assert (recording.rate, recording.source) == (rate, "philips")


@some
@given(seeds, rates, resolutions, st.sampled_from([0, 1, 2]), st.sampled_from(["default", "own", "none"]))
def test_scp_ecg_gives_every_lead_back_whatever_its_coding(seed, rate, microvolts, order, table) -> None:
    counts = rows(counts_of(seed), EIGHT)
    recording = read("a.scp", ecg_files.scp(counts, EIGHT, rate, microvolts, order, table))
    np.testing.assert_allclose(rows(recording.signal, EIGHT), counts * microvolts / 1000, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(recording.signal[:6], LIMB @ recording.signal[:2].astype(float), rtol=1e-5, atol=1e-5)
    assert (recording.rate, recording.source) == (rate, "scp")


@some
@given(seeds, st.lists(st.integers(40, 260), min_size=1, max_size=4, unique=True), st.integers(1, 40))
def test_scp_ecg_adds_the_reference_beat_where_it_was_subtracted(seed, complexes, fiducial) -> None:
    counts = rows(counts_of(seed), EIGHT)
    beat = counts_of(seed + 1, samples=50)[:8] % 300
    recording = read("a.scp", ecg_files.scp(counts, beat=(beat, fiducial, complexes)))
    np.testing.assert_allclose(rows(recording.signal, EIGHT), counts * 0.005, rtol=1e-5, atol=1e-5)


# -- what the device said


@pytest.mark.parametrize(
    ("name", "data", "statements", "rate"),
    [
        ("a.xml", ecg_files.muse(rows(counts_of(1), EIGHT)), ("Normal sinus rhythm", "Normal ECG"), 72),
        ("a.xml", ecg_files.cardiosoft(counts_of(1)), ("Sinus rhythm",), 64),
        ("a.xml", ecg_files.aecg(counts_of(1)), ("SINUS RHYTHM",), 72),
        ("a.xml", ecg_files.philips(counts_of(1)), ("NORMAL ECG", "SINUS RHYTHM, normal P axis, V-rate 50-99"), 61),
        ("a.scp", ecg_files.scp(rows(counts_of(1), EIGHT)), ("Sinus rhythm",), 60),
    ],
    ids=["muse", "cardiosoft", "aecg", "philips", "scp"],
)
def test_statements_and_rate_of_the_device_come_along_and_nothing_of_the_patient(name, data, statements, rate) -> None:
    device = read(name, data).device
    assert device.statements == statements
    assert device.heart_rate_bpm == rate
    assert b"Secretname" in data or "Secretname".encode("utf-16-le") in data
    assert "ecret" not in json.dumps(device.as_json())


def test_the_machines_own_statements_count_not_the_edited_ones() -> None:
    data = ecg_files.muse(rows(counts_of(1), EIGHT), statements=["Sinus bradycardia"], edited=["Atrial fibrillation"])
    assert read("a.xml", data).device.statements == ("Sinus bradycardia",)


def test_a_confirming_physician_is_withheld_from_every_format() -> None:
    said = ["Sinus rhythm", "Confirmed by Secretname MD (342) on 12/24/2008 8:45:00 AM"]
    eight = rows(counts_of(1), EIGHT)
    for name, data in (
        ("a.xml", ecg_files.muse(eight, statements=said)),
        ("a.xml", ecg_files.aecg(counts_of(1), statements=said)),
        ("a.scp", ecg_files.scp(eight, statements=said)),
    ):
        device = read(name, data).device
        assert (device.statements, device.withheld) == (("Sinus rhythm",), 1)


def test_scp_ecg_measures_intervals_from_onset_to_end() -> None:
    device = read("a.scp", ecg_files.scp(rows(counts_of(1), EIGHT))).device
    assert (device.pr_ms, device.qrs_ms, device.qt_ms, device.qrs_axis_deg) == (160, 90, 400, -20)


# -- leads


def test_two_limb_leads_are_enough_for_the_other_four() -> None:
    counts = with_limb_leads_of_their_own(counts_of(4) * 4).astype(int)
    expected = with_limb_leads_of_their_own(counts * 0.005)
    for kept in (("III", "aVR"), ("II", "aVF"), ("aVL", "aVF"), ("I", "III")):
        names = [*kept, *LEADS[6:]]
        recording = read("a.xml", ecg_files.cardiosoft(rows(counts, names), names))
        np.testing.assert_allclose(recording.signal, expected, atol=1e-3)
        assert recording.flags[0].startswith("missing:")
        assert recording.flags[1] == recording.flags[0].replace("missing", "derived")


@pytest.mark.parametrize(
    ("names", "missing"),
    [(LEADS[:9], "V4, V5, V6"), (("I", *LEADS[6:]), "II, III, aVR, aVL, aVF"), (LEADS[2:3], "I, II, aVR")],
)
def test_leads_that_cannot_be_derived_are_named(names, missing) -> None:
    data = ecg_files.cardiosoft(rows(counts_of(1), names), names)
    assert f"fewer than 12 leads: {missing}" in refusal("a.xml", data)


def test_leads_of_unequal_length_are_refused() -> None:
    data = ecg_files.cardiosoft(counts_of(1)).replace(b'lead="V3">', b'lead="V3">1,2,3,')
    assert "differ in length" in refusal("a.xml", data)


# -- what is refused, and why

EIGHT_LEADS = rows(counts_of(2), EIGHT)
MUSE, CARDIOSOFT, AECG, SCP = (
    ecg_files.muse(EIGHT_LEADS),
    ecg_files.cardiosoft(counts_of(2)),
    ecg_files.aecg(counts_of(2)),
    ecg_files.scp(EIGHT_LEADS),
)
PHILIPS = ecg_files.philips(counts_of(2)).decode("utf-16")
ENTITY = '<!DOCTYPE RestingECG [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]>'
FILE = '<!DOCTYPE RestingECG [<!ENTITY a SYSTEM "file:///etc/hostname">]>'


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (ecg_files.muse(EIGHT_LEADS, head=ENTITY), "declares entities"),
        (ecg_files.muse(EIGHT_LEADS, head=FILE), "declares entities"),
        (MUSE[:-40], "damaged or truncated"),
        (MUSE.replace(b">Rhythm<", b">Median<"), "no rhythm"),
        (MUSE.replace(b"<SampleBase>500", b"<SampleBase>"), "sampling rate"),
        (MUSE.replace(b"MICROVOLTS", b"VOLUMES"), "unit of voltage"),
        (MUSE.replace(b"<LeadSampleCountTotal>320", b"<LeadSampleCountTotal>321"), "lacks samples"),
        (MUSE.replace(b"<LeadID>V6", b"<LeadID>VX"), "V6 not found"),
        (CARDIOSOFT.replace(b"WaveformData", b"Waveform"), "no waveform"),
        (CARDIOSOFT.replace(b"uVperLsb", b"cmperLsb"), "unit of voltage"),
        (CARDIOSOFT.replace(b'"V2">', b'"V2">x'), "not numbers"),
        (CARDIOSOFT.replace(b">500<", b">fast<"), "sampling rate"),
        (AECG.replace(b'"RHYTHM"', b'"BEAT"'), "no rhythm"),
        (AECG.replace(b'unit="uV"', b'unit="m"'), "unit of voltage"),
        (AECG.replace(b"increment", b"decrement"), "sampling rate"),
        (AECG.replace(b'value="2.5"', b'value="-2.5"'), "voltage per digit"),
        (PHILIPS.replace(">1.04<", ">2.00<").encode("utf-16"), "unknown version"),
        (PHILIPS.replace('"XLI"', '"ZIP"').encode("utf-16"), "compressed in an unknown way"),
        (PHILIPS.replace('"Base64"', '"Plain"').encode("utf-16"), "another encoding"),
        (PHILIPS.replace("parsedwaveforms", "parsed").encode("utf-16"), "no waveforms"),
        (PHILIPS.replace('"640"', '"6400"').encode("utf-16"), "lacks samples"),
        (b"<RestingECG>" + b"<a>" * 100_000 + b"</a>" * 100_000 + b"</RestingECG>", "no rhythm"),
        (b"<RestingECG>" + b"<a/>" * 400_001 + b"</RestingECG>", "too large"),
        (b"<ClinicalDocument/>", "not an ECG"),
    ],
)
def test_xml_that_is_no_such_ecg_says_why(data: bytes, reason: str) -> None:
    assert reason in refusal("a.xml", data)


def test_a_philips_chunk_of_negative_length_is_refused() -> None:
    start = PHILIPS.index('"640">') + len('"640">')
    backwards = PHILIPS[:start] + "+P///wAAAAA=" + PHILIPS[PHILIPS.index("</parsed") :]  # a length of -8
    assert "damaged" in refusal("a.xml", backwards.encode("utf-16"))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (SCP[:-100], "truncated"),
        (SCP[:400] + bytes([SCP[400] ^ 1]) + SCP[401:], "checksum"),
        (ecg_files.scp(EIGHT_LEADS, bimodal=True), "bimodal"),
        (ecg_files.assembled({3: b"\1\0" + b"\0" * 9}), "no rhythm"),
        (ecg_files.assembled({3: bytes([1, 0]) + b"\1\0\0\0\xff\xff\xff\xff\1", 6: b"\0" * 40}), "impossible length"),
        (b"\0" * 200, "EN 1064"),
    ],
)
def test_an_scp_ecg_file_that_cannot_be_read_says_why(data: bytes, reason: str) -> None:
    assert reason in refusal("a.scp", data)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.xml", b"", "empty"),
        ("a.scp", b"", "empty"),
        ("a.pdf", b"%PDF-1.7 ...", "a PDF"),
        ("a.jpg", b"\xff\xd8\xff\xe0....", "a picture"),
        ("a.zip", b"PK\x03\x04....", "a ZIP archive"),
        ("a.bin", b"Salted__12345678", "encrypted"),
        ("a.asc", b"-----BEGIN PGP MESSAGE-----", "encrypted"),
        ("a.xml", b"<!DOCTYPE html><html></html>", "a web page"),
        ("a.edf", b"0       X X X", "an EDF recording"),
        ("a.bin", bytes(np.random.default_rng(3).integers(0, 256, 4000, dtype=np.uint8)), "is not an ECG"),
        ("a.hea", b"a 12 500 5000", "fewer than 12 leads"),
        ("a.dat", b"\0" * 100, "header (.hea) is missing"),
    ],
)
def test_wrong_things_are_told_by_name(name: str, data: bytes, reason: str) -> None:
    assert reason in refusal(name, data)


Make = Callable[..., EcgRecording]


def test_bytes_read_as_the_file_does_also_with_siblings(tmp_path, make_ecg: Make) -> None:
    import wfdb

    wfdb.wrsamp("record", 500, ["mV"] * 12, list(LEADS), make_ecg().signal.T.astype(float), fmt=["16"] * 12,
                write_dir=str(tmp_path))  # fmt: skip
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for name in files:
        recording = read_ecg_bytes(name, files[name], files)
        np.testing.assert_allclose(recording.signal, make_ecg().signal, atol=1e-4)
    assert "lacks its signal" in refusal("record.hea", files["record.hea"])
