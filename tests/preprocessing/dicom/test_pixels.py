"""Pixels come out as pydicom's own decoders give them, whatever the codec and the colours."""

import warnings
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from dicom_files import SHIPPED, saved
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut, pixel_array
from pydicom.uid import (
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from chordae.platform.errors import ChordaeError, UnreadableRecording
from chordae.preprocessing.dicom import bundled_echo, decode, read_instance


def decoded(data: bytes, *frames: int) -> np.ndarray:
    """RGB, as pydicom has it."""
    instance = read_instance(data)
    pictures = np.stack(decode(instance, frames or range(instance.frames)))
    return pictures[..., ::-1] if pictures.ndim == 4 else pictures


def test_every_image_that_pydicom_ships_decodes_to_the_same_values_or_is_refused_by_name() -> None:
    same, codecs = 0, set()
    for path in SHIPPED:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                reference = pydicom.dcmread(path)
                expected = pixel_array(reference)
        except Exception:  # noqa: BLE001 - no image, or made to be damaged
            continue
        try:
            found = decoded(path.read_bytes())
        except UnreadableRecording as error:
            assert error.reason in {"encoding", "bad_pixels", "truncated"}, (path.name, error)
            continue
        if reference.PhotometricInterpretation == "PALETTE COLOR":
            expected = apply_color_lut(expected, reference)
            expected = expected if expected.dtype == np.uint8 else (expected >> 8).astype(np.uint8)
        np.testing.assert_array_equal(found, expected.reshape(found.shape), err_msg=path.name)
        same += 1
        codecs.add(str(reference.file_meta.TransferSyntaxUID))
    assert same > 35
    assert len(codecs) >= 7


def test_an_echo_loop_decodes_to_the_bit_as_pydicom_does() -> None:
    np.testing.assert_array_equal(decoded(bundled_echo().read_bytes()), pixel_array(bundled_echo()))


def test_frames_come_in_the_order_asked_for() -> None:
    whole = decoded(bundled_echo().read_bytes())
    np.testing.assert_array_equal(decoded(bundled_echo().read_bytes(), 7, 2, 7), whole[[7, 2, 7]])


def grey(photometric: str = "MONOCHROME2", signed: bool = False) -> tuple[Dataset, np.ndarray]:
    pixels = np.arange(3 * 8 * 6).reshape(3, 8, 6).astype(np.int16 if signed else np.uint16) * (-5 if signed else 5)
    dataset = Dataset()
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = 8, 6, 3
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, photometric
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = int(signed)
    dataset.PixelData = pixels.tobytes()
    return dataset, pixels


@pytest.mark.parametrize("signed", [False, True])
def test_black_and_white_are_never_reversed(signed: bool) -> None:
    dataset, pixels = grey("MONOCHROME1", signed)
    np.testing.assert_array_equal(decoded(saved(dataset)), ~pixels if signed else 4095 - pixels)


def colour(photometric: str, planar: int, pixels: np.ndarray) -> Dataset:
    dataset = Dataset()
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, photometric, planar
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.PixelData = (np.moveaxis(pixels, -1, 0) if planar else pixels).tobytes()
    return dataset


@pytest.mark.parametrize("planar", [0, 1])
def test_colour_by_pixel_and_by_plane(planar: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 4, 3), dtype=np.uint8)
    np.testing.assert_array_equal(decoded(saved(colour("RGB", planar, pixels)))[0], pixels)


def test_uncompressed_ybr_becomes_rgb() -> None:
    pixels = np.random.default_rng(0).integers(60, 200, (6, 4, 3), dtype=np.uint8)
    ybr = cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]]
    found = decoded(saved(colour("YBR_FULL", 0, np.ascontiguousarray(ybr))))[0]
    assert np.abs(found.astype(int) - pixels).max() <= 2


@pytest.mark.parametrize("codec", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_lossless_codecs_give_back_what_was_written(codec: str) -> None:
    dataset, pixels = grey()
    plain = pydicom.dcmread(pydicom.filebase.DicomBytesIO(saved(dataset)))
    if codec == RLELossless:
        plain.compress(codec)
        np.testing.assert_array_equal(decoded(saved(plain, codec)), pixels)
        return
    names = {JPEGLSLossless: "MR_small_jpeg_ls_lossless.dcm", JPEG2000Lossless: "MR_small_jp2klossless.dcm"}
    compressed = Path(str(get_testdata_file(names[codec]))).read_bytes()
    reference = pixel_array(str(get_testdata_file("MR_small.dcm")))
    np.testing.assert_array_equal(decoded(compressed)[0], reference)


def refusal(data: bytes, *frames: int) -> str:
    with pytest.raises(UnreadableRecording) as refused:
        decode(read_instance(data), frames or (0,))
    return refused.value.reason


def test_each_way_of_having_no_usable_pixels_has_its_name() -> None:
    whole, dataset = bundled_echo().read_bytes(), grey()[0]
    assert refusal(whole[: len(whole) // 2], 29) in {"truncated", "bad_pixels"}
    assert refusal(saved(dataset)[:-40], 2) == "truncated"
    assert refusal(saved(dataset), 3) == "truncated"
    assert refusal(saved(Dataset())) == "no_pixels"
    dataset.Rows = 0
    assert refusal(saved(dataset)) == "bad_size"
    dataset.Rows, dataset.BitsAllocated = 8, 32
    assert refusal(saved(dataset)) == "bad_pixels"


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_images_raise_the_projects_own_error_or_decode(data: st.DataObject) -> None:
    names = ["examples_ybr_color.dcm", "MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm"]
    name = data.draw(st.sampled_from(names))
    whole = bytearray(Path(str(get_testdata_file(name))).read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(132, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode(read_instance(bytes(whole[: data.draw(st.integers(400, len(whole)))])), (0,))
    except ChordaeError as error:
        assert error.remedy


def test_what_stands_behind_the_pixels_is_never_shown() -> None:
    dataset, _ = grey()
    dataset.NumberOfFrames = 4  # one more than there are
    dataset.add_new(0xFFFCFFFC, "OB", b"PATIENT SMITH^JOHN" * 40)
    assert refusal(saved(dataset), 3) == "truncated"
