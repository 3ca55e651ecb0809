"""Headers of safetensors files, and numbers that are none, against the library that writes them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from chordae.platform import tensors
from chordae.platform.errors import BadInput
from chordae.platform.tensors import not_finite, read_headers

FORMATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e5m2, torch.float8_e4m3fn]


@pytest.mark.parametrize("dtype", FORMATS)
def test_largest_numbers_pass_and_what_is_none_is_found_wherever_it_lies(
    tmp_path: Path, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensors, "CHUNK", 64)
    largest = torch.finfo(dtype).max
    sound = torch.tensor([largest, -largest, 0.0, 1.0] * 50, dtype=torch.float64).to(dtype)
    bad = {"sound": sound}
    for place in (0, 77, 199):
        for name, value in {"nan": torch.nan, "inf": torch.inf, "-inf": -torch.inf}.items():
            if dtype is torch.float8_e4m3fn and name != "nan":
                continue  # it has no infinity
            changed = sound.to(torch.float64).clone()
            changed[place] = value
            bad[f"{name} {place}"] = changed.to(dtype)
    save_file(bad, tmp_path / "model.safetensors")
    for name, tensor in read_headers(tmp_path).items():
        assert not_finite(tensor) == (name != "sound"), name


def test_names_shapes_and_formats_are_those_that_were_written(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2, 3), "b": torch.zeros(4, dtype=torch.int64)}, tmp_path / "1.safetensors")
    save_file({"c": torch.zeros((), dtype=torch.bfloat16)}, tmp_path / "2.safetensors", {"format": "pt"})
    found = read_headers(tmp_path)
    assert {name: tensor.kind for name, tensor in found.items()} == {"a": "F32 [2, 3]", "b": "I64 [4]", "c": "BF16 []"}
    assert not not_finite(found["b"])


def test_a_tensor_in_two_files_is_refused(tmp_path: Path) -> None:
    for name in ("1", "2"):
        save_file({"a": torch.zeros(2)}, tmp_path / f"{name}.safetensors")
    with pytest.raises(BadInput, match=r"a lies in 1\.safetensors and in 2\.safetensors"):
        read_headers(tmp_path)


@pytest.mark.parametrize("kept", [0, 4, 8, 20, -1])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.zeros(16)}, path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(BadInput, match="cut off"):
        read_headers(tmp_path)


def test_random_bytes_never_break_the_reader(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.zeros(16), "b": torch.ones(3)}, path)
    whole, chance = path.read_bytes(), np.random.default_rng(0)
    for _ in range(300):
        content = bytearray(whole)
        for place in chance.integers(0, len(whole), 3):
            content[place] = chance.integers(256)
        path.write_bytes(content)
        try:
            for tensor in read_headers(tmp_path).values():
                not_finite(tensor)
        except BadInput:
            pass
