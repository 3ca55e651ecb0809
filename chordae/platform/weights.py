"""Which weights are these? Names a checkpoint by what is in it, not by where it lies."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from chordae.platform.errors import BadSettings
from chordae.platform.schemas import Modality, WeightsVersion

MANIFEST = "manifest.json"
CALIBRATION = "calibration.json"
TEMPERATURE = "temperature.json"
CANARIES = "canaries.json"
VERSION = "version.json"
VIDEO_PROCESSOR = "video_preprocessor_config.json"
HUB = "hf://"
_ABOUT_THE_WEIGHTS = {"README.md", MANIFEST, CALIBRATION, TEMPERATURE, CANARIES, VERSION}


class Manifest(BaseModel):
    """What a checkpoint of this project says about itself; foreign checkpoints have none."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    version: str
    modality: Modality | None = None
    kind: Literal["reasoner"] | None = None  # none: a vision-language expert
    layout: Literal["marcus"] = "marcus"
    picture: tuple[int, int] | None = None  # width, height in px that the model sees; none: the media as it is


def fetch_checkpoint(model: str, revision: str | None) -> Path:
    """The directory of a model: a path, or `hf://owner/name`, which is downloaded once to the node's cache.

    Raises:
        BadSettings: no such directory, and not a repository that can be reached.
    """
    if (path := Path(model)).is_dir():
        return path.resolve()
    if not model.startswith(HUB):
        raise BadSettings(f"no model directory {model}", "set experts.<modality>.model to one, or to hf://owner/name")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model.removeprefix(HUB), revision=revision))
    except (OSError, ValueError) as error:
        raise BadSettings(
            f"cannot fetch {model}", "check the name, the revision and the network; or give a path"
        ) from error


def read_manifest(checkpoint: Path) -> Manifest:
    """The checkpoint's manifest, or one made from where it lies if it has none.

    Raises:
        BadSettings: no such directory, no weights in it, or a manifest that cannot be read.
    """
    if not any(checkpoint.glob("*.safetensors")):
        raise BadSettings(f"no weights (*.safetensors) in {checkpoint}", "set experts.<modality>.model to a checkpoint")
    path = checkpoint / MANIFEST
    if not path.is_file():
        return _unwritten_manifest(checkpoint)
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "JSON"
        raise BadSettings(f"{path} is no manifest ({key}: {first['msg']})", "copy the checkpoint again") from error


def video_frames(checkpoint: Path) -> int | None:
    """How many frames of a video the model looks at: `num_frames` of its own video processor.

    None: it does not say, and vLLM samples as the model's family does.

    Raises:
        BadSettings: a configuration that cannot be read, or one that would sample the frames a second time.
    """
    path = checkpoint / VIDEO_PROCESSOR
    if not path.is_file():
        return None
    try:
        config = json.loads(path.read_bytes())
        frames = config.get("num_frames")
    except (ValueError, AttributeError) as error:
        raise BadSettings(f"{path} is no JSON object", "copy the checkpoint again") from error
    if frames is None:
        return None
    if type(frames) is not int or frames < 1 or config.get("do_sample_frames"):
        raise BadSettings(
            f"{path} cannot be served", "num_frames must be a whole number above 0, and do_sample_frames false"
        )
    return frames


def _unwritten_manifest(checkpoint: Path) -> Manifest:
    """A foreign checkpoint's; the Hub's cache has name and commit in `models--<owner>--<name>/snapshots/<commit>`."""
    if checkpoint.parent.name == "snapshots":
        return Manifest(name=checkpoint.parent.parent.name.split("--")[-1], version=checkpoint.name)
    return Manifest(name=checkpoint.name, version="unversioned")


def identify(checkpoint: Path) -> WeightsVersion:
    """Name, version and digest.

    The digest is SHA-256 over how the model wants its pictures and the sorted (name, SHA-256) of every file but
    hidden ones, the model card, the manifest, whose other facts change no answer, and what is fitted to the digest or
    says more of it: calibration, temperature, canary probes, the registry's `version.json`.
    """
    manifest = read_manifest(checkpoint)
    whole = hashlib.sha256(f"{manifest.layout} {manifest.picture}\n".encode())
    for path in sorted(checkpoint.iterdir()):
        if path.is_file() and path.name not in _ABOUT_THE_WEIGHTS and not path.name.startswith("."):
            with path.open("rb") as file:
                whole.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return WeightsVersion(name=manifest.name, version=manifest.version, digest=whole.hexdigest())
