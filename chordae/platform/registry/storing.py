"""Copies a checkpoint to where versions lie: `versions/<model>/<digest>` below the data directory.

In full or not at all, and on disk when the call returns. The files of the weights are never written again, unless one
was damaged; what is fitted to them later (calibration, temperature, canary probes) replaces what was there before.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chordae.platform.calibration import read_calibration
from chordae.platform.canaries import media_of, read_canaries
from chordae.platform.diagnosis.temperature import read_temperature
from chordae.platform.errors import BadInput, DamagedVersion
from chordae.platform.files import write_atomically
from chordae.platform.registry.version import FITTED, ModelVersion, describe, read_version, sha256
from chordae.platform.weights import CALIBRATION, CANARIES, TEMPERATURE, VERSION, identify

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PIECE = 2**22


def directory_of(data_dir: Path, model: str, digest: str) -> Path:
    """Where that version's files lie. Raises BadInput: no name for a model."""
    if not _NAME.fullmatch(model):
        raise BadInput(f"{model!r} is no name for a model", "use letters, digits, dots, dashes and underscores")
    return data_dir.resolve() / "versions" / model / digest


@contextmanager
def storing(data_dir: Path, model: str) -> Iterator[None]:
    """One process at a time stores versions of a model; a dead one's lock is free at once."""
    folder = directory_of(data_dir, model, "").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def store(checkpoint: Path, data_dir: Path) -> tuple[Path, ModelVersion]:
    """Copy a checkpoint, or complete the copy that is there; the caller holds `storing`. Returns the directory.

    Raises:
        BadSettings, BadInput: the checkpoint cannot be read, or changed meanwhile.
        DamagedVersion: the copy that is there is damaged, and this checkpoint cannot mend it.
        OSError: the disk is full, or read-only; nothing has been stored.
    """
    weights = identify(checkpoint)
    directory = directory_of(data_dir, weights.name, weights.digest)
    for dead in directory.parent.glob(".*.part"):
        shutil.rmtree(dead, ignore_errors=True)
    files = _files(checkpoint, _fitted(checkpoint, weights.digest))
    if directory.is_dir():
        return directory, _complete(checkpoint, directory, files)
    staged = Path(tempfile.mkdtemp(dir=directory.parent, prefix=".", suffix=".part"))
    try:
        staged.chmod(0o755)
        for name in files:
            _copy(checkpoint / name, staged / name)
        version = describe(staged, {name: sha256(staged / name) for name in files})
        if version.weights != weights:
            raise BadInput(f"{checkpoint} changed while it was copied", "register it when training is over")
        _write(staged, version)
        staged.rename(directory)
    except BaseException:  # raised again; only the unfinished copy goes
        shutil.rmtree(staged, ignore_errors=True)
        raise
    _sync(directory.parent)
    return directory, version


def _files(checkpoint: Path, fitted: list[str]) -> list[str]:
    """What belongs to a version: the files of the directory, and the pictures and videos that its canaries name."""
    names = [path.name for path in checkpoint.iterdir() if path.is_file() and not path.name.startswith(".")]
    return sorted({*(name for name in names if name not in (*FITTED, VERSION)), *fitted})


def _fitted(checkpoint: Path, digest: str) -> list[str]:
    """Of what comes after the weights, what the checkpoint has for these very ones."""
    named = [CALIBRATION] if read_calibration(checkpoint, digest) else []
    named += [TEMPERATURE] if read_temperature(checkpoint, digest) else []
    canaries = read_canaries(checkpoint)
    if canaries is None:
        return named
    asked = [probe.request for probe in canaries.probes if probe.request is not None]
    return [*named, *(url for request in asked for url in media_of(request)), CANARIES]


def _complete(checkpoint: Path, directory: Path, files: list[str]) -> ModelVersion:
    try:
        known = read_version(directory)
    except DamagedVersion:  # all its files are copied anew then, and held against the digest below
        known = None
    for dead in directory.glob(".*.part"):
        dead.unlink()
    listed = {} if known is None else known.files
    later = {name for name in files if "/" in name or name in FITTED}
    digests = dict(listed)
    for name in sorted({*files, *listed}, key=lambda one: (one in FITTED, one)):
        theirs = sha256(checkpoint / name) if name in files else None
        wanted = theirs if name in later or name not in listed else listed[name]
        there = sha256(directory / name) if (directory / name).is_file() else None
        if wanted != there:
            if wanted != theirs:
                problem = f"{directory / name} is damaged, and {checkpoint} has another one"
                raise DamagedVersion(problem, "register the checkpoint that it was made of")
            _replace(checkpoint / name, directory / name)
        digests[name] = str(wanted)
    version = describe(directory, digests)
    if version.weights.digest != directory.name:
        raise DamagedVersion(f"{directory} holds files that are not of its version", "remove them")
    if version != known:
        _write(directory, version)
    return version


def _write(directory: Path, version: ModelVersion) -> None:
    write_atomically(directory / VERSION, (version.model_dump_json(indent=1) + "\n").encode())
    (directory / VERSION).chmod(0o644)


def _replace(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.part")
    try:
        _copy(source, beside)
        beside.replace(target)
    except BaseException:  # raised again; only the unfinished copy goes
        beside.unlink(missing_ok=True)
        raise
    _sync(target.parent)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as read, target.open("wb") as written:
        shutil.copyfileobj(read, written, _PIECE)
        written.flush()
        os.fsync(written.fileno())
    target.chmod(0o644)
    _sync(target.parent)


def _sync(directory: Path) -> None:
    opened = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
