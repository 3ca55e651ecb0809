"""The front door is aimed at replicas that listen on this machine, and at nothing else that Serve names."""

from types import SimpleNamespace
from typing import Any

import pytest

from chordae.deployments.replicas import listening
from chordae.platform.settings import Settings

HERE, ELSEWHERE = "10.0.0.1", "10.0.0.2"


def group(name: str, *targets: tuple[str, int]) -> dict[str, Any]:
    """As in `ray.serve.schema.TargetGroup`."""
    return {"app_name": name, "targets": [{"ip": ip, "port": port} for ip, port in targets]}


@pytest.fixture
def serve_says(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = []
    asking = SimpleNamespace(remote=lambda: {"target_groups": groups})
    client = SimpleNamespace(_controller=SimpleNamespace(get_serve_instance_details=asking))
    monkeypatch.setattr("ray.serve.context._get_global_client", lambda: client)
    monkeypatch.setattr("ray.get", lambda reply, timeout: reply)
    monkeypatch.setattr("ray.util.get_node_ip_address", lambda: HERE)
    return groups


def test_replicas_here_are_found_by_service(serve_says: list[dict[str, Any]], settings: Settings) -> None:
    serve_says += [group("ecg", (HERE, 30002), (HERE, 30001)), group("chordae", (HERE, 30000))]
    assert listening(settings) == {"chordae": [30000], "ecg": [30001, 30002]}


def test_replicas_on_other_nodes_and_others_applications_are_left_out(
    serve_says: list[dict[str, Any]], settings: Settings
) -> None:
    serve_says += [group("ecg", (ELSEWHERE, 30000), (HERE, 30000)), group("somebody's", (HERE, 30001))]
    assert listening(settings) == {"ecg": [30000]}


def test_serves_own_proxy_is_no_replica(serve_says: list[dict[str, Any]], settings: Settings) -> None:
    serve_says += [group("", (HERE, settings.gateway.internal_port))]
    serve_says += [group("ecg", (HERE, settings.gateway.internal_port))]  # an application without a running replica
    assert listening(settings) == {}
