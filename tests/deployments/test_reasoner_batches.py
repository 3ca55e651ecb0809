"""Records without a platform: one that cannot be diagnosed keeps the others from nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reasoners import RECORD, FakeReasonerEngine, with_reasoner

from chordae.deployments import reasoner_batches
from chordae.deployments.reasoner import Reasoner
from chordae.deployments.reasoner_batches import Worker, diagnose_all
from chordae.platform.diagnosis.diagnosis import Diagnosis
from chordae.platform.diagnosis.record import Finding
from chordae.platform.errors import BadInput, BadSettings, ExpertUnavailable
from chordae.platform.settings import Settings
from chordae.preprocessing.records import ReadRecord

LONG = RECORD.model_copy(update={"description": tuple(Finding(number=at, text="x" * 1900) for at in range(1, 9))})
READ = [ReadRecord(where=f"row {at}", record=record) for at, record in enumerate([RECORD, LONG, RECORD], start=1)]


@pytest.fixture
def settings(tmp_path: Path, model_dir: Path) -> Settings:
    return with_reasoner(tmp_path, model_dir)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeReasonerEngine:
    engine = FakeReasonerEngine()

    async def started(settings: Settings) -> Reasoner:
        return Reasoner(settings, engine)

    monkeypatch.setattr(reasoner_batches, "_started", started)
    return engine


def test_a_few_are_diagnosed_in_this_process_and_the_engine_is_stopped(
    settings: Settings, engine: FakeReasonerEngine
) -> None:
    first, second, third = diagnose_all(settings, READ, None, lambda _: None)
    assert isinstance(first, Diagnosis) and isinstance(third, Diagnosis)
    assert isinstance(second, BadInput) and "too many" in second.problem
    assert engine.stopped


def test_a_worker_answers_a_row_with_a_diagnosis_or_with_what_is_wrong(
    settings: Settings, engine: FakeReasonerEngine
) -> None:
    batch = {"at": np.arange(3), "record": np.array([one.model_dump_json() for one in READ])}
    found = Worker(settings, None)(batch)
    assert found["at"].tolist() == [0, 1, 2]
    assert [bool(one) for one in found["diagnosis"]] == [True, False, True]
    assert [bool(one) for one in found["problem"]] == [False, True, False]
    assert Diagnosis.model_validate_json(found["diagnosis"][0]).category == "myocardial infarction"


def test_one_that_takes_too_long_leaves_the_others_diagnoses(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = iter([0.0, 30.0, 0.0])

    class Engine(FakeReasonerEngine):
        async def chat(self, request: dict[str, Any]) -> dict[str, Any]:
            self.delay_s = next(slow)
            return await super().chat(request)

    async def started(settings: Settings) -> Reasoner:
        return Reasoner(settings, Engine(), patience_s=0.5)

    monkeypatch.setattr(reasoner_batches, "_started", started)
    found = diagnose_all(settings, [READ[0]] * 3, None, lambda _: None)
    assert [isinstance(one, Diagnosis) for one in found] == [True, False, True]
    assert isinstance(found[1], ExpertUnavailable)


def test_without_a_reasoner_there_is_nothing_to_start(settings: Settings) -> None:
    with pytest.raises(BadSettings, match="no reasoner"):
        diagnose_all(settings.model_copy(update={"reasoner": None}), READ, None, lambda _: None)
