"""A study's files, one after the other: from a folder, a single file, a .zip or a .tar in any of its compressions.

Archives are read as streams and members kept in memory up to `in_memory` bytes; beyond that in an unnamed temporary
file, which the system takes back when the process ends, however it ends. Nothing is written under a member's own name.
"""

from __future__ import annotations

import errno
import mmap
import os
import resource
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath
from tarfile import EOFHeaderError, HeaderError, ReadError  # type: ignore[attr-defined]
from typing import IO, Self

from chordae.platform.errors import ChordaeError, UnreadableRecording

Buffer = bytes | mmap.mmap

MiB = 1024 * 1024

UNFINISHED = {".part", ".partial", ".filepart", ".tmp"}
"""Endings under which transfers write what is still arriving."""


@dataclass(frozen=True)
class Limits:
    """What a study may hold. An echo study has some hundred files and up to 2 GB, a CMR study up to 10,000 files."""

    members: int = 20_000
    bytes: int = 4096 * MiB
    member_bytes: int = 1024 * MiB
    expansion: int = 100
    """Unpacked size over packed size; DICOM compresses to a half or a third, black frames to a fiftieth."""
    in_memory: int = 64 * MiB


@dataclass(frozen=True)
class Member:
    """One file. Its name may be a patient's: for telling files apart, never for logs."""

    name: str = field(repr=False)
    data: Buffer = field(repr=False)


def members(path: Path, limits: Limits = Limits()) -> Iterator[Member]:
    """The files of a study, in the archive's order; a folder's sorted by path.

    Raises:
        UnreadableRecording: nothing there, a damaged, encrypted or nested archive, an unsafe name, or over a limit.
    """
    _allow_many_files()
    try:
        if path.is_dir():
            yield from _folder(path, limits)
            return
        if not path.is_file():
            raise UnreadableRecording("There is no such file or folder", "check the path", "missing")
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        if error.errno in _FAULTS_OF_THE_MACHINE:
            raise
        problem = f"The study cannot be opened ({error.strerror})"
        raise UnreadableRecording(problem, "check the path", "missing") from None
    if not head:
        raise UnreadableRecording("The file is empty", "export or copy it again", "empty")
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        yield from _guarded(_zip(path, limits))
    elif _is_tar(head):
        yield from _guarded(_tar(path, limits))
    else:
        data = _mapped(path)
        if data is None:
            raise UnreadableRecording("The file cannot be read", "send a plain file", "missing")
        yield Member(path.name, data)


@cache
def _allow_many_files() -> None:
    """A mapped file holds a descriptor, and systems allow 1024 unless asked; a CMR study has thousands of files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def is_archive(head: bytes) -> bool:
    """Whether a file that begins so is one of the archives read here."""
    return head[:4] in (b"PK\x03\x04", b"PK\x05\x06") or _is_tar(head)


_FAULTS_OF_THE_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO}

_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00")


def _is_tar(head: bytes) -> bool:
    return head.startswith(_COMPRESSED) or head[257:262] == b"ustar"


def _guarded(found: Iterator[Member]) -> Iterator[Member]:
    """What the archive libraries raise for damage, as the project's error."""
    try:
        yield from found
    except ChordaeError:
        raise
    except (NotImplementedError, RuntimeError):  # zipfile: a compression it lacks; a password
        raise UnreadableRecording(
            "The archive is encrypted or compressed in an unusual way", "send a plain .zip or .tgz", "encrypted"
        ) from None
    except Exception as error:  # tarfile, zipfile and zlib raise anything for damage, and quote names
        if isinstance(error, OSError) and error.errno in _FAULTS_OF_THE_MACHINE:
            raise  # not the archive's fault
        raise UnreadableRecording("The archive is damaged or cut off", "export or copy it again", "truncated") from None


def _folder(path: Path, limits: Limits) -> Iterator[Member]:
    budget = _Budget(limits, packed=None)
    start = len(os.path.join(path, ""))  # noqa: PTH118 - pathlib takes longer than reading a header
    for folder, folders, files in os.walk(path):  # does not follow links
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if _left_out(name):
                continue
            file = os.path.join(folder, name)  # noqa: PTH118
            if (data := _mapped(file)) is not None:
                budget.spend(len(data))
                yield Member(file[start:], data)


