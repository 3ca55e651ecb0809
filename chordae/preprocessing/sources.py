"""What counts as one study below a folder, and whether it is the one that was there before.

- A folder that holds DICOM images is one study, with all below it. So is a folder whose sub-folders hold the series of
  one study: the same StudyInstanceUID, and no series twice.
- Elsewhere a file is a study: an archive, an ECG, and also what nobody can read, so that it is refused by name rather
  than overlooked. A WFDB header is one study together with its signal files.
- Names that begin with a dot or end as unfinished transfers do are no studies, and links are not followed.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from chordae.platform.errors import BadInput, ChordaeError
from chordae.platform.ledger import Offer
from chordae.preprocessing.archive import UNFINISHED, is_archive, members
from chordae.preprocessing.dicom import is_dicom, read_instance
from chordae.preprocessing.identity import Site

_WAVEFORM = b"1.2.840.10008.5.1.4.1.1.9."
"""What the SOP classes of DICOM waveforms begin with (PS3.4 B.5); it stands in a file's first few hundred bytes."""
_ECG_NAMES = {".npy", ".xml", ".hea", ".dat", ".mat", ".scp"}
_HEAD = 1024
_DEEPEST = 100
"""Folders in folders; a tree that is deeper is no study's, and what lies that deep is taken for one and refused."""


@dataclass(frozen=True)
class Source:
    """A study where it lies. `stamp` changes with any of its files; `moving` also with unfinished ones beside them."""

    path: Path = field(repr=False)
    stamp: str
    moving: str

    def offer(self, site: Site) -> Offer:
        """Under keyed hashes: nothing of the path can be read from them without the site's key."""
        study = site.pseudonym("source", f"{os.fsencode(self.path).hex()} {self.stamp}")
        return Offer(study, site.name, site.pseudonym("path", os.fsencode(self.path).hex()))


@dataclass(frozen=True)
class _File:
    """A file as the folder lists it. Size and both times: no write leaves all three as they were."""

    path: Path
    size: int
    modified: int
    changed: int


@dataclass(frozen=True)
class _Content:
    """What a look into a file shows; of an image whose it is, empty where it does not say or is still arriving."""

    kind: Literal["image", "recording", "other"]
    study: str = field(default="", repr=False)
    series: str = field(default="", repr=False)


@dataclass(frozen=True)
class _Found:
    source: Source
    study: str = ""
    series: frozenset[str] = frozenset()
    """The study and the series that the images belong to; empty for what is no image or does not say."""


class Finder:
    """Finds studies; remembers what it read of files that are still as they were, so that looking again is cheap."""

    def __init__(self) -> None:
        self._known: dict[_File, _Content] = {}
        self._known_before: dict[_File, _Content] = {}
        self._beside: dict[Path, dict[Path, Source]] = {}  # the single files of folders that files were named in

    def find(self, paths: Iterable[Path]) -> Iterator[Source]:
        """Every study at or below these paths, sorted by path, each once.

        Raises:
            BadInput: one of the paths does not exist, or may not be looked at.
        """
        seen: set[Path] = set()
        self._known_before, self._known = self._known, {}
        self._beside = {}
        for given in paths:
            try:
                path = given.resolve()
                there, is_folder = path.exists(), path.is_dir()
            except (OSError, RuntimeError) as error:  # RuntimeError: links that lead to each other
                said = os.strerror(error.errno or 0) if isinstance(error, OSError) else "its links go in circles"
                raise BadInput(f"cannot look at {given} ({said})", "name files or folders with studies") from None
            if not there:
                raise BadInput(f"no file or folder {given}", "name files or folders with studies")
            found = self._folder(path) if is_folder else self._single(path)
            for one in found:
                if one.source.path not in seen:
                    seen.add(one.source.path)
                    yield one.source

    def _folder(self, folder: Path, depth: int = 0) -> list[_Found]:
        if depth > _DEEPEST:
            return [_Found(_whole(folder))]
        try:
            files, unfinished, folders = _listed(folder)
        except OSError:  # not to be listed: refused when it is opened
            return [_Found(_source(folder, [], []))]
        contents = [self._content(file) for file in files]
        images = [content for content in contents if content.kind == "image"]
        below = [found for one in folders for found in self._folder(one, depth + 1)]
        if images and not _are_studies_of_their_own(contents, below):
            series = frozenset(image.series for image in images if image.series)
            return [_Found(_whole(folder), images[0].study, series)]
        if all(content.kind == "other" for content in contents) and _are_series_of_one_study(below):
            series_of_all = frozenset[str]().union(*(found.series for found in below))
            return [_Found(_whole(folder), below[0].study, series_of_all)]
        return [_Found(source) for source in _single_files(files, unfinished)] + below

    def _single(self, path: Path) -> list[_Found]:
        """A file that was named itself; of a WFDB record, the whole record."""
        beside = self._beside.get(path.parent)
        if beside is None:
            try:
                files, unfinished, _ = _listed(path.parent)
            except OSError:  # its folder is not to be listed
                files, unfinished = [], []
            beside = {source.path: source for source in _single_files(files, unfinished)}
            self._beside[path.parent] = beside
        whole = beside.get(path) or beside.get(path.with_suffix(".hea"))
        return [_Found(whole or _source(path, filter(None, [_state(path)]), []))]

    def _content(self, file: _File) -> _Content:
        known = self._known_before.get(file) or self._known.get(file) or _look(file.path)
        self._known[file] = known
        return known


