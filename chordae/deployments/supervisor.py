"""One process that owns a running platform: Ray (unless a cluster is joined), the Serve application, HAProxy.

`chordae up` runs it in the foreground; `--detach` starts it as a session of its own and waits until it is ready.
Whatever it started ends with it, and nothing else: an application that `serve deploy` put on a joined cluster is waited
for and left running. Its state file tells other commands where it is and what it is doing.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from chordae.deployments import frontdoor, replicas
from chordae.deployments.serve_status import reason
from chordae.platform.cluster import start_ray, stop_on_signals
from chordae.platform.errors import BadSettings, ChordaeError
from chordae.platform.settings import Settings, load_settings

Progress = Callable[[str], None]

GiB = 1024**3
EXPIRY_EVERY_S = 600.0
# Serve's own settings for throughput: gRPC between replicas, no extra event loops, and replicas that listen for
# themselves, on 127.0.0.1 (direct ingress), where HAProxy finds them without Serve's proxy between (docs/LOG.md).
_SERVING = {
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "3",  # HAProxy has looked away by then; Serve's default: 30
    "RAY_worker_niceness": "0",  # Ray's 15 lets every other program on the machine go before an answer
}


def check_machine(settings: Settings) -> None:
    """Can the platform start here?

    Raises:
        BadSettings: a port is taken, or too little memory is available; says which and what to do.
    """
    services = settings.outer_ports() | {f"{name} web API": port for name, port in settings.web_ports().items()}
    if settings.cluster.address is None:  # on a joined cluster Serve may hold its port already
        services |= {"internal": settings.gateway.internal_port}
    for service, port in services.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((settings.gateway.host, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    problem = f"cannot listen on {settings.gateway.host}:{port} ({service}): {error.strerror}"
                    raise BadSettings(problem, "set another gateway.host or port") from error
                raise BadSettings(
                    f"port {port} ({service}) is taken", "stop what uses it (`chordae down`?) or set another port"
                ) from error
    needed, free = settings.cluster.min_free_memory_bytes, psutil.virtual_memory().available
    if settings.cluster.address is None and free < needed:
        raise BadSettings(
            f"{free / GiB:.1f} GiB of memory available, {needed / GiB:.1f} GiB needed",
            "close other programs, or lower cluster.min_free_memory_bytes if you know better",
        )


def run(settings: Settings, progress: Progress) -> None:
    """Start everything, stay until SIGINT or SIGTERM, end everything.

    Raises:
        BadSettings: the machine or the settings do not allow it.
        ChordaeError: an expert did not start; says why.
    """
    if read_state(settings) is not None:
        raise BadSettings("a platform is already running here", "stop it with `chordae down`")
    check_machine(settings)
    frontdoor.prepare(settings, {})
    stop = threading.Event()
    stop_on_signals(stop)
    with _state(settings, progress) as tell, _platform(settings, tell, progress, stop) as look_after:
        if not stop.is_set():
            tell("ready")
        threading.Thread(target=_expire_uploads, args=(settings, progress, stop), daemon=True).start()
        while not stop.wait(1):
            look_after()
        tell("stopping: running answers finish first")


def _expire_uploads(settings: Settings, progress: Progress, stop: threading.Event) -> None:
    """Uploaded media go in time. In a thread, for the ledger may be slow and HAProxy must not wait for it."""
    from chordae.deployments.uploads import expire_uploads

    while not stop.wait(EXPIRY_EVERY_S):
        try:
            expire_uploads(settings)
        except (ChordaeError, OSError) as error:
            progress(f"uploads that have expired are still here ({error}): tried again in {EXPIRY_EVERY_S:.0f} s")


@contextmanager
def _platform(
    settings: Settings, tell: Progress, progress: Progress, stop: threading.Event
) -> Iterator[Callable[[], None]]:
    """A running platform, and what to call every second: replicas come and go."""
    if settings.cluster.address is None:
        for name, value in _SERVING.items():
            os.environ.setdefault(name, value)
    tell("starting Ray")
    cluster = settings.cluster
    start_ray(cluster)
    import ray
    from ray import serve

    from chordae.deployments.app import CANDIDATE, applications, names
    from chordae.deployments.candidate_keeper import keeping_candidates
    from chordae.deployments.replacement import replacing

    door: subprocess.Popen[bytes] | None = None
    ours = cluster.address is None
    try:
        ours = ours or not set(names(settings)) & set(serve.status().applications)
        if ours:
            tell("starting Ray Serve")
            serve.start(
                proxy_location="HeadOnly",  # HAProxy runs on this node and needs no other
                http_options={"host": "127.0.0.1", "port": settings.gateway.internal_port},
                logging_config={"log_level": "WARNING", "enable_access_log": False},
            )
            experts = f"{', '.join(settings.experts)} expert{'s' if len(settings.experts) > 1 else ''}"
            reasoner = "" if settings.reasoner is None else ", the CMR reasoner"
            tell(f"loading {experts}{reasoner} and the embedding model (a minute or two on a laptop)")
            try:
                serve.run_many(applications(settings))
            except RuntimeError as error:
                raise BadSettings("an expert did not start", _why(serve, names(settings)) or str(error)) from error
        else:
            tell("waiting for the applications that `serve deploy` put on this cluster")
            for name in names(settings):
                _wait_for_application(serve, name, settings, stop)
        seen = replicas.listening(settings)
        door = frontdoor.start(settings, seen)
        _wait_for_health(settings, door, stop)

        def look_after() -> None:
            nonlocal seen, door
            try:
                if door is None or door.poll() is not None:
                    tell("HAProxy had ended: starting it again")
                    door = frontdoor.start(settings, seen)
                    tell("ready")
                now = replicas.listening(settings)
                if now != seen:
                    frontdoor.aim(door, settings, now)
                    seen = now
            except ray.exceptions.RayError:
                return  # while Serve's controller is replaced, its replicas go on
            except (ChordaeError, OSError) as error:
                # what runs goes on as it is; tried again in a second
                tell(f"HAProxy cannot be aimed anew ({error.__class__.__name__}): see {settings.data_dir / 'haproxy'}")

        with replacing(settings, progress, ours), keeping_candidates(settings, progress):
            yield look_after
    finally:
        if door is not None:
            door.send_signal(signal.SIGUSR1)  # HAProxy: no new connections; running ones finish, up to hard-stop-after
            door.wait()
        try:
            if ours and cluster.address is None:
                serve.shutdown()
            elif ours:
                for name in (*names(settings), CANDIDATE):
                    serve.delete(name)  # others may serve on the same cluster
        finally:
            ray.shutdown()


def _wait_for_application(serve: Any, name: str, settings: Settings, stop: threading.Event) -> None:
    """Until an application deployed by others runs; a cluster may have to start nodes first, so without a limit."""
    while not stop.wait(1):
        application = serve.status().applications.get(name)
        if application is None:
            raise ChordaeError("the application went away while starting", "run `serve deploy` again")
        if application.status == "RUNNING":
            return
        if application.status == "DEPLOY_FAILED":
            if _answers(f"http://127.0.0.1:{settings.gateway.internal_port}"):
                return  # an update failed, and what ran before still serves
            lines = application.message.strip().splitlines()
            raise BadSettings("the application did not start", _why(serve, [name]) or (lines[-1] if lines else ""))


def _why(serve: Any, names: Sequence[str]) -> str:
    """Why an application does not start, of the last one that says so."""
    status = serve.status().applications
    return next((said for name in reversed(names) if name in status and (said := reason(status[name]))), "")


def _wait_for_health(settings: Settings, door: subprocess.Popen[bytes], stop: threading.Event) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and not stop.is_set():
        if door.poll() is not None:
            raise ChordaeError("HAProxy ended at once", f"see {settings.data_dir / 'haproxy' / 'haproxy.log'}")
        if is_healthy(settings):
            return
        time.sleep(0.2)
    if not stop.is_set():
        raise ChordaeError(
            "the platform does not answer on its own port", "see docs/when-things-go-wrong.md for Serve's logs"
        )


def is_healthy(settings: Settings) -> bool:
    """Whether the orchestrator's port answers."""
    return _answers(base_url(settings), trust(settings))


