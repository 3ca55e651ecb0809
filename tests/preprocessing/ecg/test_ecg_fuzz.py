"""Whatever is done to a file of any format, its reader soon gives a recording or one of the project's own errors."""

import io
import random
import time
import zlib
from pathlib import Path

import ecg_files
import numpy as np
import pytest
import wfdb
from ecg_files import EIGHT, rows
from scipy.io import savemat

from chordae.platform.errors import ChordaeError
from chordae.preprocessing.ecg import clean, read_ecg, read_ecg_bytes

EACH = 60
"""Mutations a format."""
SOON = 3.0
"""Seconds; a good file takes a hundredth."""


@pytest.fixture(scope="module")
def files(
    bundled_ecg: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[str, bytes, dict[str, bytes]]]:
    """A valid file of every format, with the files beside it, all of one real recording."""
    recording = read_ecg(bundled_ecg)
    counts = np.round(recording.signal[:, :6000:2] * 200).astype(int)
    eight = rows(counts, EIGHT)
    matlab = io.BytesIO()
    savemat(matlab, {"ECG": {"data": counts * 5}})
    folder = tmp_path_factory.mktemp("wfdb")
    wfdb.wrsamp("record", 500, ["mV"] * 12, list(ecg_files.LEADS), counts.T * 0.005, fmt=["16"] * 12,
                write_dir=str(folder))  # fmt: skip
    beside = {path.name: path.read_bytes() for path in folder.iterdir()}
    alone = {
        "npy": ("a.npy", ecg_files.npy(counts / 200)),
        "dicom": ("a.dcm", bundled_ecg.read_bytes()),
        "muse": ("a.xml", ecg_files.muse(eight)),
        "cardiosoft": ("a.xml", ecg_files.cardiosoft(counts)),
        "disclosure": ("a.xml", ecg_files.cardiosoft(counts, disclosed=True)),
        "aecg": ("a.xml", ecg_files.aecg(counts)),
        "philips": ("a.xml", ecg_files.philips(counts)),
        "scp": ("a.scp", ecg_files.scp(eight)),
        "scp-beat": ("a.scp", ecg_files.scp(eight, beat=(eight[:, 300:700], 100, [800, 1700]), table="own", order=1)),
        "matlab": ("a.mat", matlab.getvalue()),
    }
    pairs = {f"wfdb{suffix}": (f"record{suffix}", beside[f"record{suffix}"], beside) for suffix in (".hea", ".dat")}
    return {name: (*file, {}) for name, file in alone.items()} | pairs


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Cut short, bytes replaced, numbers made extreme, parts moved, doubled or left out; mostly near the head."""
    changed = bytearray(data)
    near = chance.choice([64, 600, len(data)])
    for _ in range(chance.choice([1, 1, 4, 30])):
        at = chance.randrange(min(near, len(changed)) or 1)
        match chance.randrange(6):
            case 0:
                changed[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                changed[at : at + 4] = chance.choice(
                    [b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"-1e9", b"9999"]
                )
            case 2:
                changed[at : at + chance.randrange(1, 50)] = b""
            case 3:
                length = chance.randrange(1, 200)
                other = chance.randrange(len(changed) or 1)
                changed[at:at] = changed[other : other + length]
            case 4:
                changed[at : at + 2] = chance.choice([b"<", b">", b"&", b'"', b"\0\0", b"nan", b" "])
            case 5 if chance.random() < 0.3:
                del changed[chance.randrange(len(changed) or 1) :]
    return bytes(changed)


FORMATS = ["npy", "dicom", "muse", "cardiosoft", "disclosure", "aecg", "philips", "scp", "scp-beat", "matlab",
           "wfdb.hea", "wfdb.dat"]  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_a_mutated_file_gives_a_recording_or_an_error_of_our_own(files, name: str) -> None:
    title, data, beside = files[name]
    assert read_ecg_bytes(title, data, beside).signal.shape[0] == 12
    chance = random.Random(zlib.crc32(name.encode()))
    refused = 0
    for _ in range(EACH):
        content = mutated(data, chance)
        if name.startswith("scp") and chance.random() < 0.9:  # the checksum would catch it first
            content = ecg_files.with_checksum(content)
        start = time.monotonic()
        try:
            cleaned = clean(read_ecg_bytes(title, content, beside | {title: content} if beside else {}))
        except ChordaeError as error:
            refused += 1
            assert error.problem and error.remedy and "\n" not in str(error)
        else:
            assert cleaned.signal.shape == (12, 5000)
            assert np.isfinite(cleaned.signal).all()
        assert time.monotonic() - start < SOON
    assert refused > 0


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_cut_short_gives_a_recording_or_an_error_of_our_own(files, name: str) -> None:
    title, data, beside = files[name]
    for length in [*range(0, 40, 3), *np.linspace(40, len(data) - 1, 20).astype(int)]:
        content = data[:length]
        if name.startswith("scp"):
            content = ecg_files.with_checksum(content) if length > 6 else content
        try:
            read_ecg_bytes(title, content, beside | {title: content} if beside else {})
        except ChordaeError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("name", ["muse", "cardiosoft", "aecg", "philips"])
def test_two_formats_spliced_give_a_recording_or_an_error_of_our_own(files, name: str) -> None:
    chance = random.Random(5)
    for other in ("muse", "aecg", "scp", "matlab", "npy"):
        for _ in range(4):
            first, second = files[name][1], files[other][1]
            content = first[: chance.randrange(len(first))] + second[chance.randrange(len(second)) :]
            try:
                read_ecg_bytes("a.xml", content)
            except ChordaeError as error:
                assert "\n" not in str(error)
