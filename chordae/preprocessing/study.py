"""Any study a site sends to model-ready media: what it is, whose (as keyed hashes), and the picture or video of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from chordae.platform.errors import ChordaeError
from chordae.platform.schemas import Modality
from chordae.preprocessing.identity import Site


@dataclass(frozen=True)
class PreparedStudy:
    """What is kept of a study. `patient` and `study` are the site's keyed hashes; empty where the file names none."""

    modality: Modality
    kind: Literal["image", "video"]
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
    raise NotImplementedError


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
