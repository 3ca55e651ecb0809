"""Temperature scaling: fitted by likelihood, kept beside the weights, none where nothing was fitted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chordae.platform.diagnosis.temperature import (
    Temperature,
    before_and_after,
    calibration_error,
    fit,
    read_temperature,
    scaled,
    write_temperature,
)
from chordae.platform.errors import BadInput, BadSettings
from chordae.platform.weights import identify


def drawn(n: int, sharpness: float) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (n, 8) that are `sharpness` times too sure, and what is true, drawn from the honest ones."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (n, 8))
    honest = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    truth = np.array([rng.choice(8, p=one) for one in honest])
    sure = np.exp(sharpness * logits)
    return sure / sure.sum(1, keepdims=True), truth


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_what_made_the_model_too_sure(sharpness: float) -> None:
    given_, truth = drawn(4000, sharpness)
    found = fit(given_.tolist(), truth.tolist())
    assert found == pytest.approx(sharpness, rel=0.08)
    nll, ece = before_and_after(given_.tolist(), truth.tolist(), found)
    assert nll[1] <= nll[0]
    assert ece[1] < 0.03


@given(st.lists(st.floats(1e-6, 1), min_size=8, max_size=8), st.floats(0.1, 10))
def test_scaling_keeps_the_order_and_sums_to_one(weights: list[float], temperature: float) -> None:
    shares = [one / sum(weights) for one in weights]
    after = scaled(shares, temperature)
    assert sum(after) == pytest.approx(1)
    assert after[int(np.argmax(shares))] == max(after)


def test_the_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    """Ten answers of confidence 0.9, five of them right: |0.5 - 0.9|."""
    given_ = np.tile([0.9, 0.1], (10, 1))
    assert calibration_error(given_, np.array([0, 1] * 5)) == pytest.approx(0.4)


@pytest.mark.parametrize("given_", [[[0.6, 0.4]] * 20, []], ids=["always right", "nothing"])
def test_where_no_temperature_is_best_nothing_is_fitted(given_: list[list[float]]) -> None:
    with pytest.raises(BadInput):
        fit(given_, [0] * len(given_))


def kept(weights: str) -> Temperature:
    return Temperature(
        temperature=1.7, weights=weights, split="dev", records="x", n=9, nll=(1, 0.9), ece=(0.2, 0.1), date="2026-01-01"
    )


def test_it_is_kept_beside_the_weights_and_changes_no_digest(model_dir: Path) -> None:
    before = identify(model_dir).digest
    assert read_temperature(model_dir, before) is None
    write_temperature(model_dir, kept(before))
    assert identify(model_dir).digest == before
    assert read_temperature(model_dir, before) == kept(before)
    assert read_temperature(model_dir, "another") is None


def test_a_damaged_file_is_said_to_be(model_dir: Path) -> None:
    (model_dir / "temperature.json").write_text("{}")
    with pytest.raises(BadSettings, match="temperature"):
        read_temperature(model_dir, "x")
