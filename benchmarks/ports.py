"""Ports for a platform of one's own.

They lie below those that the kernel gives to connections: it takes a minute until a platform listens on all of them,
and what was free may be a connection's by then.
"""

import random
import socket
from contextlib import suppress

PORTS = range(20_001, 32_001)
"""Above those of Ray's workers (10002 to 19999), below Linux's ephemeral ones (from 32768)."""


def free_ports(count: int) -> list[int]:
    """So many different ones that nobody listens on now."""
    found: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        if len(found) == count:
            break
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
    return found


def free_port() -> int:
    """One of them."""
    return free_ports(1)[0]
