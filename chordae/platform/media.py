"""Content-addressed pictures and videos on disk: written once, atomically, and passed by reference.

The directory is on a file system that every node mounts. The same bytes under the same preprocessing version are the
same media, whoever sends them and however often.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path

import cv2
import numpy as np

from chordae.platform.errors import UnknownMedia
from chordae.platform.files import write_atomically
from chordae.platform.picture import fit_picture
from chordae.platform.schemas import Kind, Media, Modality

_ID = re.compile(r"[0-9a-f]{64}")
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_SUFFIX: dict[Kind, str] = {"image": ".png", "video": ".mp4"}


class MediaStore:
    """Media below one directory: `<id>.png` or `<id>.mp4` and, for media that a model looks at, `<id>.json`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self.directory.mkdir(parents=True, exist_ok=True)

    def put(
        self,
        content: bytes,
        modality: Modality,
        version: str,
        sidecar: dict[str, object] | None = None,
        people: bytes | None = None,
        kind: Kind = "image",
    ) -> Media:
        """Keep a PNG or MP4, its sidecar and, if given, the PNG for people; returns once they are on disk."""
        media = Media(
            id=self._write(content, version, kind),
            kind=kind,
            modality=modality,
            companion=None if people is None else self._write(people, version, "image"),
            sidecar=sidecar or {},
        )
        _write_once(self.directory / f"{media.id}.json", media.model_dump_json(indent=1).encode())
        return self.get(media.id)  # of two accounts of the same picture the first stays

    def get(self, media_id: str) -> Media:
        """The media of that id.

        Raises:
            UnknownMedia: nothing was uploaded here under that id.
        """
        if not _ID.fullmatch(media_id) or not (path := self.directory / f"{media_id}.json").is_file():
            raise UnknownMedia("no such media here", "upload the recording first: POST /media")
        return Media.model_validate(json.loads(path.read_text()))

    def path(self, media_id: str) -> Path:
        """Where the picture or video of that id lies (a companion's too). Raises UnknownMedia."""
        if _ID.fullmatch(media_id):
            for suffix in _SUFFIX.values():
                if (path := self.directory / f"{media_id}{suffix}").is_file():
                    return path
        raise UnknownMedia("no such media here", "upload the recording first: POST /media")

    def reduced(self, media_id: str, size: tuple[int, int]) -> Path:
        """Where that picture lies at (width, height), the size one model wants; made once. Raises UnknownMedia."""
        path = self.directory / f"{media_id}.{size[0]}x{size[1]}.png"
        if not _is_whole_png(path):
            picture = cv2.imread(str(self.path(media_id)), cv2.IMREAD_COLOR)
            fitted = fit_picture(np.asarray(picture, np.uint8), size)
            # not flushed to disk: what power loss leaves empty or cut is made again
            write_atomically(path, cv2.imencode(".png", fitted)[1].tobytes(), durable=False)
        return path

    def _write(self, content: bytes, version: str, kind: Kind) -> str:
        media_id = hashlib.sha256(version.encode() + b"\0" + content).hexdigest()
        _write_once(self.directory / f"{media_id}{_SUFFIX[kind]}", content)
        return media_id


def _is_whole_png(path: Path) -> bool:
    """Whether it is there, down to the chunk that ends it."""
    try:
        with path.open("rb") as file:
            file.seek(-len(_PNG_END), os.SEEK_END)
            return file.read() == _PNG_END
    except OSError:  # no such file, or one that is shorter
        return False


def _write_once(path: Path, content: bytes) -> None:
    if not path.exists():
        write_atomically(path, content)
