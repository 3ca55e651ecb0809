"""Whether the weights of one checkpoint fit where another's are: they can then be loaded over them, in place.

What an engine reads once, when it starts, must be the same: configuration, tokenizer, processors, and every tensor's
name, shape and number format. Numbers may differ. Where anything else does, only a new engine can take them.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from chordae.platform.errors import BadInput
from chordae.platform.tensors import read_headers
from chordae.platform.weights import CALIBRATION, CANARIES, MANIFEST, TEMPERATURE, VERSION, read_manifest

CONFIG = "config.json"
_OF_THE_WEIGHTS = {CONFIG, MANIFEST, CALIBRATION, TEMPERATURE, CANARIES, VERSION, "README.md"}
_OF_THE_WEIGHTS |= {"model.safetensors.index.json"}
_JSON_OF_A_MODEL = {"generation_config.json"}
# Say who wrote the file and how it is trained, not what the model computes.
_NOT_THE_MODEL = {"transformers_version", "_name_or_path", "use_cache"}


def difference(new: Path, served: Path) -> str:
    """What keeps a new checkpoint's weights from being loaded over those that are served; empty: nothing does.

    Raises:
        BadInput, BadSettings: a file that is not what its name says.
        OSError: a file that cannot be read.
    """
    if _described(new / CONFIG) != _described(served / CONFIG):
        return f"another {CONFIG}"
    if read_manifest(new).picture != read_manifest(served).picture:
        return "pictures of another size"
    theirs, mine = _beside(new), _beside(served)
    for name in sorted({*mine, *theirs}):
        if mine.get(name) != theirs.get(name):
            return f"another {name}"
    tensors, expected = read_headers(new), read_headers(served)
    for name in sorted({*tensors, *expected}):
        if name not in tensors:
            return f"the tensor {name} is missing"
        if name not in expected:
            return f"the tensor {name} is one too many"
        if tensors[name].kind != expected[name].kind:
            return f"the tensor {name} is {tensors[name].kind}, not {expected[name].kind}"
    return ""


def _beside(checkpoint: Path) -> dict[str, Any]:
    """Tokenizer, chat template, processors."""
    found: dict[str, Any] = {}
    for path in checkpoint.iterdir():
        if path.is_file() and path.name not in _OF_THE_WEIGHTS and path.suffix != ".safetensors":
            loosely = path.name in _JSON_OF_A_MODEL
            found[path.name] = _described(path) if loosely else hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _described(path: Path) -> Any:
    if not path.is_file():
        return None
    try:
        return _without(json.loads(path.read_bytes()))
    except ValueError as error:
        raise BadInput(f"{path.name} is no JSON", "copy the version again") from error


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without(one) for key, one in value.items() if key not in _NOT_THE_MODEL}
    return value
