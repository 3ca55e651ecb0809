"""Ray is started in a process that has not imported it before."""

import os
import subprocess
import sys

import pytest

WITHOUT = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}


def ran(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], env=WITHOUT, capture_output=True, text=True, check=False)


def test_where_ray_was_imported_before_it_is_said_at_once() -> None:
    start = "from chordae.platform.cluster import start_ray; from chordae.platform.settings import ClusterSettings"
    result = ran(f"import ray; {start}; start_ray(ClusterSettings())")
    assert result.returncode == 1 and "Ray was imported before start_ray" in result.stderr


@pytest.mark.parametrize(
    "modules",
    [
        "chordae.cli, chordae.deployments.supervisor",
        "chordae.cli_loop, chordae.learning.loop.actor",
        "chordae.demonstration, chordae.learning.loop.actor, chordae.learning.loop.place",
        "chordae.preprocessing.pipeline",
        "chordae.deployments.reasoner_batches",
    ],
)
def test_commands_that_start_it_do_not_import_it_before(modules: str) -> None:
    result = ran(f"import {modules}, sys; sys.exit('ray' in sys.modules)")
    assert result.returncode == 0, result.stderr[-500:]
