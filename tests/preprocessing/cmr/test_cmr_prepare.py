"""A study becomes a video whose tiles show what the sidecar says, or is refused by name."""

import io
import json
import random
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
import pytest
from heart_phantom import GE, PHILIPS, SIEMENS, enhanced, mark, plane, read, saved, series, set_pixels
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.pixels import pixel_array

from chordae.platform.errors import ChordaeError, UnreadableRecording
from chordae.preprocessing.archive import members
from chordae.preprocessing.cmr import PREPROCESSING_VERSION, lay_out, phases_shown, prepare_cmr
from chordae.preprocessing.dicom import Instance, read_instance

TILE = 240
CODEC = 5.5
"""By how much MPEG-4, as OpenCV writes and reads it, may miss a grey: it darkens by four or five."""


def frames_of(mp4: bytes, folder: Path) -> np.ndarray:
    """(frames, rows, columns), as OpenCV reads the file back."""
    path = folder / "grid.mp4"
    path.write_bytes(mp4)
    capture = cv2.VideoCapture(str(path))
    found = []
    while True:
        ok, frame = capture.read()
        if not ok:
            return np.stack(found)
        found.append(frame[..., 0])


def tiles_of(sidecar: dict[str, object]) -> list[dict[str, Any]]:
    tiles = sidecar["tiles"]
    assert isinstance(tiles, list)
    return tiles


def tile_of(frames: np.ndarray, tile: dict[str, Any]) -> np.ndarray:
    row, column = tile["row"] * TILE, tile["column"] * TILE
    return frames[:, row : row + TILE, column : column + TILE]


def cine(**tags: Any) -> list[Dataset]:
    return series(**{"slices": 5, "phases": 8, "SeriesDescription": "cine sa", **GE, **tags})


def refusal(images: list[Dataset]) -> UnreadableRecording:
    with pytest.raises(UnreadableRecording) as refused:
        prepare_cmr(read(images))
    return refused.value


# --- what is shown ---


