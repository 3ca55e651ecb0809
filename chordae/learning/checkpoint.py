"""Checkpoint directories: refused before a run starts if they do not fit, loaded, and written whole."""

import json
import shutil
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from chordae.learning import reasoner
from chordae.learning.canary_probes import write_probes
from chordae.learning.nano import SPECIAL_TOKENS, build_config, build_model, save_checkpoint
from chordae.learning.run_config import Run
from chordae.platform.errors import BadInput, BadSettings
from chordae.platform.files import write_atomically
from chordae.platform.schemas import Modality
from chordae.platform.torch_libs import mend_torchvision
from chordae.platform.weights import MANIFEST, fetch_checkpoint

mend_torchvision()  # transformers imports torchvision

from transformers import (  # noqa: E402
    AutoTokenizer,
    PreTrainedTokenizerFast,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2ForCausalLM,
)

MODELS = {"qwen2_5_vl": Qwen2_5_VLForConditionalGeneration, reasoner.ARCHITECTURE: Qwen2ForCausalLM}
ARCHITECTURE = "qwen2_5_vl"
AGAIN = "copy or make the checkpoint again"
SPLIT = "LV EF 57.6 % is normal (high). [1] No wall motion abnormality;\n\nI'm 60 years."
"""Words, digits and marks next to each other: ways of splitting text differ here."""


def verify(
    name: str,
    modality: Modality | None = None,
    size: tuple[int, int] | None = None,
    frames: int = 1,
    architecture: str = ARCHITECTURE,
) -> Path:
    """The directory of a checkpoint that a run may begin from; nothing is loaded but headers and the tokenizer.

    Raises:
        BadInput: files are missing or cut off, another architecture, another modality, or a tokenizer that lacks the
            special tokens or does not fit the embeddings.
    """
    directory = fetch_checkpoint(name, None)
    config = _json(directory / "config.json")
    if config.get("model_type") != architecture:
        raise BadInput(f"{directory} is a {config.get('model_type')}, not a {architecture}", "name another checkpoint")
    tensors = _tensors(directory)
    embeddings = next((shape for key, shape in tensors.items() if key.endswith("embed_tokens.weight")), None)
    if embeddings is None:
        raise BadInput(f"{directory} has no embeddings", AGAIN)
    tokenizer = load_tokenizer(directory)
    ids = tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS))
    lacking = [
        token for token, number in zip(SPECIAL_TOKENS, ids, strict=True) if tokenizer.decode([number or 0]) != token
    ]
    if lacking:
        raise BadInput(f"the tokenizer of {directory} lacks {', '.join(lacking)}", "use the checkpoint's own tokenizer")
    if len(tokenizer) > embeddings[0]:
        raise BadInput(
            f"the tokenizer of {directory} has {len(tokenizer)} entries, its embeddings {embeddings[0]}",
            "use the checkpoint's own tokenizer",
        )
    told = {name: config.get(name) for name in ("image_token_id", "video_token_id")}
    meant = {name: tokenizer.convert_tokens_to_ids(f"<|{name.split('_')[0]}_pad|>") for name in told}
    if told != meant and architecture == ARCHITECTURE:
        raise BadInput(f"config.json and the tokenizer of {directory} number vision tokens differently", AGAIN)
    _fits(directory, modality, size, frames)
    return directory


def _fits(directory: Path, modality: Modality | None, size: tuple[int, int] | None, frames: int) -> None:
    manifest = manifest_of(directory)
    theirs = manifest.get("modality")
    if modality and theirs and theirs != modality:
        raise BadInput(f"{directory} is for {theirs}, the configuration for {modality}", "name another checkpoint")
    seen = manifest.get("seen")
    if size and seen and theirs and (tuple(seen["size"]) != size or seen["frames"] != frames):
        raise BadInput(
            f"{directory} sees {seen['frames']} x {seen['size']}, the configuration {frames} x {list(size)}",
            "use the same size and frames in every stage",
        )


def manifest_of(directory: Path) -> dict[str, Any]:
    """What a checkpoint says about itself; nothing where it is foreign."""
    return _json(directory / MANIFEST) if (directory / MANIFEST).is_file() else {}


def trained_on(directory: Path) -> set[str]:
    """Names of the datasets that a checkpoint and those it began from were trained on, by their manifests' lineage.

    Also of those whose media it was only shown as what it cannot read.
    """
    found: set[str] = set()
    lineages = [manifest_of(directory).get("lineage")]
    while lineages:
        lineage = lineages.pop() or {}
        found |= {Path(name).name for role in ("datasets", "foreign") for name in lineage.get(role, {})}
        lineages += [lineage[role].get("lineage") for role in ("start", "language") if role in lineage]
    return found


