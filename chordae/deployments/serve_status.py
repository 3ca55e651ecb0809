"""What Ray Serve says of an application, in a line."""

from __future__ import annotations

from typing import Any


def reason(application: Any) -> str:
    """The last line that a failing deployment of it left, if there is one."""
    messages = [one.message for one in application.deployments.values() if one.message]
    lines = [line.strip() for message in messages for line in message.splitlines() if "Error" in line or ": " in line]
    return lines[-1] if lines else ""
