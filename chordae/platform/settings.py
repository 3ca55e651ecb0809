"""Every knob of the platform, in one tree.

Values come, strongest first, from the environment (`CHORDAE_ORCHESTRATOR__THRESHOLD=0.7`: a double underscore goes one
level down), from one YAML file, and from the defaults written here. Unknown keys are refused. `chordae config` prints
each knob with its meaning, default and current value.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    YamlConfigSettingsSource,
)

from chordae.platform.errors import BadSettings
from chordae.platform.learning_settings import LearningSettings
from chordae.platform.schemas import KIND_OF, Modality

REASONER = "reasoner"
"""What the reasoner is called where experts are called by their modality: application, path, service."""
MiB = 1024**2
GiB = 1024**3


class Knobs(BaseModel):
    """A branch of the tree: frozen, and strict about names."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ClusterSettings(Knobs):
    address: str | None = Field(None, description="Ray cluster to join ('auto' on a cluster's node); none: start one")
    num_cpus: int | None = Field(None, ge=1, description="Cores that a cluster started here offers; none: all")
    object_store_bytes: int = Field(256 * MiB, ge=80 * MiB, description="Ray object store of a cluster started here")
    min_free_memory_bytes: int = Field(
        5 * GiB, ge=0, description="Refuse to start with less memory available than this"
    )


class EngineSettings(Knobs):
    """What vLLM is given. The CPU build needs eager mode, float32 and a fixed KV cache: configs/laptop.yaml."""

    dtype: Literal["float32", "bfloat16", "float16", "auto"] = Field("auto", description="Number format of the weights")
    enforce_eager: bool = Field(False, description="No graph capture or compilation; the CPU build needs true")
    max_model_len: int = Field(8192, ge=256, description="Longest prompt + answer, tokens")
    max_num_seqs: int = Field(64, ge=1, description="Sequences decoded together")
    max_num_batched_tokens: int | None = Field(None, description="Tokens in one engine step; none: vLLM's choice")
    block_size: int | None = Field(None, description="KV-cache block, tokens; only whole blocks are shared by probes")
    kv_cache_bytes: int | None = Field(None, description="KV cache; none: what gpu_memory_utilization leaves")
    gpu_memory_utilization: float = Field(0.9, gt=0, le=1, description="Share of the GPU's memory the engine takes")
    processor_cache_gib: float = Field(4, ge=0, description="Cache of preprocessed pictures, GiB")


class ReplicaSettings(Knobs):
    """How many copies of a deployment run, and when they refuse work."""

    min_replicas: int = Field(1, ge=1, description="Never fewer than this")
    max_replicas: int = Field(1, ge=1, description="Never more than this")
    target_ongoing_requests: float = Field(16, gt=0, description="Autoscaler aims at this many requests a replica")
    max_ongoing_requests: int = Field(64, ge=1, description="A replica works on at most this many")
    max_queued_requests: int = Field(
        256, ge=-1, description="More waiting than this are refused with 503; -1: no limit"
    )
    num_cpus: float = Field(1, ge=0, description="Cores Ray reserves for a replica")
    num_gpus: float = Field(0, ge=0, description="GPUs Ray reserves for a replica")
    drain_timeout_s: float = Field(120, gt=0, description="A stopping replica may take this long to finish its answers")

    @model_validator(mode="after")
    def _ordered(self) -> ReplicaSettings:
        if self.max_replicas < self.min_replicas:
            raise ValueError("max_replicas is below min_replicas")
        if self.max_queued_requests == 0:
            raise ValueError("max_queued_requests of 0 refuses every request; -1 sets no limit")
        return self


class ApiReplicaSettings(ReplicaSettings):
    """The same for what mostly waits for experts: it reserves no core."""

    num_cpus: float = Field(0, ge=0, description="Cores Ray reserves for a replica")


class ExpertSettings(Knobs):
    model: str = Field(description="Model directory, or hf://owner/name for a Hugging Face repository")
    revision: str | None = Field(None, description="Commit of that repository; pin it in production")
    port: int = Field(ge=1, le=65535, description="Outer port of this expert's OpenAI-compatible API")
    web_port: int | None = Field(None, ge=1, le=65535, description="Outer port of this expert's web API; none: closed")
    max_answer_tokens: int = Field(512, ge=1, description="Longest answer, tokens")
    engine: EngineSettings = Field(default_factory=lambda: EngineSettings(), description="What vLLM is given")
    replicas: ReplicaSettings = Field(default_factory=lambda: ReplicaSettings(), description="Scaling and limits")


