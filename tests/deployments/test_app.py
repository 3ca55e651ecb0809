"""What Serve is told about each deployment is what the settings say."""

from typing import Any

import pytest

from chordae.deployments.app import serve_options
from chordae.deployments.expert_port import ExpertDeployment
from chordae.deployments.gateway import GatewayDeployment
from chordae.deployments.orchestrator import OrchestratorDeployment
from chordae.platform.settings import ReplicaSettings

REPLICAS = ReplicaSettings(
    min_replicas=2,
    max_replicas=5,
    target_ongoing_requests=3,
    max_ongoing_requests=7,
    max_queued_requests=11,
    num_cpus=1.5,
    num_gpus=1,
    drain_timeout_s=77,
)


@pytest.mark.parametrize("deployment", [ExpertDeployment, OrchestratorDeployment, GatewayDeployment])
def test_serve_accepts_scaling_limits_and_draining_as_the_settings_have_them(deployment: Any) -> None:
    told = deployment.options(name="x", **serve_options(REPLICAS))
    scaling = told._deployment_config.autoscaling_config
    assert (scaling.min_replicas, scaling.max_replicas, scaling.target_ongoing_requests) == (2, 5, 3)
    assert (told.max_ongoing_requests, told.max_queued_requests) == (7, 11)
    assert told._deployment_config.graceful_shutdown_timeout_s == 77
    assert told.ray_actor_options == {"num_cpus": 1.5, "num_gpus": 1}
