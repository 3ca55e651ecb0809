"""Runs are recorded where they should be, once, and read back by MLflow's own client."""

from pathlib import Path

import pytest

from chordae.platform.errors import BadSettings
from chordae.platform.registry.client import tracking_uri
from chordae.platform.registry.tracking import EXPERIMENT, TrackedRun


def test_a_file_below_the_data_directory_unless_a_server_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert tracking_uri(tmp_path) == f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert tracking_uri(tmp_path) == "http://mlflow:5000"


@pytest.mark.slow
def test_the_same_key_is_the_same_run(tmp_path: Path) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path / 'deep' / 'mlflow.db'}"
    run = TrackedRun(uri, "ecg-nano", "key-1", {"steps": "3"})
    assert run.last_step("loss") == 0
    run.log([(step, {"loss": 1 / step}) for step in range(1, 1201)])  # more than one call of MLflow's
    again = TrackedRun(uri, "ecg-nano", "key-1")
    assert again.id == run.id
    assert again.last_step("loss") == 1200
    again.finish()
    other = TrackedRun(uri, "ecg-nano", "key-2")
    assert other.id != run.id
    client = MlflowClient(uri)
    found = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    assert {(one.info.run_id, one.info.status) for one in found} == {(run.id, "FINISHED"), (other.id, "RUNNING")}
    assert client.get_run(run.id).data.params == {"steps": "3"}
    assert len(client.get_metric_history(run.id, "loss")) == 1200


def test_a_server_that_does_not_answer_is_refused_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(BadSettings) as refusal:
        TrackedRun("http://user:hush@127.0.0.1:9", "x", "key")
    assert "hush" not in str(refusal.value)
