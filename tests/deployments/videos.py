"""Small videos in every container that clients send."""

import tempfile
from pathlib import Path

import cv2
import numpy as np

CODECS = {"mp4": "mp4v", "mov": "mp4v", "avi": "MJPG", "mkv": "mp4v"}


def video(suffix: str = "mp4", frames: int = 6, width: int = 64, height: int = 48, fps: float = 10) -> bytes:
    """A square that moves to the right."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / f"made.{suffix}"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*CODECS[suffix]), fps, (width, height))
        assert writer.isOpened()
        for index in range(frames):
            frame = np.zeros((height, width, 3), np.uint8)
            frame[10:30, 4 * index : 4 * index + 20] = 255
            writer.write(frame)
        writer.release()
        return path.read_bytes()


def frames_of(content: bytes) -> list[np.ndarray]:
    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        file.write(content)
        file.flush()
        capture = cv2.VideoCapture(file.name)
        frames = []
        while (read := capture.read())[0]:
            frames.append(read[1])
        return frames