def _answers(url: str, verify: ssl.SSLContext | bool = True) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5, verify=verify).status_code == 200
    except httpx.TransportError:
        return False


def trust(settings: Settings) -> ssl.SSLContext | bool:
    """How to know the platform on this machine: by the very certificate it was given, whatever name is in that."""
    if settings.gateway.tls_certificate is None:
        return True
    context = ssl.create_default_context(cafile=str(settings.gateway.tls_certificate))
    context.check_hostname = False  # the certificate names the host as clients see it, this is 127.0.0.1
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def base_url(settings: Settings) -> str:
    """Where the orchestrator's port is, seen from this machine."""
    host = "127.0.0.1" if settings.gateway.host == "0.0.0.0" else settings.gateway.host  # noqa: S104
    return f"{'https' if settings.gateway.tls_certificate else 'http'}://{host}:{settings.gateway.port}"


def start_detached(config: Path, progress: Progress) -> int:
    """Start `chordae up` as a process of its own; returns its pid once it is ready.

    Raises:
        ChordaeError: it ended before it was ready; says why.
    """
    settings = load_settings(config)
    if read_state(settings) is not None:
        raise BadSettings("a platform is already running here", "stop it with `chordae down`")
    check_machine(settings)
    log_path = settings.data_dir / "platform.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "chordae.cli", "up", "--config", str(config)]
    with log_path.open("wb") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603
    said = ""
    try:
        while child.poll() is None:
            state = read_state(settings)
            if state is not None and state["pid"] == child.pid and state["stage"] != said:
                said = state["stage"]
                progress(said)
            if said == "ready":
                return child.pid
            time.sleep(0.2)
    except BaseException:  # whoever stops waiting, also by Ctrl-C, leaves no half-started platform behind
        child.terminate()
        child.wait()
        raise
    lines = [line for line in log_path.read_text(errors="replace").splitlines() if line.strip()]
    raise ChordaeError(lines[-1] if lines else "the platform ended while starting", f"details: {log_path}")


