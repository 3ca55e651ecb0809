"""A video is known by its content, read whole, and kept without what its container says."""

import struct

import numpy as np
import pytest
from fakes import png
from videos import CODECS, frames_of, video

from chordae.deployments.videos import container, prepare_video
from chordae.platform.errors import UnreadableRecording


@pytest.mark.parametrize("suffix", CODECS)
def test_every_container_becomes_the_same_frames_in_mpeg_4(suffix: str) -> None:
    sent = video(suffix)
    kept = prepare_video(sent, 100)
    assert container(sent) == {"mov": "mp4"}.get(suffix, suffix)
    assert kept.mp4[4:8] == b"ftyp"
    frames = frames_of(kept.mp4)
    assert (len(frames), kept.sidecar["frames"], kept.sidecar["fps"]) == (6, 6, 10)
    for index, frame in enumerate(frames):  # the square is where it was drawn, but for what two codecs blur
        assert frame[20, 4 * index + 10].mean() > 200 and frame[20, 4 * index + 30].mean() < 55


def test_what_the_container_says_of_a_patient_does_not_stay() -> None:
    named = b"Smith^John 1950"
    sent = video() + struct.pack(">I", 8 + len(named)) + b"free" + named
    assert named not in prepare_video(sent, 100).mp4


NO_VIDEOS = {
    "nothing": b"",
    "words": b"This is no video. " * 50,
    "a picture": png(),
    "a playlist": b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
    "a list of files": b"ffconcat version 1.0\nfile /etc/passwd\n",
    "a sound": b"RIFF\0\0\0\0WAVEfmt " + bytes(100),
    "an MP4 of noise": b"\0\0\0\x18ftypisom" + np.random.default_rng(0).bytes(4000),
    "an AVI of noise": b"RIFF\0\0\0\0AVI " + np.random.default_rng(0).bytes(4000),
    "a Matroska of noise": b"\x1a\x45\xdf\xa3\x93matroska" + np.random.default_rng(0).bytes(4000),
    "an MP4 without its index": video()[:200],
    "one frame": video(frames=1),
}


@pytest.mark.parametrize("content", NO_VIDEOS.values(), ids=NO_VIDEOS.keys())
def test_what_is_no_video_is_refused(content: bytes) -> None:
    with pytest.raises(UnreadableRecording):
        prepare_video(content, 100)


def test_the_longest_video_is_kept_and_one_frame_more_is_refused() -> None:
    assert prepare_video(video(frames=6), 6).sidecar["frames"] == 6
    with pytest.raises(UnreadableRecording, match="more than 5 frames"):
        prepare_video(video(frames=6), 5)


def test_odd_sides_lose_a_pixel_and_no_frame() -> None:
    sidecar = prepare_video(video("avi", width=65, height=49), 100).sidecar
    assert (sidecar["width"], sidecar["height"], sidecar["frames"]) == (64, 48, 6)