@pytest.mark.parametrize("vendor", [GE, SIEMENS, PHILIPS])
@pytest.mark.parametrize("phases", [8, 16, 25])
def test_every_tile_shows_the_slice_and_the_phases_that_the_sidecar_names(
    vendor: dict[str, Any], phases: int, tmp_path: Path
) -> None:
    images = series(4, phases, None, 7, **vendor)
    for image in images:  # the upper half of the square says the phase, the lower one the slice; steps beat the codec
        level, phase = divmod(image.InstanceNumber - 1, phases)
        set_pixels(image, 20 * phase, top=500)
        pixels = np.frombuffer(image.PixelData, np.uint16).copy().reshape(64, 64)
        pixels[32:48, 16:48] = 120 * level
        image.PixelData = pixels.tobytes()
    prepared = prepare_cmr(read(images))
    frames = frames_of(prepared.mp4, tmp_path)
    assert frames.shape == (16, 480, 480)
    for tile in tiles_of(prepared.sidecar):
        shown = tile["phases"]["numbers"]
        assert tile["series"] == 7
        assert tile["phases"]["of"] == phases
        assert tile["images"] == [(tile["slice"]["number"] - 1) * phases + phase for phase in shown]
        pictures = tile_of(frames, tile)
        played = [shown[index * len(shown) // 16] for index in range(16)]
        upper, lower = pictures[:, 70:110, 70:170].mean(axis=(1, 2)), pictures[:, 130:170, 70:170].mean(axis=(1, 2))
        np.testing.assert_allclose(upper, [20 * (phase - 1) * 255 / 500 for phase in played], atol=CODEC)
        np.testing.assert_allclose(lower, [120 * (tile["slice"]["number"] - 1) * 255 / 500] * 16, atol=CODEC)


def test_an_enhanced_object_shows_the_same_as_its_classic_twin(tmp_path: Path) -> None:
    classic = prepare_cmr(read(series(4, 10, None, 1, SeriesDescription="cine sa")))
    for by_trigger in (True, False):
        twin = enhanced(
            4, 10, 1, by_trigger, SeriesDescription="cine sa", CardiacSynchronizationTechnique="RETROSPECTIVE"
        )
        prepared = prepare_cmr(read([twin]))
        assert prepared.mp4 == classic.mp4
        for tile in tiles_of(prepared.sidecar):
            wanted = [mark(tile["slice"]["number"] - 1, phase - 1) for phase in tile["phases"]["numbers"]]
            stored = np.frombuffer(twin.PixelData, np.uint16).reshape(-1, 64, 64)
            assert [int(stored[frame - 1, 32, 32]) for frame in tile["image_frames"]] == wanted


def test_an_enhanced_object_without_a_name_is_told_by_its_own_attributes() -> None:
    unnamed = enhanced(4, 10, SteadyStatePulseSequence="FREE_PRECESSION", CardiacSynchronizationTechnique="PROSPECTIVE")
    (one,) = prepare_cmr(read([unnamed])).sidecar["series"]  # type: ignore[attr-defined]
    assert (one["sequence"], one["told_by"], one["view"], one["view_told_by"]) == (
        *("cine", "physics", "short axis", "geometry"),
    )
    late = enhanced(4, 1, ImageType=["ORIGINAL", "PRIMARY", "CARDIAC", "NONE"], InversionRecovery="YES")
    for frame in late.PerFrameFunctionalGroupsSequence:
        timing = Dataset()
        timing.InversionTimes = [300.0]
        frame.MRModifierSequence = [timing]
    assert {tile["sequence"] for tile in tiles_of(prepare_cmr(read([late])).sidecar)} == {"late gadolinium enhancement"}


def test_a_still_tile_repeats_and_a_small_study_has_a_small_grid(tmp_path: Path) -> None:
    prepared = prepare_cmr(read(series(3, 1, SeriesDescription="LGE sax")))
    frames = frames_of(prepared.mp4, tmp_path)
    assert frames.shape == (16, 480, 480)
    assert np.ptp(frames.astype(int), axis=0).max() <= CODEC
    assert prepared.sidecar["grid"] == {"side": 2, "tile_px": 240, "frames": 16, "fps": 16.0}
    assert prepared.version == PREPROCESSING_VERSION


@pytest.mark.parametrize("count", [1, 5, 16, 17, 20, 30, 77])
def test_phases_are_sampled_evenly_and_each_once(count: int) -> None:
    shown = phases_shown(count)
    assert shown == sorted(set(shown))
    assert len(shown) == min(count, 16)
    assert np.ptp(np.diff([*shown, count])) <= 1


def test_the_order_of_the_files_changes_nothing(whole_examination: list[Instance]) -> None:
    grid, sidecar = lay_out(whole_examination)
    shuffled = list(whole_examination)
    for seed in range(3):
        random.Random(seed).shuffle(shuffled)
        again, same = lay_out(shuffled)
        assert all(np.array_equal(*pair) for pair in zip(again.frames(), grid.frames(), strict=True))
        assert json.dumps(same) == json.dumps(sidecar)
    small = read(cine())
    assert prepare_cmr(small[::-1]).mp4 == prepare_cmr(small).mp4


def test_phases_go_by_trigger_time_else_by_temporal_position_else_by_number() -> None:
    def order(images: list[Dataset]) -> list[int]:
        return [int(number) for number in tiles_of(prepare_cmr(read(images)).sidecar)[0]["images"]]

    images = cine(slices=1)
    for image in images:
        image.TriggerTime = str(500 - 30 * image.InstanceNumber)
        image.TemporalPositionIdentifier = (image.InstanceNumber * 3) % 8 + 1
    assert order(images) == [8, 7, 6, 5, 4, 3, 2, 1]
    for image in images:
        del image.TriggerTime
    assert order(images) == [8, 3, 6, 1, 4, 7, 2, 5]
    for image in images:
        del image.TemporalPositionIdentifier
    assert order(images) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_repeated_slice_is_shown_once_and_its_fuller_or_later_take() -> None:
    first = series(3, 12, None, 1, SeriesDescription="cine sa", **GE)
    again = series(3, 12, None, 2, SeriesDescription="cine sa repeat", **GE)
    short = series(3, 8, None, 3, SeriesDescription="cine sa", **GE)
    tiles = tiles_of(prepare_cmr(read([*first, *again, *short])).sidecar)
    assert [(tile["series"], tile["slice"]["number"]) for tile in tiles] == [(2, 1), (2, 2), (2, 3)]


def test_the_same_t1_has_the_same_grey_in_every_patient(tmp_path: Path) -> None:
    def grey(slope: str, milliseconds: int, top: int, name: str = "T1 MAP") -> float:
        images = series(1, 1, ImageType=["DERIVED", "PRIMARY", "M", name], SeriesDescription=f"{name} heart")
        for image in images:
            set_pixels(image, round(milliseconds / float(slope)), top=top)
            image.RescaleSlope, image.RescaleIntercept = slope, "0"
        prepared = prepare_cmr(read(images))
        return float(frames_of(prepared.mp4, tmp_path)[0, 80:160, 80:160].mean())

    assert grey("1", 1000, 4000) == pytest.approx(127.5, abs=CODEC)
    assert grey("0.5", 1000, 900) == pytest.approx(127.5, abs=CODEC)
    assert grey("1", 60, 90, "T2 MAP") == pytest.approx(127.5, abs=CODEC)
    assert grey("0.1", 60, 900, "T2 MAP") == pytest.approx(127.5, abs=CODEC), "rescaled"


def test_a_t2_map_in_tenths_of_a_millisecond_is_seen_as_such(tmp_path: Path) -> None:
    images = series(1, 1, ImageType=["DERIVED", "PRIMARY", "M", "T2 MAP"], SeriesDescription="T2 MAP heart")
    set_pixels(images[0], 600, top=1200)
    prepared = prepare_cmr(read(images))
    assert tiles_of(prepared.sidecar)[0]["window"]["stored_in_tenths"]
    assert frames_of(prepared.mp4, tmp_path)[0, 80:160, 80:160].mean() == pytest.approx(127.5, abs=CODEC)


@pytest.mark.parametrize(("still", "signed", "intercept"), [(2048, False, "0"), (0, True, "0"), (2048, False, "-2048")])
def test_no_motion_is_middle_grey_in_velocity_images(still: int, signed: bool, intercept: str, tmp_path: Path) -> None:
    images = series(1, 8, SeriesDescription="flow aorta", ImageType=["ORIGINAL", "PRIMARY", "P"])
    for image in images:
        pixels = np.full((64, 64), still, np.int16)
        pixels[:, 56:], pixels[:, :8] = still + 1500, still - 1500
        set_pixels(image, 0, signed=signed)
        image.PixelData = pixels.tobytes()
        image.BitsStored, image.RescaleSlope, image.RescaleIntercept = 12, "1", intercept
    prepared = prepare_cmr(read(images))
    frames = frames_of(prepared.mp4, tmp_path)
    assert frames[:, 80:160, 80:160].mean() == pytest.approx(127.5, abs=CODEC)
    assert frames[:, :, -15:].mean() > 200
    assert frames[:, :, :15].mean() < 40


def test_negative_grey_values_become_black_not_bright(tmp_path: Path) -> None:
    images = cine(slices=3)
    for image in images:
        set_pixels(image, 300, top=1000, signed=True)
        pixels = np.frombuffer(image.PixelData, np.int16).copy().reshape(64, 64)
        pixels[2, 2:5] = -900
        image.PixelData = pixels.tobytes()
    frames = frames_of(prepare_cmr(read(images)).mp4, tmp_path)
    assert frames[:, 4:20, 4:20].max() < 40


# --- nothing of the patient ---


def test_the_sidecar_names_no_patient_and_repeats_no_text_of_the_header() -> None:
    late = series(3, 1, None, 2, SeriesDescription="LGE sax")
    images = [*cine(), *late, *series(3, 1, plane("axial"), 3, SeriesDescription="localizer")]
    for image in images:
        image.SeriesDescription = f"{image.SeriesDescription} Nightingale"
        image.StudyDescription, image.ProtocolName = "Nightingale Florence 1820", "Nightingale"
        image.OperatorsName, image.StudyDate, image.AccessionNumber = "Nightingale", "18200512", "ACC-77"
        image.ImageComments = "Nightingale"
    prepared = prepare_cmr(read(images), question="scar of Florence Nightingale?")
    text = json.dumps(prepared.sidecar) + prepared.mp4.decode("latin-1")
    for secret in ("ightingale", "Florence", "1820", "SECRET", "ACC-77", "2.25."):
        assert secret not in text
    json.loads(json.dumps(prepared.sidecar))


# --- what is refused or set aside ---


def test_duplicates_count_once_whichever_comes_first() -> None:
    images = cine()
    prepared = prepare_cmr(read([*images, *images]))
    assert prepared.sidecar["set_aside"] == {"duplicate": len(images)}
    assert prepared.mp4 == prepare_cmr(read(images)).mp4
    other = cine()
    set_pixels(other[0], 1234)
    one, two = prepare_cmr(read([*images, *other])), prepare_cmr(read([*other, *images]))
    assert one.mp4 == two.mp4


def test_other_modalities_and_objects_are_set_aside_by_reason() -> None:
    ct, empty, coloured, tiny, report = (series(1, 1, None, n, SOPInstanceUID=f"2.25.50.{n}")[0] for n in range(51, 56))
    ct.Modality = "CT"
    del empty.PixelData
    coloured.PhotometricInterpretation, coloured.SamplesPerPixel = "RGB", 3
    tiny.Rows = 8
    report.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    sidecar = prepare_cmr(read([*cine(), ct, empty, coloured, tiny, report])).sidecar
    expected = ("bad_size", "no_pixels", "not_an_mr_image", "not_grey", "wrong_modality")
    assert sidecar["set_aside"] == dict.fromkeys(expected, 1)
    assert refusal([ct]).reason == "wrong_modality"
    assert refusal([coloured]).reason == "not_grey"
    with pytest.raises(UnreadableRecording) as refused:
        prepare_cmr([])
    assert refused.value.reason == "empty"


def test_a_damaged_slice_is_left_out_and_counted_and_a_study_of_them_refused() -> None:
    images = cine()
    for image in images[:8]:
        image.PixelData = image.PixelData[:100]
    sidecar = prepare_cmr(read(images)).sidecar
    assert sidecar["set_aside"] == {"tile_truncated": 1}
    assert [tile["slice"]["number"] for tile in tiles_of(sidecar)] == [2, 3, 4, 5]
    for image in images:
        image.PixelData = image.PixelData[:100]
    assert refusal(images).reason == "truncated"


def test_a_study_without_a_picture_for_the_grid_says_so() -> None:
    only_flow = series(4, 8, plane("axial"), SeriesDescription="4D flow heart", MRAcquisitionType="3D")
    assert refusal(only_flow).reason == "nothing_diagnostic"
    scouts = series(3, 1, plane("axial"), SeriesDescription="localizer")
    assert refusal([*scouts, *series(1, 25, None, 2, SeriesDescription="TI scout")]).reason == "scouts_only"


# --- any input ---

MISSING = sorted({element.keyword for image in cine(slices=1) for element in image} - {"PixelData"})


@pytest.mark.parametrize("keyword", MISSING)
def test_a_missing_tag_raises_nothing_foreign(keyword: str) -> None:
    images = cine(slices=3, phases=6, StudyDescription="cardiac", TemporalPositionIdentifier=1, **{"ProtocolName": "x"})
    for image in images:
        delattr(image, keyword)
    with suppress(ChordaeError):
        assert tiles_of(prepare_cmr(read(images)).sidecar)


ODD = st.sampled_from(
    [b"", b"nan", b"inf", b"-1e300", b"x\\y", b"1\\2\\3", b"0\\0\\0\\0\\0\\0", b"\xff\xfe", b"99999999999"]
)
ODD_KEYWORDS = (
    *("TriggerTime", "InstanceNumber", "SeriesNumber", "EchoTime", "ImagePositionPatient", "ImageOrientationPatient"),
    *(
        "ImageType",
        "TemporalPositionIdentifier",
        "CardiacNumberOfImages",
        "RescaleSlope",
        "RescaleIntercept",
        "Modality",
    ),
    *("AcquisitionNumber", "SequenceVariant", "InversionTime", "SeriesDescription", "PhotometricInterpretation"),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(chosen=st.lists(st.tuples(st.integers(0, 17), st.sampled_from(ODD_KEYWORDS), ODD), min_size=1, max_size=8))
def test_odd_values_raise_nothing_foreign(chosen: list[tuple[int, str, bytes]]) -> None:
    instances = list(HEALTHY)
    for index, keyword, value in chosen:
        odd = pydicom.dcmread(io.BytesIO(instances[index].data[:]))
        odd.add_new(keyword, "LT", value.decode("latin-1"))  # text of any kind: the reader goes by the keyword
        odd.set_original_encoding(False, True, "latin-1")
        instances[index] = read_instance(saved(odd))
    with suppress(ChordaeError):
        json.dumps(prepare_cmr(instances).sidecar, allow_nan=False)


HEALTHY = read(cine(slices=3, phases=6))
ENHANCED = saved(enhanced(2, 6, SeriesDescription="cine sa"))


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_damaged_enhanced_objects_raise_nothing_foreign(data: st.DataObject) -> None:
    whole = bytearray(ENHANCED)
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(132, len(whole) - 12 * 64 * 64 * 2))] = data.draw(st.integers(0, 255))
    with suppress(ChordaeError):
        prepare_cmr([read_instance(bytes(whole))])


# --- real studies ---


def real_study(folder: Path, *blanked: bytes) -> list[Instance]:
    """The objects of a folder, these values overwritten with blanks."""
    found = []
    for member in members(folder):
        data = bytes(member.data[:])
        for value in blanked:
            assert data.count(value) == 1
            data = data.replace(value, value[:8] + b" " * (len(value) - 8))
        found.append(read_instance(data))
    return found


NAMES = (b"\x08\x00\x3e\x10LO\x0e\0SSFP-CINE SAx ", b"\x18\x00\x30\x10LO\x10\0AUP_235_lesion/5")
WAYS = (
    b"\x18\x00\x20\x00CS\x02\0GR",
    b"\x18\x00\x21\x00CS\x02\0SS",
    b"\x18\x00\x22\x00CS\x16\0FAST_GEMS\\CG\\SEQ_GEMS ",
)


@pytest.mark.real_data
@pytest.mark.parametrize(("blanked", "told_by"), [((), "name"), (NAMES, "physics"), ((*NAMES, *WAYS), "geometry")])
def test_the_real_pig_is_a_short_axis_cine_with_or_without_its_name(
    real_data: Path, blanked: tuple[bytes, ...], told_by: str, tmp_path: Path
) -> None:
    folder = real_data / "cmr_dicom" / "pig_GE_cine_SAx"
    prepared = prepare_cmr(real_study(folder, *blanked))
    (one,) = prepared.sidecar["series"]  # type: ignore[attr-defined]
    assert (one["sequence"], one["told_by"], one["view"], one["slices"], one["phases"]) == (
        *("cine", told_by, "short axis", 8, 20),
    )
    datasets = {int(d.InstanceNumber): d for d in map(pydicom.dcmread, sorted(folder.glob("*.dcm")))}
    frames = frames_of(prepared.mp4, tmp_path)
    heights = []
    for number, tile in enumerate(tiles_of(prepared.sidecar), 1):
        assert tile["slice"] == {"number": number, "of": 8}
        assert tile["phases"]["of"] == 20
        shown = [datasets[image] for image in tile["images"]]
        assert [float(d.TriggerTime) for d in shown] == sorted({float(d.TriggerTime) for d in shown})
        heights.append(float(shown[0].ImagePositionPatient[2]))
        # brightness against pydicom's pixels: the window is linear, the codec lossy
        black, white = tile["window"]["black"], tile["window"]["white"]
        for frame, dataset in zip(tile_of(frames, tile), shown, strict=True):
            stored = np.clip((pixel_array(dataset).astype(float) - black) * 255 / (white - black), 0, 255)
            assert frame.mean() == pytest.approx(stored.mean(), abs=CODEC)
    assert heights == sorted(heights, reverse=True), "from base to apex: towards the feet"


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("cmr_dicom/sunnybrook_scout/SCD0000101", "scouts_only"),
        ("cmr_dicom/sunnybrook_scout/SCD0003701", "scouts_only"),
        ("negatives/dcmjs_brain_enhancedMR_8f.dcm", "not_cardiac"),
        ("negatives/pydicom_liver_MR_siemens.dcm", "not_cardiac"),
    ],
)
def test_real_studies_that_show_no_heart_are_refused_by_name(real_data: Path, where: str, reason: str) -> None:
    with pytest.raises(UnreadableRecording) as refused:
        prepare_cmr(real_study(real_data / where))
    assert refused.value.reason == reason
    assert reason != "scouts_only" or "scouts only: nothing diagnostic" in str(refused.value)


@pytest.mark.real_data
def test_frames_of_a_real_enhanced_object_are_described_as_pydicom_reads_them(real_data: Path) -> None:
    path = real_data / "negatives" / "dcmjs_brain_enhancedMR_8f.dcm"
    instance, dataset = read_instance(path.read_bytes()), pydicom.dcmread(path)
    assert len(instance.frame_values) == dataset.NumberOfFrames == 8
    for values, frame in zip(instance.frame_values, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        assert values["ImagePositionPatient"] == tuple(frame.PlanePositionSequence[0].ImagePositionPatient)
        content = frame.FrameContentSequence[0]
        assert values["InStackPositionNumber"] == (content.InStackPositionNumber,)
    assert Counter(len(values["ImageOrientationPatient"]) for values in instance.frame_values) == {6: 8}
