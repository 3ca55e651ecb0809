"""Temperature scaling of the reasoner's probabilities (Guo et al., "On Calibration of Modern Neural Networks", 2017).

One number, fitted on held-out records by minimising the negative log-likelihood and kept beside the weights. A
temperature of other weights is none: 1 is served then, and said not to be calibrated.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError
from scipy.optimize import minimize_scalar

from chordae.platform.errors import BadInput, BadSettings
from chordae.platform.files import write_atomically
from chordae.platform.noun import Noun
from chordae.platform.weights import TEMPERATURE

BINS = 15
"""Of the calibration error, as Guo et al. have it."""
COLDEST, HOTTEST = 0.05, 20.0
_SMALLEST = 1e-30

Floats = NDArray[np.float64]


class Temperature(Noun):
    """What was fitted, and on what."""

    temperature: float = Field(gt=0, description="Log-probabilities are divided by it")
    weights: str = Field(min_length=1, description="Digest of the weights that answered")
    split: str = Field(description="Held-out dataset")
    records: str = Field(description="SHA-256 of its records")
    n: int = Field(ge=1, description="Records with probabilities")
    nll: tuple[float, float] = Field(description="Mean negative log-likelihood before and after, nats")
    ece: tuple[float, float] = Field(description="Expected calibration error before and after, 0 to 1")
    date: str = Field(description="ISO 8601")


def scaled(probabilities: Sequence[float], temperature: float) -> list[float]:
    """Probabilities (n,) with their logarithms divided by the temperature; the order stays."""
    return [float(one) for one in _scaled(np.asarray([probabilities], float), temperature)[0]]


def fit(probabilities: Sequence[Sequence[float]], truth: Sequence[int]) -> float:
    """The temperature that makes what is true likeliest.

    Args:
        probabilities: (n, k) at temperature 1.
        truth: (n,) index of the true class.

    Raises:
        BadInput: no record, or no temperature within bounds is best: the probabilities say nothing, or all.
    """
    given, right = np.asarray(probabilities, float), np.asarray(truth, int)
    if not len(given):
        raise BadInput("no record has probabilities", "train the reasoner first: it answers nothing that can be read")
    low, high = np.log(COLDEST), np.log(HOTTEST)
    found = minimize_scalar(
        lambda x: nll(_scaled(given, float(np.exp(x))), right), bounds=(low, high), method="bounded"
    )
    if min(found.x - low, high - found.x) < 1e-3:
        raise BadInput(
            f"no temperature between {COLDEST} and {HOTTEST} is best, so nothing is stored",
            "use more records, or train the reasoner first",
        )
    return float(np.exp(found.x))


def nll(probabilities: Floats, truth: NDArray[np.int_]) -> float:
    """Mean negative log-likelihood of what is true, nats; (n, k) and (n,)."""
    return float(-np.log(np.maximum(probabilities[np.arange(len(truth)), truth], _SMALLEST)).mean())


def calibration_error(probabilities: Floats, truth: NDArray[np.int_]) -> float:
    """Expected calibration error: |accuracy - mean confidence| in `BINS` equal bins of confidence, weighted by size."""
    confidence, right = probabilities.max(1), probabilities.argmax(1) == truth
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [abs(right[bins == one].mean() - confidence[bins == one].mean()) * (bins == one).mean() for one in set(bins)]
    return float(sum(gaps))


def before_and_after(
    probabilities: Sequence[Sequence[float]], truth: Sequence[int], temperature: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """NLL and calibration error, each at temperature 1 and at this one."""
    given, right = np.asarray(probabilities, float), np.asarray(truth, int)
    after = _scaled(given, temperature)
    return (nll(given, right), nll(after, right)), (calibration_error(given, right), calibration_error(after, right))


def read_temperature(checkpoint: Path, digest: str) -> Temperature | None:
    """What was fitted for the weights of that digest; None where nothing was.

    Raises:
        BadSettings: there is a file, and it cannot be read.
    """
    path = checkpoint / TEMPERATURE
    if not path.is_file():
        return None
    try:
        found = Temperature.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "JSON"
        raise BadSettings(
            f"{path} is no temperature ({key}: {first['msg']})", "run `chordae calibrate` again, or delete it"
        ) from error
    return found if found.weights == digest else None


def write_temperature(checkpoint: Path, temperature: Temperature) -> Path:
    """Keep it beside the weights, whole or not at all; one of other weights is replaced. Returns the file."""
    path = checkpoint / TEMPERATURE
    write_atomically(path, (temperature.model_dump_json(indent=1) + "\n").encode())
    path.chmod(0o644)  # temporary files are the owner's alone; replicas may run as somebody else
    return path


def _scaled(probabilities: Floats, temperature: float) -> Floats:
    logits = np.log(np.maximum(probabilities, _SMALLEST)) / temperature
    shares = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(shares / shares.sum(1, keepdims=True), float)
