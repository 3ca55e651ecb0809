"""A checkpoint's manifest: its name and version, and what it came from, by digests."""

from typing import Any

from chordae.cohort.record_cases import checksum as cases_checksum
from chordae.cohort.record_cases import read_cases
from chordae.learning import checkpoint
from chordae.learning.config import SftConfig, TrainConfig
from chordae.learning.pcrl.config import PcrlConfig
from chordae.learning.pcrl.mcq_config import McqPcrlConfig
from chordae.learning.pcrl.unlabelled import RECORDS
from chordae.learning.studies import checksum
from chordae.platform.registry.version import sha256
from chordae.platform.weights import fetch_checkpoint, identify


def manifest(config: TrainConfig, command: str, metrics: dict[str, Any]) -> dict[str, Any]:
    """Name, version and where the weights come from: data, configuration and the checkpoint before."""
    lineage: dict[str, Any] = {
        "config": config.digest(),
        "datasets": {str(path): checksum(path) for path in config.datasets}
        | {str(path): cases_checksum(read_cases(path)) for path in config.cases},
    }
    if isinstance(config, SftConfig) and config.foreign:
        lineage["foreign"] = {str(path): checksum(path) for path in config.foreign}
    if isinstance(config, PcrlConfig):
        lineage["unlabelled"] = {str(path): sha256(path / RECORDS) for path in config.unlabelled}
    if isinstance(config, McqPcrlConfig):
        lineage["unlabelled"] = {str(path): checksum(path) for path in config.unlabelled}
    for role, name in (("start", config.start), ("language", config.language)):
        if name:
            directory = fetch_checkpoint(name, None)
            lineage[role] = identify(directory).model_dump() | {
                "lineage": checkpoint.manifest_of(directory).get("lineage")
            }
    told: dict[str, Any] = {
        "name": config.name,
        "version": config.version,
        "modality": config.modality,
        "layout": "marcus",
        "stage": config.type,
        "command": command,
        "lineage": lineage,
        "metrics": metrics,
    }
    if config.size is not None:
        told["seen"] = {"size": list(config.size), "frames": config.frames}
    if config.cases:
        told["kind"] = "reasoner"
    if config.modality == "ecg":  # the size at which the platform keeps a picture for its expert
        told["picture"] = list(config.size or ())
    return told
