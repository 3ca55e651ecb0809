"""What is in a *.safetensors file, read without loading it: names, shapes, number formats, and whether all are finite.

Format: https://github.com/huggingface/safetensors#format - eight bytes of length, a JSON header, then the numbers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chordae.platform.errors import BadInput

CHUNK = 16 * 2**20
"""Bytes in memory at once."""
_LONGEST_HEADER = 100_000_000  # safetensors' own limit

Words = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True)
class Tensor:
    """Where a tensor lies, and what it is."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def kind(self) -> str:
        """Number format and shape, as in `F32 [256, 192]`."""
        return f"{self.dtype} {list(self.shape)}"


def read_headers(checkpoint: Path) -> dict[str, Tensor]:
    """Every tensor of a checkpoint by name, from the headers alone.

    Raises:
        BadInput: a file that is cut off or no safetensors file, or a tensor that two files hold.
    """
    found: dict[str, Tensor] = {}
    for path in sorted(checkpoint.glob("*.safetensors")):
        for name, tensor in _header(path).items():
            if name in found:
                raise BadInput(f"{name} lies in {found[name].file.name} and in {path.name}", "copy the version again")
            found[name] = tensor
    return found


def not_finite(tensor: Tensor) -> bool:
    """Whether a tensor holds NaN or an infinity; reads `CHUNK` bytes at a time."""
    tell = _BAD.get(tensor.dtype)
    if tell is None:  # integers have neither
        return False
    with tensor.file.open("rb") as file:
        file.seek(tensor.begin)
        left = tensor.end - tensor.begin
        while left:
            part = file.read(min(CHUNK, left))
            if not part:
                raise BadInput(f"{tensor.file.name} is cut off", "copy the version again")
            if tell(part):
                return True
            left -= len(part)
    return False


def _header(path: Path) -> dict[str, Tensor]:
    damaged = BadInput(f"{path.name} is no safetensors file, or is cut off", "copy the version again")
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(_LONGEST_HEADER, size - 8):
            raise damaged
        try:
            told: dict[str, dict[str, Any]] = json.loads(file.read(length))
            found = {
                name: Tensor(
                    path,
                    str(one["dtype"]),
                    tuple(int(side) for side in one["shape"]),
                    *(8 + length + int(offset) for offset in one["data_offsets"]),
                )
                for name, one in told.items()
                if name != "__metadata__"
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise damaged from error
    for tensor in found.values():
        bits = _BITS.get(tensor.dtype, 0)
        if not 8 + length <= tensor.begin <= tensor.end <= size:
            raise damaged
        if bits and math.prod(tensor.shape) * bits != 8 * (tensor.end - tensor.begin):
            raise damaged
    return found


def _floats(dtype: str) -> Callable[[bytes], bool]:
    return lambda part: not bool(np.isfinite(np.frombuffer(part, dtype)).all())


def _bits(dtype: str, mask: int, least: int) -> Callable[[bytes], bool]:
    """Formats that numpy has not: exponent (and, for E4M3, mantissa) of ones."""

    def tell(part: bytes) -> bool:
        words: Words = np.frombuffer(part, dtype)
        return bool(((words & mask) >= least).any())

    return tell


_BITS = {"F64": 64, "F32": 32, "F16": 16, "BF16": 16, "F8_E4M3": 8, "F8_E5M2": 8, "I64": 64, "I32": 32, "I16": 16}
_BITS |= {"I8": 8, "U64": 64, "U32": 32, "U16": 16, "U8": 8, "BOOL": 8}
_BAD: dict[str, Callable[[bytes], bool]] = {
    "F64": _floats("<f8"),
    "F32": _floats("<f4"),
    "F16": _floats("<f2"),
    "BF16": _bits("<u2", 0x7F80, 0x7F80),
    "F8_E4M3": _bits("u1", 0x7F, 0x7F),  # no infinity; NaN alone is all ones
    "F8_E5M2": _bits("u1", 0x7C, 0x7C),
}
