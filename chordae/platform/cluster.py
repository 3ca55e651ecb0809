"""How a process of chordae gets its Ray: one of its own on this machine, or a cluster that it joins."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from chordae.platform.settings import ClusterSettings

# Ray listens on every interface; without its token nobody else can run code there.
_OWN_CLUSTER = {"RAY_AUTH_MODE": "token"}
_NOTHING_SENT_HOME = {"RAY_USAGE_STATS_ENABLED": "0", "DO_NOT_TRACK": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


def start_ray(cluster: ClusterSettings) -> bool:
    """Start Ray here, or join the cluster of these settings; `ray.shutdown()` ends it. Signal handlers stay as set.

    Returns False, and does nothing, where this process has Ray already.

    Raises:
        RuntimeError: Ray was imported before, and has read its environment: its parts would refuse each other's tokens.
    """
    early = "ray" in sys.modules and cluster.address is None and not _OWN_CLUSTER.keys() <= os.environ.keys()
    for name, value in (_NOTHING_SENT_HOME | (_OWN_CLUSTER if cluster.address is None else {})).items():
        os.environ.setdefault(name, value)
    import ray

    if ray.is_initialized():
        return False
    if early:
        raise RuntimeError("Ray was imported before start_ray")
    _keep_token_private()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    if cluster.address is None:
        ray.init(
            address="local",
            num_cpus=cluster.num_cpus,
            object_store_memory=cluster.object_store_bytes,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
        )
    else:
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    _keep_token_private()
    for number, handler in handlers.items():  # Ray's own end the process without cleaning up
        signal.signal(number, handler)
    return True


def _keep_token_private() -> None:
    """Ray writes its token readable by all."""
    token = Path.home() / ".ray" / "auth_token"
    if token.is_file() and token.stat().st_uid == os.getuid():
        token.chmod(0o600)


def stop_on_signals(stop: threading.Event) -> None:
    """SIGINT and SIGTERM ask for an orderly end."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
