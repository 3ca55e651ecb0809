"""Whatever a file says, the project's own errors are all that comes out, and no error quotes the file."""

from functools import lru_cache

import numpy as np
from echo_files import clip, dataset_of, fan, file_of, real, region
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from chordae.platform.errors import UnreadableRecording
from chordae.preprocessing.dicom import Instance, read_instance
from chordae.preprocessing.echo import prepare_echo

SMALL = fan(0, 6, 6, 48, 64)


@lru_cache(maxsize=2)
def small_file(jpeg: bool) -> bytes:
    if jpeg:
        return bytes(real().data)
    regions = [region((2, 2, 60, 40)), region((0, 41, 63, 47), 4, 10)]
    return file_of(dataset_of(SMALL, SequenceOfUltrasoundRegions=regions, HeartRate="70", RWaveTimeVector=[0.0, 100.0]))


def survives(data: bytes) -> None:
    try:
        video = prepare_echo([read_instance(data)])
    except UnreadableRecording as error:
        assert error.reason
        assert "Doe" not in str(error)
    else:
        assert video.mp4


@settings(max_examples=60, deadline=None)
@given(st.booleans(), st.floats(0, 1))
def test_a_file_cut_anywhere(jpeg: bool, share: float) -> None:
    data = small_file(jpeg)
    survives(data[: int(share * len(data))])


@settings(max_examples=120, deadline=None)
@given(
    st.lists(st.tuples(st.integers(132, 2600), st.binary(min_size=1, max_size=4)), min_size=1, max_size=4),
    st.booleans(),
)
def test_a_header_with_any_bytes_changed(changes: list[tuple[int, bytes]], jpeg: bool) -> None:
    data = bytearray(small_file(jpeg))
    for at, new in changes:
        data[at : at + len(new)] = new
    survives(bytes(data))


numbers = st.sampled_from(
    ["0", "-1", "1", "2", "7", "1e9", "nan", "inf", "-inf", "abc", "33", "1e-300", "1\\2\\3", "0\\9\\\\9"]
)
NUMERIC = ("FrameTime", "CineRate", "HeartRate", "StartTrim", "StopTrim", "InstanceNumber", "FrameTimeVector")


@settings(max_examples=80, deadline=None)
@given(
    tags=st.dictionaries(st.sampled_from(NUMERIC), numbers),
    rows=st.sampled_from([0, 1, 47, 48, 65535]),
    waves=st.lists(st.floats(width=32), max_size=4),
    box=st.tuples(*[st.integers(-100, 2**31 - 1)] * 4),
    frames=st.sampled_from([2, 6, 7, 19_999]),
)
def test_tags_with_impossible_values(
    tags: dict[str, str], rows: int, waves: list[float], box: tuple[int, int, int, int], frames: int
) -> None:
    unsigned = tuple(max(0, edge) for edge in box)
    dataset = dataset_of(SMALL, RWaveTimeVector=waves, SequenceOfUltrasoundRegions=[region(unsigned)])  # type: ignore[arg-type]
    dataset.Rows, dataset.NumberOfFrames = rows, frames
    survives(with_raw(dataset, tags))


def with_raw(dataset: Dataset, tags: dict[str, str]) -> bytes:
    """Numbers as text that pydicom itself would not write: placeholders of nine digits, overwritten in the file."""
    for number, keyword in enumerate(tags):
        setattr(dataset, keyword, 123456780 + number)
    data = file_of(dataset)
    for number, value in enumerate(tags.values()):
        data = data.replace(str(123456780 + number).encode(), value.encode().ljust(9), 1)
    return data


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4), st.integers(1, 70), st.integers(1, 70), st.booleans())
def test_any_pixels_of_any_size(seed: int, frames: int, rows: int, columns: int, colour: bool) -> None:
    shape = (frames, rows, columns, 3) if colour else (frames, rows, columns)
    pixels = np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8)
    try:
        assert prepare_echo([clip(pixels)]).mp4
    except UnreadableRecording as error:
        assert error.reason == "no_sector"


def test_the_errors_of_a_study_do_not_name_its_patient() -> None:
    def refused(instance: Instance) -> str:
        try:
            prepare_echo([instance])
        except UnreadableRecording as error:
            return str(error)
        raise AssertionError

    for tags in ({"Rows": 0}, {"BodyPartExamined": "NECK OF DOE"}, {"Modality": "DOE"}):
        assert "DOE" not in refused(clip(SMALL, **tags)).upper()
