"""A version is looked through before it is loaded; what is wrong with it is said by name."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from versions import canary_of, checkpoint_of, register, version_of

from chordae.deployments.loaded import Loaded, look_at
from chordae.deployments.staging import stage
from chordae.platform.errors import AnotherArchitecture, VersionRefused, VersionUnreadable
from chordae.platform.wanted import Wanted


@pytest.fixture
def served(tmp_path: Path) -> Loaded:
    return look_at(checkpoint_of(tmp_path / "served", 0))


def again(wanted: Wanted) -> Wanted:
    """Registered as it lies there now."""
    return register(wanted.directory, wanted.model, wanted.version, [canary_of(1)])


def test_a_sound_version_passes_and_goes_by_the_registrys_name(tmp_path: Path, served: Loaded) -> None:
    wanted = version_of(tmp_path, 1)
    new = stage(wanted, served)
    assert (new.weights.version, new.weights.digest, new.directory) == ("1", wanted.digest, wanted.directory)
    assert new.canaries is not None


def test_where_what_is_served_is_gone_that_is_what_is_said(tmp_path: Path, served: Loaded) -> None:
    shutil.rmtree(served.directory)
    with pytest.raises(VersionUnreadable, match=r"what is served, version .* are gone"):
        stage(version_of(tmp_path, 1), served)


def _flip(directory: Path) -> None:
    content = bytearray((directory / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (directory / "model.safetensors").write_bytes(content)


def _another(directory: Path) -> None:
    save_file({"x": np.zeros(2, np.float32)}, directory / "more.safetensors")


def _outside(directory: Path) -> None:
    (directory / "version.json").write_text(json.dumps({"files": {"../served/config.json": "0" * 64}}))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_flip, "damaged model.safetensors"),
        (lambda d: (d / "tokenizer.json").unlink(), "lacks tokenizer.json"),
        (lambda d: (d / "version.json").unlink(), "no version.json"),
        (lambda d: (d / "version.json").write_text("{"), "damaged version.json"),
        (lambda d: (d / "version.json").write_text("{}"), "damaged version.json"),
        (_outside, "outside"),
        (_another, "more.safetensors"),
        (lambda d: (d / "canaries.json").unlink(), "no canary probes"),
        (lambda d: (d / "canaries.json").write_text("{"), "no canary probes"),
        (lambda d: (d / "new.txt").write_text("x"), "not what was promoted"),
    ],
)
def test_what_was_damaged_after_it_was_registered_is_refused(
    tmp_path: Path, served: Loaded, damage: Callable[[Path], object], words: str
) -> None:
    wanted = version_of(tmp_path, 1)
    damage(wanted.directory)
    with pytest.raises(VersionRefused, match=words):
        stage(wanted, served)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_none_is_refused_whatever_its_digest(tmp_path: Path, served: Loaded, bad: float) -> None:
    wanted = version_of(tmp_path, 1)
    weights = load_file(wanted.directory / "model.safetensors")
    weights["w"][-1] = bad
    save_file(weights, wanted.directory / "model.safetensors")
    with pytest.raises(VersionRefused, match="w holds NaN or infinity"):
        stage(again(wanted), served)


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({}, "tensor w is missing"),
        ({"w": np.zeros(7, np.float32)}, r"F32 \[7\], not F32 \[6\]"),
        ({"w": np.zeros(6, np.float16)}, r"F16 \[6\], not F32 \[6\]"),
        ({"w": np.zeros(6, np.float32), "x": np.zeros(1, np.float32)}, "x is one too many"),
    ],
)
def test_other_tensors_are_another_architecture(
    tmp_path: Path, served: Loaded, tensors: dict[str, np.ndarray], words: str
) -> None:
    wanted = version_of(tmp_path, 1)
    save_file(tensors, wanted.directory / "model.safetensors")
    with pytest.raises(AnotherArchitecture, match=words) as raised:
        stage(again(wanted), served)
    assert "rolling replacement" in str(raised.value)


def test_another_configuration_or_tokenizer_goes_through_a_rolling_replacement(tmp_path: Path, served: Loaded) -> None:
    wanted = version_of(tmp_path, 1)
    (wanted.directory / "config.json").write_text(json.dumps({"model_type": "fake", "hidden_size": 4}))
    with pytest.raises(AnotherArchitecture, match=r"config\.json"):
        stage(again(wanted), served)
    other = version_of(tmp_path, 2)
    (other.directory / "tokenizer.json").write_text('{"more": 1}')
    with pytest.raises(AnotherArchitecture, match=r"another tokenizer\.json"):
        stage(register(other.directory, "ecg-fake", "2", [canary_of(2)]), served)


def test_another_models_weights_are_refused(tmp_path: Path, served: Loaded) -> None:
    wanted = version_of(tmp_path, 1, "echo-fake")
    with pytest.raises(VersionRefused, match="name echo-fake, what is served ecg-fake"):
        stage(wanted, served)


def test_a_file_that_is_no_safetensors_is_refused(tmp_path: Path, served: Loaded) -> None:
    wanted = version_of(tmp_path, 1)
    (wanted.directory / "model.safetensors").write_bytes(b"x" * 4)
    with pytest.raises(VersionRefused, match="no safetensors file"):
        stage(again(wanted), served)