class _Strict(tarfile.TarInfo):
    """Headers of which a damaged one is an error: tarfile takes it for the end, and the rest of the study is lost."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile)
        except EOFHeaderError:
            raise  # the block of zeros that ends an archive
        except HeaderError:
            raise ReadError("damaged") from None

    def _proc_member(self, tarfile: tarfile.TarFile) -> Self:
        # tarfile unpacks long names itself, before anybody has counted them
        if not self.isreg() and self.size > MiB:
            raise _bomb()
        return super()._proc_member(tarfile)  # type: ignore[misc,no-any-return]


def _tar(path: Path, limits: Limits) -> Iterator[Member]:
    budget = _Budget(limits, packed=path.stat().st_size)
    with tarfile.open(path, "r|*", tarinfo=_Strict) as archive:
        for entry in archive:
            archive.members = []  # type: ignore[attr-defined]  # tarfile keeps every header it has seen
            _refuse_unsafe(entry.name)
            budget.spend(0 if entry.isdir() else entry.size)  # a header may promise what no disk holds
            if entry.isdir():
                continue
            if not entry.isreg():
                raise UnreadableRecording("The archive holds a link or a device", "send plain files", "unsafe_archive")
            file = archive.extractfile(entry)
            if file is not None and entry.size:
                data = _read(file, entry.size)
                if not _left_out(entry.name):
                    yield _member(entry.name, data, budget)
        budget.tell_empty()


def _zip(path: Path, limits: Limits) -> Iterator[Member]:
    budget = _Budget(limits, packed=path.stat().st_size)
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            _refuse_unsafe(entry.filename)
            budget.spend(0 if entry.is_dir() else entry.file_size)
            if entry.is_dir() or _left_out(entry.filename):
                continue
            if entry.flag_bits & 1:
                raise UnreadableRecording("The archive is encrypted", "send it without a password", "encrypted")
            if entry.external_attr >> 28 not in (0, 0o10):  # the upper bits are Unix's file type; 0o10: a plain file
                raise UnreadableRecording("The archive holds a link or a device", "send plain files", "unsafe_archive")
            with archive.open(entry) as file:
                data = _read(file, entry.file_size)
            if data:
                yield _member(entry.filename, data, budget)
        budget.tell_empty()


def _left_out(name: str) -> bool:
    """A system's own files, and what is still arriving."""
    path = PurePosixPath(name)
    return path.name.startswith(".") or "__MACOSX" in path.parts or path.suffix.lower() in UNFINISHED


def _bomb() -> UnreadableRecording:
    return UnreadableRecording("The archive unpacks to far more than it holds", "pack it again", "bomb")


def _member(name: str, data: bytes, budget: _Budget) -> Member:
    if is_archive(data[:512]):
        raise UnreadableRecording("The archive holds another archive", "send one archive a study", "nested_archive")
    return Member(name, budget.keep(data))


def _read(file: IO[bytes], size: int) -> bytes:
    """All of a member, and no more than it promised."""
    data = file.read(size + 1)
    if len(data) != size:
        raise UnreadableRecording("The archive is damaged or cut off", "export or copy it again", "truncated")
    return data


def _refuse_unsafe(name: str) -> None:
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or (len(name) > 1 and name[1] == ":") or "\0" in name:
        raise UnreadableRecording("The archive holds an unsafe path", "pack plain relative paths", "unsafe_archive")


def _mapped(path: str | Path) -> Buffer | None:
    """The file without reading it: a header needs its first pages only. None for an empty one, a link or a device."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            return None
        raise
    try:
        state = os.fstat(file)
        if not stat.S_ISREG(state.st_mode) or state.st_size == 0:
            return None
        return mmap.mmap(file, state.st_size, access=mmap.ACCESS_READ)
    finally:
        os.close(file)


class _Budget:
    """Counts what an archive has taken so far, and keeps its members: first in memory, then in an unnamed file."""

    def __init__(self, limits: Limits, packed: int | None) -> None:
        self._limits, self._packed = limits, packed
        self._count = self._bytes = 0
        self._spilled: IO[bytes] | None = None

    def spend(self, size: int) -> None:
        self._count += 1
        self._bytes += size
        limits = self._limits
        if self._count > limits.members:
            raise UnreadableRecording(f"The study has more than {limits.members} files", "split it", "too_large")
        if size > limits.member_bytes or self._bytes > limits.bytes:
            raise UnreadableRecording(f"The study is larger than {limits.bytes // MiB} MiB", "split it", "too_large")
        # a whole MiB is allowed in any case: a few empty images compress to almost nothing
        if self._packed is not None and self._bytes > max(self._packed * limits.expansion, MiB):
            raise _bomb()

    def keep(self, data: bytes) -> Buffer:
        if self._bytes <= self._limits.in_memory:
            return data
        if self._spilled is None:
            self._spilled = tempfile.TemporaryFile(prefix="chordae-")  # noqa: SIM115 - lives as long as its maps
        start = -(-self._spilled.seek(0, os.SEEK_END) // mmap.ALLOCATIONGRANULARITY) * mmap.ALLOCATIONGRANULARITY
        self._spilled.seek(start)
        self._spilled.write(data)
        self._spilled.flush()
        return mmap.mmap(self._spilled.fileno(), len(data), offset=start, access=mmap.ACCESS_READ)

    def tell_empty(self) -> None:
        if not self._count:
            raise UnreadableRecording("The archive is empty", "pack the study again", "empty")
