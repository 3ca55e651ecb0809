"""MATLAB files as SciPy writes them: any name, a structure's field, versions 4 and 5; and hostile ones."""

import io
import resource
import struct
import time
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from chordae.platform.errors import UnreadableRecording
from chordae.preprocessing.ecg import read_ecg_bytes

BIG = 2**29


def saved(content: dict[str, object], **options: object) -> bytes:
    file = io.BytesIO()
    savemat(file, content, **options)
    return file.getvalue()


def refusal(data: bytes) -> str:
    with pytest.raises(UnreadableRecording) as caught:
        read_ecg_bytes("a.mat", data)
    return str(caught.value)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["val", "ECG", "x1"]),
    st.sampled_from(["f8", "f4", "i2", "i4", ">f8", ">i2"]),
    st.sampled_from([{}, {"do_compression": True}, {"format": "4"}]),
    st.integers(13, 400),
)
def test_an_array_of_twelve_rows_is_found_under_any_name(name: str, dtype: str, options: dict, samples: int) -> None:
    microvolts = np.random.default_rng(samples).integers(-900, 900, (12, samples)).astype(dtype)
    recording = read_ecg_bytes("a.mat", saved({name: microvolts}, **options))
    np.testing.assert_allclose(recording.signal, microvolts / 1000, rtol=1e-6)
    assert (recording.rate, recording.source, recording.flags) == (500, "matlab", ("assumed:uV,500Hz",))


def test_a_structure_as_in_cpsc2018_is_opened(make_ecg) -> None:
    signal = make_ecg().signal
    recording = read_ecg_bytes("a.mat", saved({"ECG": {"sex": "Male", "age": 74, "data": signal}}))
    np.testing.assert_array_equal(recording.signal, signal)
    assert recording.flags == ("assumed:mV,500Hz",)


def test_a_rate_in_the_file_is_not_assumed(make_ecg) -> None:
    recording = read_ecg_bytes("a.mat", saved({"val": make_ecg(rate=250).signal, "Fs": 250}))
    assert (recording.rate, recording.flags) == (250, ("assumed:mV",))


def test_the_name_of_the_file_does_not_matter_for_version_5(make_ecg) -> None:
    assert read_ecg_bytes("a.bin", saved({"val": make_ecg().signal})).source == "matlab"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (saved({"val": np.ones((5000, 12))}), "transpose"),
        (saved({"val": np.ones((8, 5000))}), "no array of shape (12, N)"),
        (saved({"a": np.ones((12, 50)), "b": np.ones((12, 50))}), "more than one array"),
        (saved({"val": np.zeros((12, 5000))}), "neither millivolts nor microvolts"),
        (saved({"val": np.random.default_rng(1).normal(0, 7, (12, 5000))}), "neither millivolts nor microvolts"),
        (saved({"val": "text"}), "no array"),
        (saved({"val": np.ones((12, 5000))})[:3000], "truncated"),
        (b"MATLAB 7.3 MAT-file, Platform: GLNXA64", "-v7"),
        (b"MATLAB 5.0 MAT-file".ljust(200), "damaged"),
    ],
)
def test_what_is_no_recording_says_why(data: bytes, reason: str) -> None:
    assert reason in refusal(data)


def element(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, len(content)) + content + b"\0" * (-len(content) % 8)


def matrix(kind: int, shape: tuple[int, ...], rest: bytes) -> bytes:
    dimensions = struct.pack(f"<{len(shape)}i", *shape)
    return element(14, element(6, struct.pack("<II", kind, 0)) + element(5, dimensions) + element(1, b"val") + rest)


def nested(levels: int) -> bytes:
    data = matrix(6, (1, 1), element(9, b"\0" * 8))
    for _ in range(levels):
        data = matrix(1, (1, 1), data)
    return data


HEAD = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"


@pytest.mark.parametrize(
    "content",
    [
        nested(2_000),  # SciPy's reader overruns the stack
        matrix(1, (1, BIG), b""),  # takes gigabytes there
        matrix(2, (1, BIG), element(5, struct.pack("<i", 1)) + element(1, b"a")),
        matrix(6, (12, BIG), element(9, b"\0" * 16)),
        matrix(6, (-12, -5), element(9, b"\0" * 16)),
        element(15, zlib.compress(b"\0" * 300_000_000, 1)),
        element(15, zlib.compress(element(14, b""))[:6]),
        element(14, b""),
    ],
    ids=["nested", "cells", "structures", "numbers", "negative", "bomb", "cut", "empty"],
)
def test_hostile_files_cost_neither_time_nor_memory(content: bytes) -> None:
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refusal(HEAD + content)
    assert time.monotonic() - start < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_200_000  # KiB
