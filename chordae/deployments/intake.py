"""Files as clients send them, on their way to `prepare_study`: written down under names of our own, put into studies.

Names of files may be names of patients: they go back to who sent them, and nowhere else.
"""

from __future__ import annotations

import re
import secrets
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from fastapi import UploadFile

from chordae.platform.errors import UnreadableRecording
from chordae.platform.schemas import NAME_OF, Modality
from chordae.preprocessing.dicom import is_dicom, read_instance
from chordae.preprocessing.identity import KEY_BYTES, Site
from chordae.preprocessing.study import PreparedStudy, prepare_study


@dataclass(frozen=True)
class Sent:
    """One file of a multipart body."""

    name: str
    """The last part of what the client calls it."""
    content: bytes = field(repr=False)


async def received(files: Sequence[UploadFile]) -> list[Sent]:
    """The files of a multipart body, in order."""
    return [Sent(re.split(r"[/\\]", file.filename or "")[-1], await file.read()) for file in files]


def prepare_sent(study: Sequence[Sent], wanted: Modality | None = None) -> PreparedStudy:
    """The media of one study, from all its files: of WFDB header and signals, for example.

    Whose it is decides only whether it is of one patient: the hashes and the key that made them are dropped.

    Raises:
        UnreadableRecording: why not; also where it is of another modality than the one wanted.
    """
    with tempfile.TemporaryDirectory(prefix="chordae-") as directory:
        paths = [Path(directory) / _safe_name(file.name, index) for index, file in enumerate(study)]
        for path, file in zip(paths, study, strict=True):
            path.write_bytes(file.content)
        alone = paths[0] if len(paths) == 1 else Path(directory)
        whole = next((path for path in paths if path.suffix == ".hea"), alone)
        prepared = prepare_study(whole, Site("upload", secrets.token_bytes(KEY_BYTES)))
    if wanted not in (None, prepared.modality):
        found = NAME_OF[prepared.modality]
        raise UnreadableRecording(
            f"The file is of modality {found}",
            f"send it to the {found} expert: expert={prepared.modality}",
            "wrong_modality",
        )
    return prepared


def studies_of(files: Sequence[Sent]) -> list[list[Sent]]:
    """The files put into studies, in the order in which these begin.

    A WFDB header takes the signal files that it names or that share its name; DICOM images go together by modality and
    Study Instance UID (PS3.3 C.7.2.1); every other file is a study by itself.
    """
    owner = {
        signals: header.name
        for header in files
        if header.name.lower().endswith(".hea")
        for signals in (header.name, *_signals(header, files))
    }
    studies: dict[object, list[Sent]] = {}
    for index, file in enumerate(files):
        key = ("wfdb", owner[file.name]) if file.name in owner else _dicom_study(file.content) or index
        studies.setdefault(key, []).append(file)
    return list(studies.values())


def _signals(header: Sent, files: Sequence[Sent]) -> set[str]:
    """Names of files that belong to a WFDB header: signal lines begin with one (header(5) of WFDB)."""
    lines = header.content[:65536].decode("latin-1").splitlines()
    named = {line.split()[0] for line in lines[1:] if line.strip() and not line.startswith("#")}
    stem = PurePosixPath(header.name).stem
    return {
        file.name
        for file in files
        if file.name.lower().endswith((".dat", ".mat"))
        and (file.name in named or PurePosixPath(file.name).stem == stem)
    }


def _dicom_study(content: bytes) -> tuple[str, str] | None:
    """What a DICOM image's study is told by; None for an ECG, of which each is one study, and what cannot be read."""
    if not is_dicom(content):
        return None
    try:
        instance = read_instance(content)
    except UnreadableRecording:  # `prepare_sent` says why
        return None
    modality, study = instance.text("Modality").upper(), instance.identifiers.get("StudyInstanceUID")
    return (modality, str(study)) if study and modality != "ECG" else None


def _safe_name(sent: str, index: int) -> str:
    """A made-up name, for names of files may be names of patients; a WFDB header refers to the names as sent."""
    if re.fullmatch(r"\w[\w. -]{0,59}\.(hea|dat|mat)", sent):
        return sent
    suffix = re.search(r"\.[a-z0-9]{1,8}\Z", sent, re.IGNORECASE | re.ASCII)
    return f"recording-{index}{suffix[0] if suffix else ''}"
