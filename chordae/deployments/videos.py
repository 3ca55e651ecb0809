"""A video that was uploaded as one, for the echo and CMR experts: told by its content, read, and written anew.

Written anew, for then the engine can read it (the codec is that of our own grids), and nothing stays of what the
container says about whom it shows.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2

from chordae.platform.errors import UnreadableRecording

MAX_FRAME_PIXELS = 3840 * 2160
MAX_PIXELS = 2_000_000_000
"""Of all frames together: 1800 of 1024x1024. About a minute of one core."""
SMALLEST = 16  # px, either side
ASSUMED_FPS = 25.0
VERSION = "video-1"

_SEND = "send an MP4, MOV, AVI or MKV file"
_QUICKTIME = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}  # a file's first atom


@dataclass(frozen=True)
class UploadedVideo:
    """MPEG-4, and what it was made of."""

    mp4: bytes
    sidecar: dict[str, object]


def container(content: bytes) -> str | None:
    """`mp4` (or MOV), `avi` or `mkv` (or WebM) by the first bytes; None: no video that is read here.

    Nothing else is given to the decoder: it would take playlists, which name other files, for videos too.
    """
    if content[4:8] in _QUICKTIME:
        return "mp4"
    if content[:4] == b"RIFF" and content[8:12] == b"AVI ":
        return "avi"
    if content[:4] == b"\x1a\x45\xdf\xa3" and any(kind in content[:64] for kind in (b"matroska", b"webm")):
        return "mkv"
    return None


def prepare_video(content: bytes, max_frames: int) -> UploadedVideo:
    """The video as MPEG-4 without sound, every frame kept; sides of odd length lose one pixel.

    Raises:
        UnreadableRecording: no video, a damaged one, or one over the limits.
    """
    kind = container(content)
    if kind is None:
        raise UnreadableRecording("The file is no video that can be read here", _SEND, "not_a_video")
    with tempfile.TemporaryDirectory(prefix="chordae-") as directory:
        source, target = Path(directory) / f"sent.{kind}", Path(directory) / "kept.mp4"
        source.write_bytes(content)
        capture = cv2.VideoCapture(str(source), cv2.CAP_FFMPEG)
        try:
            sidecar = _rewrite(capture, target, max_frames)
        except cv2.error as error:
            raise _unreadable() from error
        finally:
            capture.release()
        return UploadedVideo(target.read_bytes(), {"source": "uploaded video", "container": kind} | sidecar)


def _rewrite(capture: cv2.VideoCapture, target: Path, max_frames: int) -> dict[str, object]:
    width, height = (int(capture.get(which)) for which in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    if not capture.isOpened() or min(width, height) < SMALLEST:
        raise _unreadable()
    if width * height > MAX_FRAME_PIXELS:
        raise UnreadableRecording(
            f"The video has frames of {width} x {height} pixels", "send at most 3840 x 2160", "too_large"
        )
    limit = min(max_frames, MAX_PIXELS // (width * height))
    said = capture.get(cv2.CAP_PROP_FPS)
    known = 1 <= said <= 240
    fps = round(said, 2) if known else ASSUMED_FPS  # MPEG-4 counts time in at most 65,535 parts of a second
    size = (width // 2 * 2, height // 2 * 2)
    writer = cv2.VideoWriter(str(target), cv2.VideoWriter_fourcc(*"mp4v"), fps, size)  # type: ignore[attr-defined]
    frames = 0
    try:
        while True:
            read, frame = capture.read()
            if not read:
                break
            frames += 1
            if frames > limit:
                raise UnreadableRecording(f"The video has more than {limit} frames", "send a shorter one", "too_large")
            if frame.shape[:2] != (height, width):
                raise UnreadableRecording("The video's frames change their size", "export it again", "damaged_video")
            writer.write(frame[: size[1], : size[0]])
    finally:
        writer.release()
    if frames < 2:
        raise _unreadable()
    facts: dict[str, object] = {"frames": frames, "fps": fps, "width": size[0], "height": size[1]}
    return facts if known else facts | {"fps_assumed": True}


def _unreadable() -> UnreadableRecording:
    return UnreadableRecording("The video cannot be read", f"export it again, or {_SEND}", "damaged_video")
