"""From a study to one video and a sidecar that says what it shows, and nothing about whom."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from echo_files import MULTI_FRAME, clip, compressed, dataset_of, fan, file_of, real, region, study, written
from pydicom.pixels import pixel_array
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless

from chordae.platform.errors import UnreadableRecording
from chordae.preprocessing.dicom import Instance, bundled_echo, read_instance
from chordae.preprocessing.echo import LAYOUT, PREPROCESSING_VERSION, prepare_echo
from chordae.preprocessing.grid import PreparedVideo


def read_back(video: PreparedVideo, folder: Path) -> np.ndarray:
    (folder / "grid.mp4").write_bytes(video.mp4)
    capture, frames = cv2.VideoCapture(str(folder / "grid.mp4")), []
    assert capture.get(cv2.CAP_PROP_FPS) == LAYOUT.fps
    while True:
        more, frame = capture.read()
        if not more:
            return np.stack(frames)
        frames.append(frame)


def tiles(video: PreparedVideo) -> list[dict[str, Any]]:
    found: Any = video.sidecar["tiles"]
    return list(found)


def refusal(*instances: Instance) -> str:
    with pytest.raises(UnreadableRecording) as refused:
        prepare_echo(instances)
    return refused.value.reason


# -- what the video shows


def test_the_real_loop_is_one_tile_that_shows_its_frames(tmp_path: Path) -> None:
    video = prepare_echo([read_instance(bundled_echo().read_bytes())])
    frames, (tile,) = read_back(video, tmp_path), tiles(video)
    assert frames.shape == (24, 256, 256, 3)
    expected = pixel_array(bundled_echo())[tile["frames"]]
    left, top, right, bottom = tile["sector"]["box"]
    height = bottom - top
    above, left = (
        (256 - height) // 2,
        left - (256 - (right - left)) // 2,
    )  # it almost fills the tile: nothing is resized
    for shown, source in zip(frames, expected, strict=True):
        same = source[top:bottom, left : left + 256, ::-1].astype(int)
        within = (slice(60, height - 20), slice(70, 190))  # well inside the fan
        assert np.abs(shown[above : above + height][within] - same[within]).mean() < 4
    assert frames[:, :above].max() <= 20
    assert frames[:, above + height :].max() <= 20


@pytest.mark.real_data
def test_the_real_loop_of_the_shared_data_too(real_data: Path) -> None:
    (path,) = (real_data / "echo").glob("*.dcm")
    video = prepare_echo([read_instance(path.read_bytes())])
    left, top, right, bottom = tiles(video)[0]["sector"]["box"]
    assert abs(left - 42) < 6
    assert abs(top - 20) < 8
    assert abs(right - 297) < 6
    assert abs(bottom - 204) < 6


@pytest.mark.parametrize(("clips", "side"), [(1, 1), (2, 2), (5, 3), (26, 5)])
def test_the_grid_is_as_large_as_the_study_needs(clips: int, side: int, tmp_path: Path) -> None:
    video = prepare_echo(study(clips))
    frames = read_back(video, tmp_path)
    assert frames.shape == (24, side * 256, side * 256, 3)
    assert [(tile["row"], tile["column"]) for tile in tiles(video)] == [divmod(n, side) for n in range(min(clips, 25))]
    for number in range(side**2):
        row, column = divmod(number, side)
        shown = frames[:, row * 256 : (row + 1) * 256, column * 256 : (column + 1) * 256]
        assert (shown.max() > 60) == (number < clips)


def test_of_sixty_clips_the_twenty_five_that_differ_most_are_shown() -> None:
    repeated = [clip(fan(0)[:6], InstanceNumber=number) for number in range(1, 41)]
    different = [clip(fan(view)[:6], InstanceNumber=100 + view) for view in range(1, 21)]
    video = prepare_echo([*repeated, *different])
    shown = {tile["instance_number"] for tile in tiles(video)}
    assert len(tiles(video)) == 25
    assert shown >= set(range(101, 121))
    assert video.sidecar["clips"] == 60


def test_one_beat_of_each_clip_is_shown() -> None:
    video = prepare_echo([clip(fan(0, 45, 20), HeartRate="90", RWaveTimeVector=[166.7, 833.3])])
    (tile,) = tiles(video)
    assert tile["cycle"] == "r_waves"
    assert tile["frames"] == list(range(5, 25))


def test_tiles_keep_proportions_and_show_only_the_sector(tmp_path: Path) -> None:
    pixels = fan().copy()
    for x, y in [(2, 12), (2, 60), (250, 60), (230, 14), (2, 236), (250, 236), (40, 70)]:
        written(pixels, "DOE", x, y)
    one, other = prepare_echo([clip(pixels)]), prepare_echo([clip(fan())])
    assert one.mp4 == other.mp4
    left, top, right, bottom = tiles(one)[0]["sector"]["box"]
    picture = read_back(one, tmp_path).max(axis=(0, 3))
    lit = np.argwhere(picture > 30)
    assert np.ptp(lit[:, 0]) / np.ptp(lit[:, 1]) == pytest.approx((bottom - top) / (right - left), rel=0.05)


# -- codecs


@pytest.mark.parametrize("codec", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
@pytest.mark.parametrize("colour", [False, True])
def test_lossless_codecs_give_the_video_of_the_uncompressed_clip(codec: str, colour: bool) -> None:
    pixels = fan()[:8]
    if colour:
        pixels = np.repeat(pixels[..., None], 3, axis=-1)
        pixels[:, 100:130, 150:190] = (200, 40, 20)
    plain, packed = clip(pixels), read_instance(compressed(pixels, codec))
    assert prepare_echo([packed]).mp4 == prepare_echo([plain]).mp4


def test_baseline_jpeg_palette_and_ybr_show_the_same_within_their_loss(tmp_path: Path) -> None:
    grey = fan()[:8]
    colour = np.repeat(grey[..., None], 3, axis=-1)
    ybr = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]] for frame in colour])
    ramp = (np.arange(256, dtype=np.uint16) * 257).tobytes()
    palette: dict[str, object] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name in ("Red", "Green", "Blue"):
        palette[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        palette[f"{name}PaletteColorLookupTableData"] = ramp
    reference = read_back(prepare_echo([clip(grey)]), tmp_path).astype(int)
    for instance in (
        read_instance(compressed(grey, JPEGBaseline8Bit)),
        read_instance(compressed(colour, JPEGBaseline8Bit)),
        clip(ybr, "YBR_FULL"),
        clip(grey, **palette),
        clip(grey.astype(np.uint16) * 16, BitsStored=12, HighBit=11),
    ):
        shown = read_back(prepare_echo([instance]), tmp_path).astype(int)
        assert np.abs(shown - reference).mean() < 5


# -- what is set aside, and what is refused


def test_each_study_without_a_usable_clip_is_refused_by_its_reason() -> None:
    still, carotid = clip(fan()[:1]), clip(fan(), BodyPartExamined="CAROTID")
    report = read_instance(file_of(dataset_of(fan()[:1], SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33", Modality="SR")))
    m_mode = clip(fan(), SequenceOfUltrasoundRegions=[region((10, 90, 300, 230), 2, 1)])
    assert refusal() == "no_clips"
    assert refusal(report) == "no_clips"
    assert refusal(still, report) == "stills_only"
    assert refusal(carotid, still) == "non_cardiac"
    assert refusal(m_mode) == "not_2d"
    assert refusal(clip(fan(), SOPClassUID="1.2.840.10008.5.1.4.1.1.6.2")) == "volumes_only"
    assert refusal(clip(np.zeros((5, 240, 320), np.uint8))) == "no_sector"
    assert refusal(clip(fan(), Rows=0)) == "bad_size"


def damaged(late: bool, number: int) -> Instance:
    """The real loop with one frame's JPEG overwritten: one that the first look meets, or one that it does not."""
    data = bytearray(real(number, number).data)
    starts = [at for at in range(len(data) - 4) if data[at : at + 4] == b"\xff\xd8\xff\xe0"]
    start = starts[1 if late else 0]
    data[start : start + 600] = bytes(600)
    return read_instance(bytes(data))


