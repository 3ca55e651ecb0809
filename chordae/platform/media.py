"""Content-addressed pictures on disk: written once, atomically, and passed by reference.

The directory is on a file system that every node mounts. The same bytes under the same preprocessing version are the
same media, whoever sends them and however often.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from chordae.platform.errors import UnknownMedia
from chordae.platform.files import write_atomically
from chordae.platform.schemas import Media, Modality

_ID = re.compile(r"[0-9a-f]{64}")


class MediaStore:
    """Media below one directory: `<id>.png` and, for media that a model looks at, `<id>.json`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self.directory.mkdir(parents=True, exist_ok=True)

    def put(
        self,
        png: bytes,
        modality: Modality,
        version: str,
        sidecar: dict[str, object] | None = None,
        people: bytes | None = None,
    ) -> Media:
        """Keep a picture, its sidecar and, if given, the picture for people; returns once they are on disk."""
        companion = None if people is None else self._write_picture(people, version)
        media = Media(
            id=self._write_picture(png, version), modality=modality, companion=companion, sidecar=sidecar or {}
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
        """Where the picture of that id lies (a companion's too). Raises UnknownMedia."""
        if not _ID.fullmatch(media_id) or not (path := self.directory / f"{media_id}.png").is_file():
            raise UnknownMedia("no such media here", "upload the recording first: POST /media")
        return path

    def derive(self, media_id: str, suffix: str, png: bytes) -> Path:
        """Keep a picture made from that media, such as its reduced size for one model, and say where it lies."""
        path = self.directory / f"{media_id}.{suffix}.png"
        _write_once(path, png)
        return path

    def _write_picture(self, png: bytes, version: str) -> str:
        media_id = hashlib.sha256(version.encode() + b"\0" + png).hexdigest()
        _write_once(self.directory / f"{media_id}.png", png)
        return media_id


def _write_once(path: Path, content: bytes) -> None:
    if not path.exists():
        write_atomically(path, content)
