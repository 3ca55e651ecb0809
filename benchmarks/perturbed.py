"""Another version of a checkpoint, without training: what a promotion changes to in benchmarks and tests."""

import json
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from chordae.platform.weights import CALIBRATION, TEMPERATURE, identify


def copied(source: Path, target: Path) -> Path:
    """A checkpoint's files, elsewhere."""
    target.mkdir(parents=True)
    for path in source.iterdir():
        if path.is_file():
            shutil.copy(path, target / path.name)
    return target


def perturbed(source: Path, target: Path, seed: int, vision: bool = True, language: bool = True) -> Path:
    """A checkpoint with some of its weights moved by a tenth; what was fitted to them says that it was to these."""
    copied(source, target)
    rng, weights = np.random.default_rng(seed), load_file(source / "model.safetensors")
    for name, tensor in weights.items():
        if vision if "visual" in name else language:
            weights[name] = (tensor * (1 + 0.1 * rng.standard_normal(tensor.shape))).astype(tensor.dtype)
    save_file(weights, target / "model.safetensors", {"format": "pt"})
    for fitted in (target / CALIBRATION, target / TEMPERATURE):
        if fitted.is_file():
            told = json.loads(fitted.read_text()) | {"weights": identify(target).digest}
            fitted.write_text(json.dumps(told))
    return target
