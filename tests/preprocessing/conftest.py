"""Inputs of the preprocessing tests: one that pydicom ships, real ones where present, and made-up ones."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file

from chordae.preprocessing.ecg import EcgRecording

MakeEcg = Callable[..., EcgRecording]


@pytest.fixture(scope="session")
def real_data() -> Path:
    folder = Path(os.environ.get("CHORDAE_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
    if not (folder / "ecg").is_dir():
        pytest.skip("the real recordings are not here: set CHORDAE_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def bundled_ecg() -> Path:
    """A real 12-lead ECG that comes with pydicom: 10 s at 1000 Hz, rhythm and median beat."""
    return Path(str(get_testdata_file("waveform_ecg.dcm", download=False)))


@pytest.fixture(scope="session")
def make_ecg() -> MakeEcg:
    """12 leads that obey Einthoven's law, 72 beats a minute, R waves of I 0.7 and II 1.1 mV."""

    def make(seconds: float = 10.0, rate: float = 500.0) -> EcgRecording:
        time = np.arange(round(seconds * rate)) / rate
        phase = (time - 0.4) % (60 / 72)

        def wave(at: float, width: float) -> np.ndarray:
            return np.exp(-(((phase - at) / width) ** 2))

        beat = np.stack([0.12 * wave(0.1, 0.03), wave(0.28, 0.015), 0.25 * wave(0.5, 0.06)])
        weights = np.array([[1.0, 0.7, 0.8], [1.2, 1.1, 1.1]] + [[0.5, r, t] for r, t in V_WAVES])
        one, two, *chest = weights @ beat
        limb = [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2]
        return EcgRecording(np.stack([*limb, *chest]).astype(np.float32), rate, "synthetic")

    return make


V_WAVES = [(-0.8, -0.5), (-1.2, 0.9), (-0.5, 1.2), (1.2, 1.1), (1.4, 0.9), (1.0, 0.7)]
"""R (or S) and T waves of V1 to V6."""