class Quiet:
    """Which studies have stopped changing, by one's own clock: the times of copied files say when they were made."""

    def __init__(self, quiet_s: float) -> None:
        self._quiet_s = quiet_s
        self._since: dict[Path, tuple[str, float]] = {}

    def complete(self, sources: Iterable[Source], now: float) -> list[Source]:
        """Those that have looked the same for the quiet period; `now` in seconds, from a clock that never jumps."""
        before, self._since = self._since, {}
        complete = []
        for source in sources:
            moving, since = before.get(source.path, ("", now))
            since = since if moving == source.moving else now
            self._since[source.path] = (source.moving, since)
            if now - since >= self._quiet_s:
                complete.append(source)
        return complete


def _are_studies_of_their_own(contents: list[_Content], below: list[_Found]) -> bool:
    """Whether a folder's own images are a study each: single-file studies in a landing folder, or one gone astray."""
    studies = [content.study for content in contents if content.kind == "image"]
    alone = not any(content.kind == "recording" for content in contents)
    one_study = alone and len(set(studies)) == 1 and all(found.study in ("", studies[0]) for found in below)
    return not one_study and len(set(studies)) == len(studies)


def _are_series_of_one_study(below: list[_Found]) -> bool:
    """Two copies of a study lie in two folders as well, but hold the same series."""
    series = [one for found in below for one in found.series]
    same = len({found.study for found in below}) == 1 and all(found.study and found.series for found in below)
    return len(below) > 1 and same and len(set(series)) == len(series)


def _whole(folder: Path) -> Source:
    """A folder as one study, with all files below it."""
    files, unfinished, waiting = list[_File](), list[_File](), [folder]
    while waiting:
        try:
            here, still, below = _listed(waiting.pop())
        except OSError:
            continue
        files += here
        unfinished += still
        waiting += below
    return _source(folder, files, unfinished)


def _single_files(files: list[_File], unfinished: list[_File]) -> Iterator[Source]:
    """A study a file; a WFDB header takes its signal files with it."""
    by_name = {file.path.name: file for file in files}
    record: dict[str, list[_File]] = {}
    for name, file in by_name.items():
        if file.path.suffix.lower() == ".hea":
            signals = _signals(file.path) | {f"{file.path.stem}{ending}" for ending in (".dat", ".mat")}
            record[name] = [by_name[signal] for signal in sorted(signals - {name}) if signal in by_name]
    taken = {file.path.name for companions in record.values() for file in companions}
    for name, file in by_name.items():
        if name not in taken:
            still = [one for one in unfinished if one.path.name.startswith(file.path.stem)]
            yield _source(file.path, [file, *record.get(name, [])], still)


def _signals(header: Path) -> set[str]:
    """The names of a WFDB record's signal files (header(5): the first word of each line after the record's)."""
    try:
        with header.open("rb") as file:
            lines = file.read(1 << 16).decode("latin-1").splitlines()
    except OSError:
        return set()
    lines = [line for line in lines if line.strip() and not line.startswith("#")]
    names = {line.split()[0] for line in lines[1:]}
    return {name for name in names if re.fullmatch(r"\w[\w.-]*", name)}


def _source(path: Path, files: Iterable[_File], unfinished: Iterable[_File]) -> Source:
    stamp = hashlib.sha256()
    for file in sorted(files, key=lambda one: one.path):
        name = os.fsencode(os.path.relpath(file.path, path))
        stamp.update(b"%d %s %d %d %d\n" % (len(name), name, file.size, file.modified, file.changed))
    moving = stamp.copy()
    for file in sorted(unfinished, key=lambda one: one.path):
        moving.update(b"%s %d %d\n" % (os.fsencode(file.path), file.size, file.modified))
    return Source(path, stamp.hexdigest(), moving.hexdigest())


def _listed(folder: Path) -> tuple[list[_File], list[_File], list[Path]]:
    """Files, unfinished files and sub-folders, each sorted by name; hidden ones and links are left out."""
    files, unfinished, folders = list[_File](), list[_File](), list[Path]()
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda one: one.name):
            path, hidden = Path(entry.path), entry.name.startswith(".")
            if entry.is_dir(follow_symlinks=False) and not hidden:
                folders.append(path)
            elif entry.is_file(follow_symlinks=False) and (state := _state(path)) is not None:
                (unfinished if hidden or path.suffix.lower() in UNFINISHED else files).append(state)
    return files, unfinished, folders


def _state(path: Path) -> _File | None:
    """None for what has gone meanwhile."""
    try:
        state = path.stat()
    except OSError:
        return None
    return _File(path, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


def _look(path: Path) -> _Content:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return _Content("other")
    if not is_dicom(head):
        known = path.suffix.lower() in _ECG_NAMES or is_archive(head)
        return _Content("recording" if known else "other")
    if _WAVEFORM in head:
        return _Content("recording")
    try:
        whose = read_instance(next(members(path)).data).identifiers
    except (ChordaeError, OSError, StopIteration):
        return _Content("image")
    study, series = (("", *whose.get(name, ()))[-1] for name in ("StudyInstanceUID", "SeriesInstanceUID"))
    return _Content("image", str(study), str(series))