def stop_running(settings: Settings) -> bool:
    """Ask the running platform to stop and wait until it has; False if none runs."""
    state = read_state(settings)
    if state is None:
        return False
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(state["pid"])
        process.terminate()
        while process.is_running() and not (_is_zombie(process) and process.ppid() != os.getpid()):
            with suppress(psutil.TimeoutExpired):
                process.wait(0.2)
    return True


def _is_zombie(process: psutil.Process) -> bool:
    """Ended, and not yet reaped by its parent; the first process of many containers never does."""
    return bool(process.status() == psutil.STATUS_ZOMBIE)


def read_state(settings: Settings) -> dict[str, Any] | None:
    """Pid and stage of the platform that runs from this data directory, or None."""
    path = _state_path(settings)
    try:
        state: dict[str, Any] = json.loads(path.read_text())
        process = psutil.Process(state["pid"])
        same = abs(process.create_time() - state["born"]) < 1 and not _is_zombie(process)
    except (OSError, ValueError, TypeError, KeyError, psutil.Error):
        return None
    return state if same else None  # a reused pid after a crash is not our platform


@contextmanager
def _state(settings: Settings, progress: Progress) -> Iterator[Progress]:
    path = _state_path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)

    def tell(stage: str) -> None:
        progress(stage)
        fresh = path.with_suffix(".part")
        fresh.write_text(json.dumps({"pid": os.getpid(), "born": psutil.Process().create_time(), "stage": stage}))
        fresh.replace(path)

    try:
        yield tell
    finally:
        path.unlink(missing_ok=True)


def _state_path(settings: Settings) -> Path:
    return settings.data_dir / "platform.json"
