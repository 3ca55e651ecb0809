"""The Serve application: gateway -> orchestrator -> experts.

`build` is what `serve deploy configs/serve-gpu.yaml` calls on a cluster and `chordae up` on a laptop; nothing in it
knows which of the two it runs on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ray.serve import Application
from ray.serve.config import BackpressureConfig

from chordae.deployments.expert import ExpertDeployment
from chordae.deployments.gateway import GatewayDeployment
from chordae.deployments.orchestrator import OrchestratorDeployment
from chordae.platform.settings import ReplicaSettings, Settings, load_settings

NAME = "chordae"


def build(args: dict[str, str]) -> Application:
    """The application for a settings file: `{"settings": "configs/gpu.yaml"}`."""
    return graph(load_settings(Path(args["settings"])))


def graph(settings: Settings) -> Application:
    """The application for these settings."""
    experts = {
        modality: ExpertDeployment.options(name=f"expert-{modality}", **serve_options(expert.replicas)).bind(
            modality, settings
        )
        for modality, expert in settings.experts.items()
    }
    orchestrator = OrchestratorDeployment.options(
        name="orchestrator", **serve_options(settings.orchestrator.replicas)
    ).bind(settings, experts)
    return GatewayDeployment.options(name="gateway", **serve_options(settings.gateway.replicas)).bind(
        settings, orchestrator, experts
    )


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
        "backpressure_config": BackpressureConfig(status_code=429, retry_after_s=5),
        "graceful_shutdown_timeout_s": replicas.drain_timeout_s,
        "ray_actor_options": {"num_cpus": replicas.num_cpus, "num_gpus": replicas.num_gpus},
    }
