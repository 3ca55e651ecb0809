"""Many records without a platform: a reasoner of our own in this process, or Ray Data with one in each worker."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from chordae.deployments.reasoner import Reasoner
from chordae.platform.cluster import start_ray
from chordae.platform.diagnosis.category import Language
from chordae.platform.diagnosis.diagnosis import Diagnosis
from chordae.platform.errors import BadInput, BadSettings, ChordaeError, ExpertUnavailable
from chordae.platform.settings import Settings
from chordae.preprocessing.records import ReadRecord

BATCH = 32
"""Rows that a worker gets at once; as many are decoded together."""
FEW = 8
"""Up to so many are diagnosed in this process: Ray takes longer to start."""
PATIENCE_S = 600.0
"""For one record, which waits for those before it."""

Outcome = Diagnosis | ChordaeError
"""A diagnosis, or what is wrong with that one record."""


def diagnose_all(
    settings: Settings, records: Sequence[ReadRecord], language: Language | None, tell: Callable[[str], None]
) -> list[Outcome]:
    """What an engine of our own says of each record, in order.

    Raises:
        BadSettings: the settings have no reasoner, or its checkpoint cannot be served.
        ExpertUnavailable: a worker of Ray's died.
    """
    if settings.reasoner is None:
        raise BadSettings("there is no reasoner in the settings", "add one under `reasoner`")
    tell("loading the reasoner")
    if len(records) <= FEW:
        with asyncio.Runner() as runner:
            reasoner = runner.run(_started(settings))
            try:
                tell(f"diagnosing {len(records)} records")
                return runner.run(_diagnosed(reasoner, records, language))
            finally:
                reasoner.stop()
    return _by_ray_data(settings, records, language, tell)


async def _started(settings: Settings) -> Reasoner:
    reasoner = Reasoner(settings, patience_s=PATIENCE_S)
    await reasoner.start()
    return reasoner


async def _diagnosed(reasoner: Reasoner, records: Sequence[ReadRecord], language: Language | None) -> list[Outcome]:
    async def one(read: ReadRecord) -> Outcome:
        try:
            return await reasoner.diagnose(read.record, language, uuid.uuid4().hex, read.problems)
        except (BadInput, ExpertUnavailable) as error:
            return error

    return list(await asyncio.gather(*map(one, records)))


class Worker:
    """A Ray Data worker: one reasoner, a batch of rows at a time. It answers with JSON."""

    def __init__(self, settings: Settings, language: Language | None) -> None:
        self._language, self._runner = language, asyncio.Runner()
        self._reasoner = self._runner.run(_started(settings))

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        records = [ReadRecord.model_validate_json(one) for one in batch["record"]]
        found = self._runner.run(_diagnosed(self._reasoner, records, self._language))
        return {
            "at": batch["at"],
            "diagnosis": [one.model_dump_json() if isinstance(one, Diagnosis) else "" for one in found],
            "problem": [one.problem if isinstance(one, ChordaeError) else "" for one in found],
            "remedy": [one.remedy if isinstance(one, ChordaeError) else "" for one in found],
            "exit_code": [one.exit_code if isinstance(one, ChordaeError) else 0 for one in found],
        }


def _outcome(row: dict[str, Any]) -> Outcome:
    """A worker's row."""
    if row["diagnosis"]:
        return Diagnosis.model_validate_json(row["diagnosis"])
    error = ChordaeError(row["problem"], row["remedy"])
    error.exit_code = int(row["exit_code"])
    return error


def _by_ray_data(
    settings: Settings, records: Sequence[ReadRecord], language: Language | None, tell: Callable[[str], None]
) -> list[Outcome]:
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")  # a Dataset left behind would start a Ray of its own
    ours = start_ray(settings.cluster)
    import ray.data
    from ray.exceptions import RayError

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    assert settings.reasoner is not None  # noqa: S101 - who calls this has looked
    replicas = settings.reasoner.replicas
    blocks = math.ceil(len(records) / BATCH)
    rows = [{"at": at, "record": one.model_dump_json()} for at, one in enumerate(records)]
    dataset = ray.data.from_items(rows, override_num_blocks=blocks).map_batches(
        Worker,
        batch_size=BATCH,
        num_cpus=replicas.num_cpus,
        num_gpus=replicas.num_gpus,
        compute=ray.data.ActorPoolStrategy(size=min(replicas.max_replicas, blocks)),
        fn_constructor_args=(settings, language),
    )
    found: dict[int, Outcome] = {}
    try:
        for row in dataset.iter_rows():
            found[row["at"]] = _outcome(row)
            tell(f"{len(found)} of {len(records)} records diagnosed")
    except RayError as error:
        problem = f"diagnosing the records failed ({type(error).__name__})"
        raise ExpertUnavailable(problem, "run it again; Ray's logs say more") from None  # the cause may quote records
    finally:
        if ours:
            ray.shutdown()
    return [found[at] for at in range(len(records))]