@pytest.mark.parametrize("late", [False, True])
def test_a_damaged_clip_is_set_aside_and_the_rest_goes_on(late: bool) -> None:
    video = prepare_echo([real(0, 1), damaged(late, 2), real(8, 3)])
    assert [tile["instance_number"] for tile in tiles(video)] == [1, 3]
    assert video.sidecar["set_aside"] == {"bad_pixels": 1}
    assert refusal(damaged(late, 1)) == "damaged"


def test_a_clip_cut_off_in_its_pixels_is_set_aside() -> None:
    whole = file_of(dataset_of(fan()))
    cut = read_instance(whole[: len(whole) * 2 // 3])
    assert prepare_echo([cut, clip(fan(1))]).sidecar["set_aside"] == {"truncated": 1}
    assert refusal(cut) == "damaged"


# -- the same study is the same bytes


def test_the_order_of_the_files_does_not_matter() -> None:
    instances = study(4)
    assert prepare_echo(instances) == prepare_echo(instances[::-1])


# -- the sidecar

WORDS = {
    *(PREPROCESSING_VERSION, "echo", "2d", "colour_doppler", "r_waves", "heart_rate", "whole_clip"),
    *("motion", "brightness"),
}
KEYS = {
    *("preprocessing_version", "modality", "grid", "side", "tile_px", "frames", "fps", "clips", "set_aside", "tiles"),
    *("row", "column", "clip", "series_number", "instance_number", "rank", "shows", "planes", "frames_in_clip"),
    *("cycle", "frame_ms", "sector", "box", "found_by", "quality", "overall", "contrast", "sharpness", "fill"),
    *("motion", "still", "report"),
}


def leaves(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield "key", key
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    else:
        yield "value", value


def test_the_sidecar_has_nothing_of_the_headers_texts() -> None:
    secrets: dict[str, object] = {
        "PatientName": "Doe^John",
        "PatientID": "4711",
        "PatientBirthDate": "19610203",
        "StudyDate": "20240131",
        "StudyDescription": "TTE for Mr Doe",
        "SeriesDescription": "Doe heart",
        "ProtocolName": "Doe cardiac",
        "Manufacturer": "Doe Imaging",
        "TransducerData": "S5-1 Doe",
        "InstanceNumber": 20240131,
        "SeriesNumber": 4711471,
    }
    still = clip(fan()[:1], SOPClassUID=MULTI_FRAME)
    sidecar = prepare_echo([clip(fan(), **secrets), still]).sidecar
    for kind, value in leaves(sidecar):
        if kind == "key":
            assert value in KEYS
        else:
            assert value is None or isinstance(value, (int, float)) or value in WORDS
    text = json.dumps(sidecar)
    assert not any(secret in text for secret in ("Doe", "4711", "1961", "2024", "S5"))


def test_the_sidecar_points_from_a_tile_to_its_frames() -> None:
    flow = np.repeat(fan(1)[..., None], 3, axis=-1)
    flow[:, 100:140, 140:180] = (220, 30, 30)
    video = prepare_echo([clip(fan(0), InstanceNumber=7), clip(flow, InstanceNumber=9, HeartRate="75")])
    first, second = tiles(video)
    assert (first["row"], first["column"], first["instance_number"], first["shows"]) == (0, 0, 7, "2d")
    assert (second["row"], second["column"], second["instance_number"], second["shows"]) == (0, 1, 9, "colour_doppler")
    assert second["cycle"] == "heart_rate"
    assert second["frames"] == list(range(24))
    assert {first["rank"], second["rank"]} == {1, 2}
    assert video.sidecar["grid"] == {"side": 2, "tile_px": 256, "frames": 24, "fps": 10.0}
    assert video.version == PREPROCESSING_VERSION
