"""Any study a site sends to model-ready media: what it is, whose (as keyed hashes), and the picture or video of it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chordae.platform.errors import BadInput, ChordaeError, UnreadableRecording
from chordae.platform.files import write_atomically
from chordae.platform.schemas import Kind, Modality
from chordae.preprocessing import cmr, ecg, echo
from chordae.preprocessing.identity import Site, patient_and_study
from chordae.preprocessing.opening import OpenedStudy, open_study, prepare_recording


@dataclass(frozen=True)
class PreparedStudy:
    """What is kept of a study. `patient` and `study` are the site's keyed hashes; empty where the file names none."""

    modality: Modality
    kind: Kind
    content: bytes = field(repr=False)
    version: str
    sidecar: dict[str, object]
    patient: str
    study: str
    companion: bytes | None = field(default=None, repr=False)
    """The picture for people, where there is one."""
    timings: dict[str, float] = field(default_factory=dict)
    """Seconds by stage, in order: open, prepare."""


def prepare_study(path: Path, site: Site, question: str = "") -> PreparedStudy:
    """Open, recognise and prepare one study: an ECG file, a DICOM object, a folder or an archive.

    Raises:
        UnreadableRecording: why not, with `reason` and the `stage` it happened in.
    """
    timings: dict[str, float] = {}
    with stage("open", timings):
        opened = open_study(path)
        patient, study = patient_and_study(opened.instances)
        if not study:
            study = "".join(hashlib.sha256(file.data).hexdigest() for file in opened.recording)
    with stage("prepare", timings):
        media = _prepared(path, opened, question)
    return PreparedStudy(
        modality=opened.modality,
        patient=site.pseudonym("patient", patient) if patient else "",
        study=site.pseudonym("study", study) if study else "",
        timings=timings,
        **media,
    )


def write_video(study: Path, output: Path, modality: Modality, question: str = "") -> dict[str, object]:
    """Write the grid video of an echo or CMR study and return its sidecar.

    Raises:
        UnreadableRecording: with the reason, also where the study is of another modality; nothing is written then.
        BadInput: no such study or output directory.
    """
    if not study.exists():
        raise BadInput(f"no file or folder {study}", "name a study: an archive, a folder or a DICOM file")
    if output.is_dir():
        raise BadInput(f"{output} is a directory", "name the MP4 file to write")
    if not output.parent.is_dir():
        raise BadInput(f"no directory {output.parent}", "create it first")
    opened = open_study(study)
    if opened.modality != modality:
        raise UnreadableRecording(
            f"This is an {opened.modality} study", f"run `chordae preprocess {opened.modality}`", "wrong_modality"
        )
    patient_and_study(opened.instances)  # refuses those of several patients
    media = _prepared(study, opened, question)
    write_atomically(output, media["content"])
    sidecar: dict[str, object] = media["sidecar"]
    return sidecar


def _prepared(path: Path, opened: OpenedStudy, question: str) -> dict[str, Any]:
    """The fields of `PreparedStudy` that are the media."""
    if opened.modality == "ecg":
        picture = prepare_recording(path, opened.recording)
        return {
            "kind": "image",
            "content": picture.marcus_png,
            "companion": picture.clinical_png,
            "version": ecg.PREPROCESSING_VERSION,
            "sidecar": picture.sidecar,
        }
    prepare = echo.prepare_echo if opened.modality == "echo" else cmr.prepare_cmr
    video = prepare(opened.instances, question)
    sidecar = video.sidecar | ({"files_set_aside": opened.set_aside} if opened.set_aside else {})
    return {"kind": "video", "content": video.mp4, "version": video.version, "sidecar": sidecar}


@contextmanager
def stage(name: str, timings: dict[str, float]) -> Iterator[None]:
    """Times a stage, and says in an error of the project's own which stage it came from."""
    started = time.perf_counter()
    try:
        yield
    except ChordaeError as error:
        error.stage = error.stage or name
        raise
    finally:
        timings[name] = time.perf_counter() - started
