"""Media that came by upload, and how they go again: nothing that was sent for a question stays longer than it must.

`UploadStore` is the media store for those who take uploads: it marks what it is given, with an empty file beside the
store whose time says when that was last sent. `expire` removes what is marked, old enough, and in nobody's use: no
study taken in has it (media are named by content, so the same picture may come both ways) and no stored answer is about
it. Media without a mark are never touched.

An ingest that runs at the same moment may have found a file there, left it, and not told the ledger yet. So removal has
two steps: what expires is moved out of the store, where no request reaches it, and deleted only after a time of grace;
if the ledger has come to know it by then, it is moved back.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chordae.platform.ledger import Ledger
from chordae.platform.media import MediaStore
from chordae.platform.schemas import Kind, Media, Modality
from chordae.platform.settings import Settings

InUse = Callable[[Iterable[str]], set[str]]


@dataclass(frozen=True)
class Expired:
    """What one round of `expire` did, in media."""

    withdrawn: int
    restored: int
    deleted: int


class UploadStore(MediaStore):
    """The media store below `directory`, marks in `uploads` beside that; may be open in any number of processes."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._marks = self.directory.parent / "uploads"
        self._withdrawn = self._marks / "withdrawn"
        self._withdrawn.mkdir(parents=True, exist_ok=True)

    def put(
        self,
        content: bytes,
        modality: Modality,
        version: str,
        sidecar: dict[str, object] | None = None,
        people: bytes | None = None,
        kind: Kind = "image",
    ) -> Media:
        """`MediaStore.put`, marked first: who is killed in between leaves a mark without media, which does no harm."""
        media_id = hashlib.sha256(version.encode() + b"\0" + content).hexdigest()
        mark = self._marks / media_id
        with self._lock(fcntl.LOCK_SH):
            # what is there without a mark came another way: it stays
            if mark.exists() or not (self.directory / f"{media_id}.json").exists():
                mark.touch()
            return super().put(content, modality, version, sidecar, people, kind)

    def is_empty(self) -> bool:
        """Whether nothing here came by upload."""
        return not self._marked() and not any(self._withdrawn.iterdir())

    def expire(self, age_s: float, grace_s: float, in_use: InUse) -> Expired:
        """One round: take out what was last sent longer than `age_s` ago, delete what was taken out `grace_s` ago.

        `in_use` says which of some ids are in use for good. Raises what it raises, and OSError; nothing is lost then.
        """
        restored, deleted = self._clear(grace_s, in_use)
        old = [media_id for media_id in self._marked() if self._is_old(media_id, age_s)]
        companions = {media_id: self._companion(media_id) for media_id in old}
        used = in_use([*old, *filter(None, companions.values())])
        withdrawn = 0
        for media_id in old:
            with self._lock(fcntl.LOCK_EX):
                if media_id in used:
                    (self._marks / media_id).unlink(missing_ok=True)
                elif self._is_old(media_id, age_s):  # not sent again meanwhile
                    companion = companions[media_id]
                    self._withdraw(media_id, None if companion in used else companion)
                    withdrawn += 1
        return Expired(withdrawn, restored, deleted)

    def _withdraw(self, media_id: str, companion: str | None) -> None:
        """The description first: who puts the same media writes it anew. The mark last: a killed round is redone."""
        place = self._withdrawn / media_id
        place.mkdir(exist_ok=True)
        files = [self.directory / f"{media_id}.json", *sorted(self.directory.glob(f"{media_id}.*"))]
        for file in [*files, *(self.directory.glob(f"{companion}.*") if companion else ())]:
            if file.exists():
                file.replace(place / file.name)
        (self._marks / media_id).unlink(missing_ok=True)

    def _clear(self, grace_s: float, in_use: InUse) -> tuple[int, int]:
        """Put back what has come into use, delete what has lain long enough; returns how many of each."""
        places = {place.name: place for place in self._withdrawn.iterdir()}
        used = in_use(places)
        restored = deleted = 0
        for media_id, place in places.items():
            back = media_id in used
            if not back and time.time() - place.stat().st_mtime < grace_s:
                continue
            # the description last: who finds that, finds the rest
            for file in sorted(place.iterdir(), key=lambda one: one.suffix == ".json"):
                if back and not (self.directory / file.name).exists():
                    file.replace(self.directory / file.name)
                else:
                    file.unlink()
            place.rmdir()
            restored, deleted = restored + back, deleted + (not back)
        return restored, deleted

    def _marked(self) -> list[str]:
        return sorted(path.name for path in self._marks.iterdir() if path.is_file() and not path.name.startswith("."))

    def _is_old(self, media_id: str, age_s: float) -> bool:
        mark = self._marks / media_id
        return mark.exists() and time.time() - mark.stat().st_mtime >= age_s

    def _companion(self, media_id: str) -> str | None:
        for place in (self.directory, self._withdrawn / media_id):  # the latter after a round that was killed
            if (path := place / f"{media_id}.json").exists():
                companion: str | None = json.loads(path.read_bytes())["companion"]
                return companion
        return None

    @contextmanager
    def _lock(self, how: int) -> Iterator[None]:
        """Any number put media at once, or one takes them out: flock(2), which ends with its process."""
        with (self._marks / ".lock").open("w") as file:
            fcntl.flock(file, how)
            yield


def expire_uploads(settings: Settings) -> Expired:
    """One round over the platform's media store. `ingest.study_timeout_s`: nobody works on a study for longer.

    Raises:
        ChordaeError: the ledger, which says what is in use, does not answer; nothing is removed then.
    """
    store = UploadStore(settings.media_dir)
    if store.is_empty():
        return Expired(0, 0, 0)
    ledger = Ledger(settings.ledger_url)
    try:
        grace_s = max(settings.ingest.study_timeout_s, settings.gateway.request_timeout_s)
        return store.expire(settings.gateway.upload_expires_h * 3600, grace_s, ledger.media_in_use)
    finally:
        ledger.close()