def load_tokenizer(directory: Path) -> PreTrainedTokenizerFast:
    """The checkpoint's tokenizer.

    Raises:
        BadInput: there is none, it cannot be read, or transformers would split text otherwise than its file says.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(directory)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{directory} has no readable tokenizer", AGAIN) from error
    file = directory / "tokenizer.json"
    if file.is_file() and tokenizer(SPLIT, add_special_tokens=False)["input_ids"] != _by_file(file):
        problem = f"transformers does not split text as {file} says"
        raise BadInput(problem, "save the tokenizer anew with this version (learning/reasoner.py, save_checkpoint)")
    return tokenizer


def _by_file(file: Path) -> list[int]:
    ids: list[int] = Tokenizer.from_file(str(file)).encode(SPLIT, add_special_tokens=False).ids
    return ids


def load_model(directory: Path) -> Any:
    """The checkpoint's model, float32 (a large one as it is stored).

    Raises:
        BadInput: a weight is missing, surplus, or of another shape.
    """
    dtype = torch.float32 if _small(directory) else "auto"
    kind = MODELS[_json(directory / "config.json")["model_type"]]
    model, notes = kind.from_pretrained(directory, dtype=dtype, output_loading_info=True, ignore_mismatched_sizes=True)
    wrong = [*notes["missing_keys"], *notes["unexpected_keys"], *(entry[0] for entry in notes["mismatched_keys"])]
    if wrong:
        raise BadInput(f"the weights of {directory} do not fit its config.json: {sorted(wrong)[0]}", AGAIN)
    return model


def _small(directory: Path) -> bool:
    return sum(path.stat().st_size for path in directory.glob("*.safetensors")) < 2**30


def begin(config: Run, tokenizer: PreTrainedTokenizerFast | None = None) -> tuple[Any, PreTrainedTokenizerFast]:
    """Model and tokenizer that a verified run starts with: `start`'s, or a new nano, perhaps with a given language.

    Args:
        tokenizer: of a new nano without `language`.
    """
    if config.start:
        directory = fetch_checkpoint(config.start, None)
        return load_model(directory), load_tokenizer(directory)
    torch.manual_seed(config.seed)
    if not config.language:
        if tokenizer is None:
            raise BadSettings("a new model needs a tokenizer", "name `language` or `start`")
        if config.cases:
            return reasoner.build_model(tokenizer, config.shape), tokenizer
        return build_model(tokenizer, config.shape), tokenizer
    directory = fetch_checkpoint(config.language, None)
    tokenizer = load_tokenizer(directory)
    wanted, found = build_config(tokenizer, config.shape).text_config, _json(directory / "config.json")["text_config"]
    for key in ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size"):
        if found.get(key) != getattr(wanted, key):
            raise BadSettings(
                f"{directory} has {key} {found.get(key)}, the configuration {getattr(wanted, key)}",
                "give `shape` the sizes of the language model",
            )
    model, spoken = build_model(tokenizer, config.shape), load_model(directory)
    model.model.language_model.load_state_dict(spoken.model.language_model.state_dict())
    model.lm_head.load_state_dict(spoken.lm_head.state_dict())
    return model, tokenizer


def write(model: Any, tokenizer: Any, config: Run, output: Path, manifest: Mapping[str, Any]) -> None:
    """The whole directory at once, so that no reader ever sees half of it; a model card that was there stays."""
    staged = output.with_name(f".{output.name}.staged")
    shutil.rmtree(staged, ignore_errors=True)
    if config.cases:
        reasoner.save_checkpoint(model, tokenizer, staged)
    else:
        save_checkpoint(model, tokenizer, staged, config.modality or "ecg", config.size or (336, 224), config.frames)
    write_atomically(staged / MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode())
    (staged / MANIFEST).chmod(0o644)
    write_probes(model, tokenizer, manifest, staged)
    if (output / "README.md").is_file():
        shutil.copy(output / "README.md", staged / "README.md")
    if output.exists():
        output.rename(previous(output))
    staged.rename(output)
    shutil.rmtree(previous(output), ignore_errors=True)


def add_probes(directory: Path) -> int:
    """Compute the canary probes of a checkpoint that has none, or others; returns how many. Weights as `load_model`."""
    return write_probes(load_model(directory).eval(), load_tokenizer(directory), manifest_of(directory), directory)


def previous(output: Path) -> Path:
    """Where `write` moves the old checkpoint for a moment."""
    return output.with_name(f".{output.name}.previous")


def recover(output: Path) -> None:
    """What `write` left if it was killed: the checkpoint that it had moved aside goes back, or is not needed."""
    if previous(output).is_dir():
        if output.exists():
            shutil.rmtree(previous(output))
        else:
            previous(output).rename(output)


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} is missing or damaged", AGAIN) from error
    if not isinstance(content, dict):
        raise BadInput(f"{path} is no JSON object", AGAIN)
    return content


def _tensors(directory: Path) -> dict[str, tuple[int, ...]]:
    """Shapes by name, from the headers (https://github.com/huggingface/safetensors#format); lengths are checked."""
    index = directory / "model.safetensors.index.json"
    names = set(_json(index)["weight_map"].values()) if index.is_file() else {p.name for p in _weights(directory)}
    if not names:
        raise BadInput(f"{directory} has no weights (*.safetensors)", AGAIN)
    shapes: dict[str, tuple[int, ...]] = {}
    for name in sorted(names):
        shapes |= _header(directory / name)
    return shapes


def _weights(directory: Path) -> list[Path]:
    return list(directory.glob("*.safetensors"))


def _header(path: Path) -> dict[str, tuple[int, ...]]:
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > 100_000_000:
                raise ValueError("header too long")
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        end = 8 + length + max(entry["data_offsets"][1] for entry in header.values())
        if path.stat().st_size != end:
            raise ValueError("cut off")
        return {name: tuple(entry["shape"]) for name, entry in header.items()}
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        raise BadInput(f"{path} is missing, cut off or damaged", AGAIN) from error
