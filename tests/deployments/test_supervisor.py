"""Before it starts, the platform looks at ports, memory and what runs already, and says in one line what is amiss."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from fakes import MakePlatform, make_settings

from benchmarks.ports import free_port
from chordae.deployments import supervisor
from chordae.platform.errors import BadSettings, ChordaeError
from chordae.platform.settings import Settings


def on_free_ports(tmp_path: Path, **branches: Any) -> Settings:
    gateway = {"port": free_port(), "internal_port": free_port()}
    experts = {"ecg": {"model": str(tmp_path), "port": free_port()}}
    cluster = {"min_free_memory_bytes": 0}
    return make_settings(
        tmp_path, tmp_path, **({"gateway": gateway, "experts": experts, "cluster": cluster} | branches)
    )


@contextmanager
def listener(port: int) -> Iterator[None]:
    with socket.create_server(("127.0.0.1", port)):
        yield


def test_a_machine_with_free_ports_and_memory_will_do(tmp_path: Path) -> None:
    supervisor.check_machine(on_free_ports(tmp_path))


@pytest.mark.parametrize("service", ["chordae", "ecg", "internal"])
def test_a_taken_port_is_named_with_its_service(tmp_path: Path, service: str) -> None:
    settings = on_free_ports(tmp_path)
    port = (settings.outer_ports() | {"internal": settings.gateway.internal_port})[service]
    with listener(port), pytest.raises(BadSettings, match=rf"port {port} \({service}\) is taken"):
        supervisor.check_machine(settings)


def test_a_port_is_free_again_right_after_its_listener_ended(tmp_path: Path) -> None:
    settings = on_free_ports(tmp_path)
    with listener(settings.gateway.port):
        client = socket.create_connection(("127.0.0.1", settings.gateway.port))
    client.close()
    supervisor.check_machine(settings)


def test_too_little_memory_is_refused_with_both_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=2 * 1024**3))
    settings = on_free_ports(tmp_path, cluster={"min_free_memory_bytes": 5 * 1024**3})
    with pytest.raises(BadSettings, match=r"2\.0 GiB of memory available, 5\.0 GiB needed"):
        supervisor.check_machine(settings)


def test_memory_here_does_not_matter_on_a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=0))
    supervisor.check_machine(on_free_ports(tmp_path, cluster={"address": "auto", "min_free_memory_bytes": 1}))


# --- what runs here ---


def note(settings: Settings, pid: int, born: float, stage: str = "ready") -> None:
    """A state file as a platform leaves it."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    (settings.data_dir / "platform.json").write_text(json.dumps({"pid": pid, "born": born, "stage": stage}))


@contextmanager
def process(code: str = "import time; time.sleep(60)") -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def test_nothing_runs_where_nothing_was_started(settings: Settings) -> None:
    assert supervisor.read_state(settings) is None
    assert supervisor.stop_running(settings) is False


def test_a_running_platform_is_found_with_its_stage(settings: Settings) -> None:
    with process() as child:
        note(settings, child.pid, psutil.Process(child.pid).create_time(), "loading")
        state = supervisor.read_state(settings)
    assert state is not None and (state["pid"], state["stage"]) == (child.pid, "loading")


def test_what_a_dead_platform_left_behind_is_ignored(settings: Settings) -> None:
    with process() as child:
        note(settings, child.pid, psutil.Process(child.pid).create_time())
    assert supervisor.read_state(settings) is None
    assert supervisor.stop_running(settings) is False


def test_another_process_that_has_its_number_now_is_left_alone(settings: Settings) -> None:
    with process() as child:
        note(settings, child.pid, psutil.Process(child.pid).create_time() - 3600)
        assert supervisor.stop_running(settings) is False
        assert child.poll() is None


def test_a_killed_platform_that_nobody_has_buried_is_dead(settings: Settings) -> None:
    """In a container whose first process does not reap, a killed platform stays a zombie for ever."""
    with process() as child:
        note(settings, child.pid, psutil.Process(child.pid).create_time())
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE
        assert supervisor.read_state(settings) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', '{"pid": "x", "born": 0, "stage": ""}'])
