"""What an expert is shown when it is probed: its picture, none, a blank, another patient's, another modality's.

And what is true of what it is shown: an answer is right when it says what its picture shows, whosever that is.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import cv2
import numpy as np

from chordae.cohort.dataset import Item, Sample
from chordae.cohort.findings import topics
from chordae.cohort.items import claims
from chordae.platform.errors import BadInput
from chordae.platform.schemas import KIND_OF, NAME_OF, Modality
from chordae.preprocessing.grid import Layout, encode_mp4

Condition = Literal["present", "absent", "blank", "other patient", "other modality"]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)

GREY = 128
OTHER: dict[Modality, Modality] = {"ecg": "echo", "echo": "cmr", "cmr": "echo"}
"""Whose media stand for "another modality"; an expert for pictures gets the middle frame of a video."""


@dataclass(frozen=True)
class Shown:
    """What a question comes with."""

    media: Path | None
    finding: str | None = None
    """What is true of it on the question's topic; none: nothing that the expert reads was shown."""
    claims: tuple[str, ...] = ()


@dataclass(frozen=True)
class ShownMedia:
    """Chooses or makes the media of every condition; the choice follows from the question alone."""

    root: Path
    """The dataset: media paths of items and samples lie below it."""
    samples: Sequence[Sample]
    """Of all modalities."""
    scratch: Path
    """Where blanks and single frames are written."""
    _made: dict[Path, Path] = field(default_factory=dict)

    def of(self, item: Item, condition: Condition) -> Shown:
        """What a question is asked about under a condition.

        Raises:
            BadInput: the dataset has no such study, or its media cannot be read.
        """
        if condition == "present":
            return Shown(self.root / item.media, item.finding, item.claims)
        if condition == "absent":
            return Shown(None)
        if condition == "blank":
            return Shown(self._blank(self.root / item.media))
        if condition == "other modality":
            return Shown(self._of_other_modality(item))
        other = self._another_patient(item)
        topic = next(one for one in topics(item.modality) if one.key == item.topic)
        return Shown(self.root / other.media, other.findings[item.topic], claims(other, topic))

    def _another_patient(self, item: Item) -> Sample:
        """A study of the same modality of which something else is true."""
        found = [
            one
            for one in self.samples
            if one.modality == item.modality
            and one.patient != item.patient
            and one.findings.get(item.topic) not in (None, item.finding)
        ]
        return _choose(item, found, f"no other patient with another truth for {item.modality} {item.topic}")

    def _of_other_modality(self, item: Item) -> Path:
        wanted = OTHER[item.modality]
        found = [one for one in self.samples if one.modality == wanted]
        sample = _choose(item, found, f"no {NAME_OF[wanted]} study, which an {NAME_OF[item.modality]} expert is shown")
        media = self.root / sample.media
        return media if KIND_OF[item.modality] == "video" else self._middle_frame(media)

    def _blank(self, media: Path) -> Path:
        """Uniform grey, as large (and as long) as the real one."""
        if media not in self._made:
            if media.suffix == ".png":
                height, width = _picture(media).shape[:2]
                blank = self.scratch / f"blank-{width}x{height}.png"
                cv2.imwrite(str(blank), np.full((height, width, 3), GREY, np.uint8))
            else:
                layout = _layout(media)
                blank = self.scratch / f"blank-{layout.tile}-{layout.frames}.mp4"
                frame = np.full((layout.tile, layout.tile, 3), GREY, np.uint8)
                if not blank.is_file():
                    blank.write_bytes(encode_mp4((frame for _ in range(layout.frames)), layout))
            self._made[media] = blank
        return self._made[media]

    def _middle_frame(self, media: Path) -> Path:
        if media not in self._made:
            video = cv2.VideoCapture(str(media))
            video.set(cv2.CAP_PROP_POS_FRAMES, int(video.get(cv2.CAP_PROP_FRAME_COUNT)) // 2)
            read, frame = video.read()
            if not read:
                raise BadInput(f"{media.name} is no readable video", "make the dataset again")
            self._made[media] = self.scratch / f"frame-{media.stem}.png"
            cv2.imwrite(str(self._made[media]), frame)
        return self._made[media]


def _choose(item: Item, among: Sequence[Sample], lacking: str) -> Sample:
    """One of them, by hash: neither the order of the samples nor the other questions matter."""
    if not among:
        raise BadInput(f"the split has {lacking}", "make a dataset with more patients, of all modalities")
    return min(among, key=lambda one: hashlib.sha256(f"{item.id} {one.patient} {one.media}".encode()).digest())


def _picture(media: Path) -> np.ndarray:
    drawn = cv2.imread(str(media), cv2.IMREAD_COLOR)
    if drawn is None:
        raise BadInput(f"{media.name} is no readable picture", "make the dataset again")
    return np.asarray(drawn, np.uint8)


def _layout(media: Path) -> Layout:
    """Of a video of this project, which are square: one tile of its whole size."""
    video = cv2.VideoCapture(str(media))
    asked = (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_COUNT)
    width, height, frames = (int(video.get(one)) for one in asked)
    if not frames or width != height:
        raise BadInput(f"{media.name} is no readable square video", "make the dataset again")
    return Layout(1, width, frames, video.get(cv2.CAP_PROP_FPS))
