"""Checkpoints to register, and a model registry that is ready: making one takes MLflow seconds."""

from __future__ import annotations

import json
import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from chordae.platform.calibration import Calibration, write_calibration
from chordae.platform.canaries import CanaryProbe, write_canaries
from chordae.platform.diagnosis.temperature import Temperature, write_temperature
from chordae.platform.registry.client import connect
from chordae.platform.weights import identify

_FOLDER = tempfile.TemporaryDirectory(prefix="mlflow")  # goes when the process ends


@cache
def _empty() -> Path:
    path = Path(_FOLDER.name) / "mlflow.db"
    connect(f"sqlite:///{path}").search_registered_models()
    return path


def empty_registry(data_dir: Path) -> Path:
    """A data directory with a registry in which there is nothing."""
    data_dir.mkdir(parents=True)
    shutil.copy(_empty(), data_dir / "mlflow.db")
    return data_dir


def checkpoint(folder: Path, seed: int, ready: bool = True, kind: str | None = None, mib: int = 0) -> Path:
    """Weights drawn with that seed, of a model `tiny`; calibrated and with a canary probe if `ready`."""
    directory = folder / f"checkpoint-{seed}"
    directory.mkdir(parents=True)
    draw = np.random.default_rng(seed)
    save_file({"w": draw.normal(size=6 + mib * 2**18).astype(np.float32)}, directory / "model.safetensors")
    (directory / "config.json").write_text("{}")
    (directory / "README.md").write_text("a model card")
    manifest = {"name": "tiny", "version": str(seed), "kind": kind, "metrics": {"reward": seed / 10}}
    (directory / "manifest.json").write_text(json.dumps(manifest | {"lineage": {"config": f"c{seed}", "datasets": {}}}))
    if ready:
        fit(directory)
        write_canaries(directory, [CanaryProbe(prompt_ids=(1, 2), token_ids=(3,), logprobs=(-0.5,))], "by hand")
    return directory


def fit(directory: Path, threshold: float = 0.6) -> None:
    """Calibrate it: an expert's gate, or the reasoner's temperature."""
    digest = identify(directory).digest
    if json.loads((directory / "manifest.json").read_text())["kind"] == "reasoner":
        told = {"weights": digest, "split": "dev", "records": "f" * 64, "n": 9, "nll": (1, 1), "ece": (0, 0)}
        write_temperature(directory, Temperature.model_validate(told | {"temperature": 0.9, "date": "2026-11-22"}))
        return
    told = {"weights": digest, "split": "calibration", "questions": "f" * 64, "n": 900, "correct": 300, "alpha": 0.4}
    told |= {"coverage": 0.97, "coverage_interval": (0.95, 0.99), "negatives": 500, "patients": 87, "mirages": 2}
    told |= {"threshold": threshold, "mirage_bound": 0.03, "date": "2026-11-22"}
    write_calibration(directory, Calibration.model_validate(told))
