"""12-lead ECG: read, clean, render.

`prepare_ecg` is the whole way from a file to what the model and the clinician see.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from chordae.preprocessing.ecg.clean import clean
from chordae.preprocessing.ecg.readers import read_ecg, read_ecg_bytes
from chordae.preprocessing.ecg.recording import LEADS, EcgRecording, Signal, Window
from chordae.preprocessing.ecg.render import (
    CLINICAL,
    MARCUS,
    encode_png,
    marcus_gain,
    quality_remark,
    render_clinical,
    render_marcus,
)

PREPROCESSING_VERSION = "ecg-2"
"""Part of a media digest: raise it whenever the same file would give other pixels."""

__all__ = [
    "LEADS",
    "PREPROCESSING_VERSION",
    "EcgRecording",
    "PreparedEcg",
    "clean",
    "encode_png",
    "prepare_ecg",
    "prepare_ecg_bytes",
    "read_ecg",
    "read_ecg_bytes",
    "render_clinical",
    "render_marcus",
]


@dataclass(frozen=True)
class PreparedEcg:
    """What goes on: the model's picture, the clinician's (drawn when asked for), and remarks that name no patient."""

    signal: Signal
    marcus_png: bytes
    sidecar: dict[str, object]
    window: Window
    flags: tuple[str, ...]

    @cached_property
    def clinical_png(self) -> bytes:
        return encode_png(render_clinical(self.signal, self.window.seconds, quality_remark(self.flags)))


def prepare_ecg(path: Path) -> PreparedEcg:
    """Read, clean and draw a recording. Raises UnreadableRecording with the reason and what to do."""
    return _prepared(read_ecg(path))


def prepare_ecg_bytes(name: str, data: bytes, siblings: Mapping[str, bytes] | None = None) -> PreparedEcg:
    """The same for a file that is not on disk; `siblings` are those beside it by name, which WFDB needs."""
    return _prepared(read_ecg_bytes(name, data, siblings))


def _prepared(recording: EcgRecording) -> PreparedEcg:
    cleaned = clean(recording)
    window = cleaned.window or Window(0.0, cleaned.duration)
    png = encode_png(render_marcus(cleaned.signal, window.seconds))
    return PreparedEcg(cleaned.signal, png, _sidecar(recording, cleaned, window), window, cleaned.flags)


def _sidecar(recording: EcgRecording, cleaned: EcgRecording, window: Window) -> dict[str, object]:
    """An allow-list, so that nothing of a file's header gets out by accident."""
    return {
        "preprocessing_version": PREPROCESSING_VERSION,
        "source_format": recording.source,
        "original_rate_hz": recording.rate,
        "original_duration_s": round(recording.duration, 3),
        "original_samples": int(recording.signal.shape[1]),
        "rate_hz": cleaned.rate,
        "samples": int(cleaned.signal.shape[1]),
        "window": {"start_s": window.start, "recorded_s": window.seconds},
        "flags": list(cleaned.flags),
        "device": recording.device.as_json(),
        "marcus": {"px_per_s": MARCUS.px_per_s, "px_per_mv": marcus_gain(cleaned.signal)},
        "clinical": {"px_per_s": CLINICAL.px_per_s, "px_per_mv": CLINICAL.px_per_mv},
    }
