"""MLflow behind a few words: which training ran, with what, and how its loss went.

Runs lie where the registry does.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from chordae.platform.errors import BadSettings
from chordae.platform.registry.client import connect, line

EXPERIMENT = "chordae"
MOST_VALUES = 900
"""MLflow takes 1000 metrics a call."""


class TrackedRun:
    """One run of one training; the same `key` finds the same run again after a restart."""

    def __init__(self, uri: str, name: str, key: str, parameters: Mapping[str, str] | None = None) -> None:
        """Begin the run of that key, or go on with it.

        Raises:
            BadSettings: the server cannot be reached, or the file is no tracking database.
        """
        from mlflow.exceptions import MlflowException

        try:
            self._client = connect(uri)
            self.id = self._found(name, key) or self._new(name, key, parameters or {})
        except (MlflowException, OSError) as error:
            raise BadSettings(
                f"runs cannot be recorded at {uri.rsplit('@', 1)[-1]}", f"check MLFLOW_TRACKING_URI ({line(error)})"
            ) from error

    def _found(self, name: str, key: str) -> str | None:
        experiment = self._client.get_experiment_by_name(EXPERIMENT)
        if experiment is None:
            return None
        runs = self._client.search_runs([experiment.experiment_id], f"tags.`chordae.key` = '{key}'", max_results=1)
        if not runs:
            return None
        self._client.update_run(runs[0].info.run_id, status="RUNNING", name=name)
        return str(runs[0].info.run_id)

    def _new(self, name: str, key: str, parameters: Mapping[str, str]) -> str:
        experiment = self._client.get_experiment_by_name(EXPERIMENT)
        within = experiment.experiment_id if experiment else self._client.create_experiment(EXPERIMENT)
        run = self._client.create_run(within, run_name=name, tags={"chordae.key": key})
        for parameter, value in parameters.items():
            self._client.log_param(run.info.run_id, parameter, value[:500])
        return str(run.info.run_id)

    def last_step(self, metric: str) -> int:
        """The last step of which a metric is known; 0: none."""
        return max((point.step for point in self._client.get_metric_history(self.id, metric)), default=0)

    def log(self, steps: Iterable[tuple[int, Mapping[str, float]]]) -> None:
        """Record metrics, by step.

        Raises:
            BadSettings: they could not be recorded.
        """
        from mlflow.entities import Metric
        from mlflow.exceptions import MlflowException

        now = int(time.time() * 1000)
        points = [Metric(name, value, now, step) for step, values in steps for name, value in values.items()]
        try:
            for first in range(0, len(points), MOST_VALUES):
                self._client.log_batch(self.id, metrics=points[first : first + MOST_VALUES])
        except (MlflowException, OSError) as error:
            raise BadSettings("the loss could not be recorded", f"is the tracking server up? {line(error)}") from error

    def finish(self, status: str = "FINISHED") -> None:
        """Close the run: FINISHED, FAILED or KILLED."""
        self._client.set_terminated(self.id, status)
