"""A study's files to what they are: an ECG recording, or the objects of an echo or a cardiac MR study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from chordae.platform.errors import UnreadableRecording
from chordae.platform.schemas import Modality
from chordae.preprocessing.archive import Member, is_archive, members
from chordae.preprocessing.dicom import Instance, is_dicom, read_instance
from chordae.preprocessing.ecg import PreparedEcg, prepare_ecg, prepare_ecg_bytes

_MODALITIES: dict[str, Modality] = {"US": "echo", "MR": "cmr", "ECG": "ecg"}
"""By the attribute Modality (0008,0060), PS3.3 C.7.3.1.1.1."""

_ECG_NAMES = {".npy", ".xml", ".hea", ".dat", ".mat", ".scp"}
_SEND = "send a 12-lead ECG, an echo study or a cardiac MR study"


@dataclass(frozen=True)
class OpenedStudy:
    """Read, but not decoded. `recording` are the files of one ECG; `instances` all DICOM objects of the study."""

    modality: Modality
    instances: tuple[Instance, ...]
    recording: tuple[Member, ...]
    set_aside: dict[str, int] = field(default_factory=dict)
    """Files that are no part of the study or cannot be used, counted by reason."""


def open_study(path: Path) -> OpenedStudy:
    """Read a study's headers and say what it is.

    Raises:
        UnreadableRecording: nothing usable in it, several studies in one, or an archive that is not safe to read.
    """
    instances: list[Instance] = []
    others: list[Member] = []
    set_aside = Counter[str]()
    for member in members(path):
        if not is_dicom(member.data):
            others.append(member)
            continue
        try:
            instance = read_instance(member.data)
        except UnreadableRecording as error:
            set_aside[error.reason] += 1
            continue
        if _modality(instance) == "ecg":
            others.append(member)
        instances.append(instance)
    kinds = {kind for kind in map(_modality, instances) if kind is not None}
    if len(kinds) > 1:
        found = " and ".join(sorted(kinds))
        raise UnreadableRecording(f"The study holds {found}", "send one at a time", "mixed_studies")
    if kinds and kinds != {"ecg"}:
        if others:
            set_aside["not_dicom"] += len(others)
        return OpenedStudy(kinds.pop(), tuple(instances), (), dict(set_aside))
    recording = _recording(others, alone=path.is_file() and not _archived(path))
    if recording:
        return OpenedStudy("ecg", tuple(instances), recording, dict(set_aside))
    if instances:
        raise UnreadableRecording("The study holds no ECG, echo or cardiac MR", _SEND, "wrong_modality")
    if set_aside:
        reason, _ = set_aside.most_common(1)[0]
        raise UnreadableRecording("None of the study's DICOM files can be read", "export it again", reason)
    raise UnreadableRecording("The study holds nothing that can be read here", _SEND, "nothing_readable")


def prepare_recording(path: Path, recording: tuple[Member, ...]) -> PreparedEcg:
    """The picture of an opened study's ECG. Raises UnreadableRecording."""
    if path.is_file() and not _archived(path):
        return prepare_ecg(path)  # what lies beside it may belong to it
    first, *rest = recording
    return prepare_ecg_bytes(_name(first), first.data[:], {_name(file): file.data[:] for file in rest})


def _modality(instance: Instance) -> Modality | None:
    return _MODALITIES.get(instance.text("Modality").upper())


def _archived(path: Path) -> bool:
    with path.open("rb") as file:
        return is_archive(file.read(512))


def _name(member: Member) -> str:
    return PurePosixPath(member.name.replace("\\", "/")).name


def _recording(files: Sequence[Member], alone: bool) -> tuple[Member, ...]:
    """The one ECG among files, its header first; nothing where there is none."""
    if alone:
        return tuple(files)
    candidates = [file for file in files if is_dicom(file.data) or Path(_name(file)).suffix.lower() in _ECG_NAMES]
    headers = [file for file in candidates if _name(file).lower().endswith(".hea")]
    if len(headers) == 1:
        others = [file for file in candidates if file is not headers[0]]
        if all(_name(file).lower().endswith((".dat", ".mat")) for file in others):
            return (headers[0], *(file for file in files if file is not headers[0]))  # the header names its signals
    if len(candidates) > 1:
        raise UnreadableRecording("There are several ECGs in one study", "send one at a time", "mixed_studies")
    return tuple(candidates)
