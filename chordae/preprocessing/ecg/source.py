"""The bytes that a reader gets: a file's own, and those of the files beside it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath

from chordae.platform.errors import UnreadableRecording

MAX_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class EcgFile:
    """`sibling` gives the content of a file in the same folder, or None where there is none of that name."""

    name: str
    data: bytes
    sibling: Callable[[str], bytes | None] = lambda _: None

    @cached_property
    def suffix(self) -> str:
        """The ending in lower case, with its dot."""
        return PurePath(self.name).suffix.lower()

    @cached_property
    def header(self) -> bytes | None:
        """The WFDB header of the record that this file belongs to; a file without one is no WFDB."""
        return self.data if self.suffix == ".hea" else self.sibling(f"{PurePath(self.name).stem}.hea")


def from_path(path: Path) -> EcgFile:
    """A file on disk; a link is followed first, since what lies beside its target belongs to it."""
    try:
        path = path.resolve() if path.is_symlink() else path
        return EcgFile(path.name, _read(path), lambda name: _beside(path, name))
    except (OSError, ValueError):
        raise UnreadableRecording(
            "The file cannot be opened", "check that it exists and may be read", "missing"
        ) from None


def from_bytes(name: str, data: bytes, siblings: Mapping[str, bytes]) -> EcgFile:
    """A file that never was on disk, such as a member of an archive, with those that lay beside it."""
    _check_size(len(data))
    return EcgFile(name, data, siblings.get)


def _beside(path: Path, name: str) -> bytes | None:
    other = path.parent / name
    return _read(other) if other.name == name and other.is_file() else None


def _read(path: Path) -> bytes:
    _check_size(path.stat().st_size)
    return path.read_bytes()


def _check_size(size: int) -> None:
    if size > MAX_BYTES:
        raise UnreadableRecording(
            "The file is too large for an ECG", "cut out the ten seconds in question", "too_large"
        )
