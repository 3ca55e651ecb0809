"""Why a study without a usable clip is refused: the one reason that helps its sender most."""

from __future__ import annotations

from collections import Counter

from chordae.platform.errors import UnreadableRecording

_REFUSALS = (
    ({"bad_pixels", "truncated", "bad_header"}, "damaged", "All echo clips are damaged", "export the study again"),
    ({"bad_size"}, "bad_size", "The echo clips have no usable size", "export them as the scanner shows them"),
    ({"no_sector"}, "no_sector", "No clip shows an ultrasound sector", "send clips with a picture"),
    (
        {"non_cardiac_probe", "non_cardiac_examination"},
        "non_cardiac",
        "The clips are not of a heart",
        "send a cardiac ultrasound study",
    ),
    (
        {"m_mode", "spectral"},
        "not_2d",
        "The clips are M-mode or Doppler spectra only",
        "send two-dimensional clips too",
    ),
    ({"still"}, "stills_only", "The study has stills only", "send clips of several frames"),
    ({"volume"}, "volumes_only", "The study has 3D volumes only", "send two-dimensional clips"),
)


def refusal(set_aside: Counter[str]) -> UnreadableRecording:
    """The error for a study of which everything was set aside, for these reasons."""
    for reasons, reason, problem, remedy in _REFUSALS:
        if reasons & set_aside.keys():
            return UnreadableRecording(problem, remedy, reason)
    return UnreadableRecording("The study has no ultrasound clips", "send clips of several frames", "no_clips")
