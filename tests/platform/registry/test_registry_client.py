"""MLflow's database is made once, whoever asks first, and however many do."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ASK = (
    "import sys, time; from chordae.platform.registry.client import connect; import mlflow;"
    " time.sleep(max(0, float(sys.argv[2]) - time.time()));"
    " print(len(connect(sys.argv[1]).search_registered_models()))"
)


def test_many_processes_that_open_a_new_registry_at_once_all_get_it(tmp_path: Path) -> None:
    together = str(time.time() + 20)  # when all have imported MLflow
    command = [sys.executable, "-c", ASK, f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}", together]
    asking = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(5)]
    said = [one.communicate(timeout=180) for one in asking]
    assert [out.strip() for out, _ in said] == ["0"] * 5, [err[-500:] for _, err in said]
