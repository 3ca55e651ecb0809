"""A calibration belongs to one version of the weights: beside them, of no part in their digest, none for others."""

import json
import stat
from pathlib import Path

import pytest
from pydantic import ValidationError
from safetensors.numpy import save_file

from chordae.platform.calibration import Calibration, read_calibration, write_calibration
from chordae.platform.errors import BadSettings
from chordae.platform.weights import identify


def fitted(weights: str, threshold: float = 0.6) -> Calibration:
    return Calibration(
        alpha=0.35,
        threshold=threshold,
        weights=weights,
        split="calibration",
        questions="f" * 64,
        n=900,
        correct=300,
        coverage=0.97,
        coverage_interval=(0.95, 0.99),
        negatives=500,
        patients=87,
        mirages=2,
        mirage_bound=0.0339,
        date="2026-11-22",
    )


def test_what_was_written_is_read_for_the_same_weights(model_dir: Path) -> None:
    digest = identify(model_dir).digest
    path = write_calibration(model_dir, fitted(digest))
    assert path == model_dir / "calibration.json"
    assert read_calibration(model_dir, digest) == fitted(digest)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_calibrating_does_not_change_whose_weights_they_are(model_dir: Path) -> None:
    before = identify(model_dir)
    write_calibration(model_dir, fitted(before.digest))
    assert identify(model_dir) == before


def test_weights_that_nobody_calibrated_have_none(model_dir: Path) -> None:
    assert read_calibration(model_dir, identify(model_dir).digest) is None


def test_new_weights_beside_an_old_calibration_have_none(model_dir: Path) -> None:
    write_calibration(model_dir, fitted(identify(model_dir).digest))
    import numpy as np

    save_file({"w": np.ones(6, dtype=np.float32)}, model_dir / "model.safetensors")
    assert read_calibration(model_dir, identify(model_dir).digest) is None


def test_a_second_calibration_takes_the_place_of_the_first(model_dir: Path) -> None:
    digest = identify(model_dir).digest
    for threshold in (0.6, 0.7):
        write_calibration(model_dir, fitted(digest, threshold))
    found = read_calibration(model_dir, digest)
    assert found is not None
    assert found.threshold == 0.7


@pytest.mark.parametrize("content", ["{", "[]", json.dumps({"alpha": 0.5}), json.dumps({"alpha": 2})])
def test_a_damaged_file_is_an_error_and_not_the_default(model_dir: Path, content: str) -> None:
    (model_dir / "calibration.json").write_text(content)
    with pytest.raises(BadSettings, match="chordae calibrate") as refusal:
        read_calibration(model_dir, identify(model_dir).digest)
    assert "\n" not in str(refusal.value)


def test_it_cannot_be_changed_or_hold_what_nobody_reads() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        fitted("a").alpha = 0.1  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra"):
        Calibration.model_validate(fitted("a").model_dump() | {"thresold": 0.1})