def test_a_state_file_that_cannot_be_read_is_ignored(settings: Settings, content: str) -> None:
    settings.data_dir.mkdir(parents=True)
    (settings.data_dir / "platform.json").write_text(content)
    assert supervisor.read_state(settings) is None


SLOW_TO_END = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.3), sys.exit(0)))
print("up", flush=True)
time.sleep(60)
"""


def test_stopping_waits_until_the_platform_has_ended(settings: Settings) -> None:
    with process(SLOW_TO_END) as child:
        assert child.stdout is not None and child.stdout.readline() == b"up\n"
        note(settings, child.pid, psutil.Process(child.pid).create_time())
        assert supervisor.stop_running(settings) is True
        assert not psutil.pid_exists(child.pid)


IN_A_CONTAINER = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
sys.stdin.read()  # never waits for its child, like the first process of many containers
"""


def test_stopping_does_not_wait_for_a_parent_that_never_reaps(settings: Settings) -> None:
    command = [sys.executable, "-c", IN_A_CONTAINER, SLOW_TO_END]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdin is not None and parent.stdout is not None
        pid = int(parent.stdout.readline())
        note(settings, pid, psutil.Process(pid).create_time())
        stopping = "from pathlib import Path; import sys; from chordae.deployments import supervisor;"
        stopping += "from chordae.platform.settings import Settings;"
        stopping += "print(supervisor.stop_running(Settings(data_dir=Path(sys.argv[1]))))"
        shown = subprocess.run(
            [sys.executable, "-c", stopping, str(settings.data_dir)], capture_output=True, text=True, timeout=30
        )
        parent.stdin.close()
    assert shown.stdout == "True\n", shown.stderr


def test_the_state_file_tells_each_stage_and_goes_with_the_platform(settings: Settings) -> None:
    heard: list[str] = []
    with supervisor._state(settings, heard.append) as tell:
        tell("loading")
        assert supervisor.read_state(settings) is not None
        tell("ready")
        state = supervisor.read_state(settings)
        assert state is not None and (state["pid"], state["stage"]) == (os.getpid(), "ready")
    assert heard == ["loading", "ready"]
    assert list(settings.data_dir.iterdir()) == []


def config_file(tmp_path: Path, settings: Settings) -> Path:
    path = tmp_path / "settings.yaml"
    path.write_text(json.dumps(settings.model_dump(mode="json")))
    return path


def test_a_second_platform_is_not_started_beside_the_first(tmp_path: Path) -> None:
    settings = on_free_ports(tmp_path)
    with process() as child:
        note(settings, child.pid, psutil.Process(child.pid).create_time())
        with pytest.raises(BadSettings, match="already running"):
            supervisor.start_detached(config_file(tmp_path, settings), lambda _: None)


def test_a_platform_that_ends_while_starting_is_an_error_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = on_free_ports(tmp_path)
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho starting Ray\necho 'chordae: no weights here: set another model'\nexit 2\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(ChordaeError, match="no weights here"):
        supervisor.start_detached(config_file(tmp_path, settings), lambda _: None)


@pytest.mark.parametrize(
    ("gateway", "url"),
    [
        ({"port": 1234}, "http://127.0.0.1:1234"),
        ({"port": 1234, "host": "0.0.0.0"}, "http://127.0.0.1:1234"),
        ({"port": 1234, "host": "10.0.0.1", "tls_certificate": "x.pem"}, "https://10.0.0.1:1234"),
    ],
)
def test_the_platforms_address_follows_from_the_settings(tmp_path: Path, gateway: dict[str, Any], url: str) -> None:
    assert supervisor.base_url(make_settings(tmp_path, tmp_path, gateway=gateway)) == url


def test_healthy_is_what_answers_on_the_orchestrators_port(
    make_platform: MakePlatform, tmp_path: Path, model_dir: Path
) -> None:
    settings = make_settings(tmp_path, model_dir, gateway={"port": free_port()})
    assert not supervisor.is_healthy(settings)
    with make_platform(settings).listening():
        assert supervisor.is_healthy(settings)