class OrchestratorSettings(Knobs):
    alpha: float = Field(0.5, ge=0, le=1, description="Weight of rephrase agreement; the rest weighs the image delta")
    threshold: float = Field(
        0.6,
        ge=0,
        le=1,
        description="Confidence below this gets the disclaimer. Above alpha, or a perfectly consistent mirage passes",
    )
    language: Modality | None = Field(
        None, description="Expert that splits and rewords questions; none: rules and a bank of wordings do"
    )
    language_timeout_s: float = Field(5, gt=0, description="After this the rules or the bank take over")
    expert_timeout_s: float = Field(60, gt=0, description="An expert that has not answered by then is unavailable")
    probe_timeout_s: float = Field(
        60, gt=0, description="An answer not probed by then, after it came, is told unprobed"
    )
    replicas: ApiReplicaSettings = Field(default_factory=lambda: ApiReplicaSettings(), description="Scaling and limits")


class GatewaySettings(Knobs):
    host: str = Field("127.0.0.1", description="Address the outer ports listen on; 0.0.0.0 on a cluster, behind TLS")
    port: int = Field(8080, ge=1, le=65535, description="Outer port of the orchestrator and of all models")
    internal_port: int = Field(8100, ge=1, le=65535, description="Ray Serve's own HTTP proxy; not for clients")
    tls_certificate: Path | None = Field(None, description="PEM with certificate and key; none: plain HTTP")
    max_upload_bytes: int = Field(64 * MiB, ge=1, description="Largest request body")
    max_video_frames: int = Field(1800, ge=2, description="Longest video that is uploaded as one, frames")
    upload_expires_h: float = Field(
        24, gt=0, description="Uploaded media that no stored answer rests on go after so many hours; ingested ones stay"
    )
    uploads_per_minute: int = Field(600, ge=1, description="More from one address are refused with 429")
    upload_bytes_per_minute: int = Field(4 * GiB, ge=1, description="The same in bytes")
    max_question_characters: int = Field(4000, ge=1, description="Longest question")
    request_timeout_s: float = Field(300, gt=0, description="A request that takes longer is cut off")
    max_connections: int = Field(1000, ge=1, description="Clients connected at once")
    replicas: ApiReplicaSettings = Field(default_factory=lambda: ApiReplicaSettings(), description="Scaling and limits")


class LedgerSettings(Knobs):
    url: SecretStr | None = Field(
        None, description="postgresql://user:password@host/database; none: an SQLite file in data_dir, for one machine"
    )


class IngestSettings(Knobs):
    """How `chordae ingest` works. Whatever these say, a study is taken in once."""

    workers: int | None = Field(None, ge=1, description="Studies prepared at once, one core each; none: all cores")
    batch_studies: int = Field(2048, ge=1, description="Studies claimed and put through one Ray Dataset at a time")
    quiet_s: float = Field(30, gt=0, description="With --watch: a study is complete when unchanged for so long")
    study_timeout_s: float = Field(900, gt=0, description="A study that takes longer counts as one that crashed")
    lease_s: float = Field(60, gt=0, description="What a killed run had claimed is free again after this")


class SwapSettings(Knobs):
    """How a replica changes its weights while it serves."""

    poll_s: float = Field(5, gt=0, description="A replica looks so often which version is wanted")
    drain_s: float = Field(
        30, gt=0, description="Answers that last longer put a change of weights off; new ones wait meanwhile"
    )
    lease_s: float = Field(
        300, gt=0, description="A replica that died while changing its weights holds up others so long"
    )
    tolerance: float | None = Field(
        None,
        gt=0,
        description="Nats that a canary may differ from the trainer's logprobs; none: 0.001 in float32, else 0.05",
    )


