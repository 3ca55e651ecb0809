"""Where the replicas on this machine listen for themselves.

Serve's "direct ingress" gives every replica that has an address an HTTP port of its own, made for load balancers that
stand in front: ours is HAProxy. On a cluster without it there are none, and Serve's proxy answers.
"""

from __future__ import annotations

from typing import Any

from chordae.platform.settings import Settings

ANSWER_S = 5.0  # the controller answers in milliseconds, unless it is being replaced


def listening(settings: Settings) -> dict[str, list[int]]:
    """Ports by service (`chordae`, or a modality) of running replicas on this node, in order.

    Raises:
        ray.exceptions.RayError: Serve's controller is not there or does not answer.
    """
    import ray
    from ray.serve.context import _get_global_client

    # what Serve's REST API calls target_groups; that is served by the dashboard, which does not run here
    asking = _get_global_client()._controller.get_serve_instance_details.remote()
    details: dict[str, Any] = ray.get(asking, timeout=ANSWER_S)
    here = ray.util.get_node_ip_address()
    ports: dict[str, list[int]] = {}
    for group in details["target_groups"]:
        found = {target["port"] for target in group["targets"] if target["ip"] == here}
        ports[group["app_name"]] = sorted(found - {settings.gateway.internal_port})
    return {service: ports[service] for service in settings.outer_ports() if ports.get(service)}
