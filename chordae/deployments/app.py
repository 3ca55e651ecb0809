"""The Serve applications: every expert one of its own, and gateway -> orchestrator -> experts.

An expert is an application because only an application has an address: its own port leads straight to its replicas.
`build` and `build_expert` are what `serve deploy configs/serve-gpu.yaml` calls on a cluster, `applications` what
`chordae up` runs on a laptop; nothing here knows which of the two it runs on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray.serve import Application, RunTarget
from ray.serve.config import BackpressureConfig, RequestRouterConfig
from ray.serve.handle import DeploymentHandle

from chordae.deployments.candidate import CandidateDeployment
from chordae.deployments.expert_port import ExpertDeployment
from chordae.deployments.gateway import GatewayDeployment
from chordae.deployments.orchestrator import OrchestratorDeployment
from chordae.deployments.reasoner_port import ReasonerDeployment
from chordae.deployments.study_router import StudyRouter
from chordae.platform.errors import BadSettings
from chordae.platform.settings import REASONER, ExpertSettings, ReplicaSettings, Settings, load_settings
from chordae.platform.wanted import Wanted

NAME = "chordae"
CANDIDATE = f"{REASONER}-candidate"
ONE_MORE = {"max_surge_percent": 1}
"""Who replaces replicas has one more running first: a percentage, rounded up. Serve's default ends old ones first."""


@dataclass(frozen=True)
class Anew:
    """How a model that is served is deployed once more."""

    instead: Wanted | None = None
    """What its replicas fall back on, not the settings' own checkpoint: see `beginning.py`."""
    release: str = ""
    """As which replicas are started, in Serve's word; empty: as a new one, so that all are replaced."""


def build(args: dict[str, str]) -> Application:
    """Gateway and orchestrator for a settings file: `{"settings": "configs/gpu.yaml"}`."""
    return graph(load_settings(Path(args["settings"])))


def build_expert(args: dict[str, str]) -> Application:
    """One expert for a settings file: `{"settings": "configs/gpu.yaml", "modality": "ecg"}`."""
    return expert(load_settings(Path(args["settings"])), args["modality"])


def build_reasoner(args: dict[str, str]) -> Application:
    """The reasoner for a settings file: `{"settings": "configs/gpu.yaml"}`."""
    return reasoner(load_settings(Path(args["settings"])))


def applications(settings: Settings) -> list[RunTarget]:
    """All of them, with their names and addresses."""
    models = [application(settings, model) for model in settings.models()]
    return [*models, RunTarget(graph(settings), name=NAME, route_prefix="/")]


def application(settings: Settings, model: str, anew: Anew | None = None) -> RunTarget:
    """That of one expert, or of the reasoner."""
    target = reasoner(settings, anew) if model == REASONER else expert(settings, model, anew=anew)
    return RunTarget(target, name=model, route_prefix=f"/{model}")


def names(settings: Settings) -> list[str]:
    """What the applications are called: experts by modality."""
    return [*settings.models(), NAME]


def expert(
    settings: Settings, modality: str, deployment: Any = ExpertDeployment, anew: Anew | None = None
) -> Application:
    """The application of one expert, whose replicas keep their studies; benchmarks put another deployment in it."""
    options = serve_options(settings.experts[modality].replicas)
    options["request_router_config"] = RequestRouterConfig(request_router_class=StudyRouter)
    return _bound(deployment.options(name=deployment_name(modality), **options, **ONE_MORE), anew, modality, settings)


def reasoner(settings: Settings, anew: Anew | None = None) -> Application:
    """The application of the reasoner. Raises BadSettings where the settings have none."""
    options = serve_options(_reasoner(settings).replicas)
    return _bound(ReasonerDeployment.options(name=deployment_name(REASONER), **options, **ONE_MORE), anew, settings)


def candidate(settings: Settings) -> Application:
    """The application of the reasoner's candidate: one replica, asked over its handle alone."""
    wanted = _reasoner(settings).replicas.model_copy(update={"min_replicas": 1, "max_replicas": 1})
    return CandidateDeployment.options(name=deployment_name(CANDIDATE), **serve_options(wanted)).bind(settings)


def _bound(deployment: Any, anew: Anew | None, *args: Any) -> Application:
    if anew is None:
        return deployment.bind(*args)
    if anew.release:  # Serve's own word for it, which it lets nobody set: the same word, and no replica is replaced
        deployment = deployment.options(version=anew.release, _internal=True)
    return deployment.bind(*args, anew.instead)


def graph(settings: Settings) -> Application:
    """The application of gateway and orchestrator; it finds the experts by their names, running or not yet."""
    experts = handles(settings)
    orchestrator = OrchestratorDeployment.options(
        name="orchestrator", **serve_options(settings.orchestrator.replicas)
    ).bind(settings, experts, candidate=handle(CANDIDATE))
    return GatewayDeployment.options(name="gateway", **serve_options(settings.gateway.replicas)).bind(
        settings, orchestrator, experts, handle(CANDIDATE)
    )


def handles(settings: Settings) -> dict[str, DeploymentHandle]:
    """The experts by modality, and the reasoner by that name, for those who ask them."""
    return {name: handle(name) for name in settings.models()}


def handle(model: str) -> DeploymentHandle:
    """One of them; what is called before it runs waits for it."""
    return DeploymentHandle(deployment_name(model), model)


def _reasoner(settings: Settings) -> ExpertSettings:
    if settings.reasoner is None:
        raise BadSettings("there is no reasoner in the settings", "add one under `reasoner`")
    return settings.reasoner


def deployment_name(model: str) -> str:
    """What the deployment of an expert, or of the reasoner, is called within its application."""
    return f"expert-{model}"


def serve_options(replicas: ReplicaSettings) -> dict[str, Any]:
    """Ray Serve's deployment options for the settings' scaling, limits and draining."""
    return {
        "autoscaling_config": {
            "min_replicas": replicas.min_replicas,
            "max_replicas": replicas.max_replicas,
            "target_ongoing_requests": replicas.target_ongoing_requests,
        },
        "max_ongoing_requests": replicas.max_ongoing_requests,
        "max_queued_requests": replicas.max_queued_requests,
        "backpressure_config": BackpressureConfig(status_code=503, retry_after_s=5),
        "graceful_shutdown_timeout_s": replicas.drain_timeout_s,
        "ray_actor_options": {"num_cpus": replicas.num_cpus, "num_gpus": replicas.num_gpus},
    }