class Settings(BaseSettings):
    """The whole tree."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix="CHORDAE_",
        env_nested_delimiter="__",
        nested_model_default_partial_update=True,
    )

    data_dir: Path = Field(
        Path("var"), description="Media, logs and run state; on a cluster a file system that every node mounts"
    )
    cluster: ClusterSettings = Field(default_factory=lambda: ClusterSettings(), description="The Ray cluster")
    experts: dict[str, ExpertSettings] = Field(default_factory=dict, description="By modality: ecg, echo, cmr")
    reasoner: ExpertSettings | None = Field(
        None, description="Diagnoses CMR records; the same knobs; none: nobody does"
    )
    orchestrator: OrchestratorSettings = Field(default_factory=lambda: OrchestratorSettings(), description="Probing")
    gateway: GatewaySettings = Field(default_factory=lambda: GatewaySettings(), description="The API")
    ledger: LedgerSettings = Field(default_factory=lambda: LedgerSettings(), description="What happened to every study")
    ingest: IngestSettings = Field(default_factory=lambda: IngestSettings(), description="Taking studies in")
    swap: SwapSettings = Field(default_factory=lambda: SwapSettings(), description="New weights while serving")
    learning: LearningSettings = Field(default_factory=lambda: LearningSettings(), description="Learning while serving")

    @model_validator(mode="after")
    def _ports_differ(self) -> Settings:
        if self.reasoner is not None and self.reasoner.web_port is not None:
            raise ValueError("reasoner.web_port: that API is for recordings, and the reasoner reads records")
        ports = self.outer_ports() | {"internal": self.gateway.internal_port}
        ports |= {f"{modality} web API": port for modality, port in self.web_ports().items()}
        if len(set(ports.values())) < len(ports):
            raise ValueError(f"two services share a port: {ports}")
        unknown = set(self.experts) - set(KIND_OF)
        if unknown:
            raise ValueError(f"no expert for modality {sorted(unknown)}; there are: {', '.join(KIND_OF)}")
        if self.orchestrator.language is not None and self.orchestrator.language not in self.experts:
            raise ValueError(f"orchestrator.language: there is no {self.orchestrator.language} expert")
        return self

    def outer_ports(self) -> dict[str, int]:
        """Port by service: `chordae` is the orchestrator, the others are `models`."""
        return {"chordae": self.gateway.port} | {name: model.port for name, model in self.models().items()}

    def models(self) -> dict[str, ExpertSettings]:
        """Everything that has an engine: experts by modality, and the reasoner, if there is one."""
        return self.experts | ({} if self.reasoner is None else {REASONER: self.reasoner})

    def web_ports(self) -> dict[str, int]:
        """Port of the web API by modality, of those experts that have one."""
        return {name: expert.web_port for name, expert in self.experts.items() if expert.web_port is not None}

    @property
    def media_dir(self) -> Path:
        """Where the media store lies."""
        return self.data_dir / "media"

    @property
    def sites_dir(self) -> Path:
        """Where the sites' keys lie."""
        return self.data_dir / "sites"

    @property
    def ledger_url(self) -> str:
        """Where the ledger is. May hold a password: for `Ledger`, never to be shown."""
        url = self.ledger.url
        return url.get_secret_value() if url else f"sqlite:///{self.data_dir.resolve() / 'ledger.sqlite3'}"

    def digest(self) -> str:
        """SHA-256 over every current value: two answers with the same digest ran under the same settings."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings


def load_settings(path: Path | None = None) -> Settings:
    """Settings from a YAML file, or the defaults alone, and the environment. Relative paths are the caller's.

    Raises:
        BadSettings: unreadable file, unknown key or value out of range; names the key.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = YamlConfigSettingsSource(Settings, yaml_file=path)() if path.is_file() else _missing(path)
        except (yaml.YAMLError, ValueError, TypeError) as error:
            raise BadSettings(f"{path} is not a YAML mapping", str(error).replace("\n", " ")) from error
    strays = [name for name in os.environ if name.startswith("CHORDAE_") and not _known_override(name)]
    if strays:
        raise BadSettings(f"no such setting: {', '.join(sorted(strays))}", "`chordae config` lists every knob")
    try:
        return Settings(**values)
    except SettingsError as error:  # an override of a whole branch that is not JSON
        raise BadSettings(str(error), "override single knobs: CHORDAE_GATEWAY__PORT=8080") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "settings"
        raise BadSettings(f"{key}: {first['msg']}", "`chordae config` lists every knob and its meaning") from error


def _missing(path: Path) -> dict[str, Any]:
    raise BadSettings(f"no settings file {path}", "name one with --config, for example configs/laptop.yaml")


# Read elsewhere, not knobs of the platform: where tests find recordings, which file the command line loads.
_NOT_KNOBS = {"CHORDAE_DATA", "CHORDAE_CONFIG"}


def _known_override(name: str) -> bool:
    return name in _NOT_KNOBS or name.removeprefix("CHORDAE_").split("__")[0].lower() in Settings.model_fields


def knobs(settings: Settings) -> Iterator[tuple[str, str, str, Any]]:
    """Every knob as (dotted name, meaning, default, current value)."""
    yield from _walk("", settings)


def _walk(prefix: str, branch: BaseModel) -> Iterator[tuple[str, str, str, Any]]:
    for name, field in type(branch).model_fields.items():
        value, dotted = getattr(branch, name), f"{prefix}{name}"
        if isinstance(value, BaseModel):
            yield from _walk(f"{dotted}.", value)
        elif isinstance(value, dict):
            for key, child in value.items():
                yield from _walk(f"{dotted}.{key}.", child)
        else:
            default = "required" if field.is_required() else str(field.get_default(call_default_factory=True))
            yield dotted, field.description or "", default, value
