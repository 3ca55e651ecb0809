"""A candidate beside the champion: who is heard, what is kept, and what becomes of an answer where one fails."""

from __future__ import annotations

import asyncio
import logging
import shutil
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeHandle
from hypothesis import given
from hypothesis import strategies as st
from reasoners import FAITHFUL, RECORD, FakeReasonerEngine, ReasonerPlatform, with_reasoner

from chordae.deployments.gateway import Gateway
from chordae.deployments.orchestrator import Orchestrator
from chordae.deployments.reasoner import Reasoner
from chordae.deployments.trial import AT_ONCE, Reasoners, hears_candidate
from chordae.platform.diagnosis.diagnosis import Diagnosis
from chordae.platform.diagnosis.record import CmrRecord
from chordae.platform.errors import ChordaeError, ExpertUnavailable
from chordae.platform.ledger_trials import OnTrial, TrialAnswer, TrialsLedger
from chordae.platform.weights import identify

OTHER = FAITHFUL.replace("<answer>myocardial infarction</answer>", "<answer>normal</answer>")


class Both:
    """A champion, a candidate with other weights, and a ledger in which that is on trial."""

    def __init__(self, tmp_path: Path, model_dir: Path) -> None:
        self.settings = with_reasoner(tmp_path, model_dir, swap={"poll_s": 0.01}, orchestrator={"expert_timeout_s": 2})
        weights = tmp_path / "candidate"
        shutil.copytree(model_dir, weights)
        file = next(weights.glob("*.safetensors"))
        file.write_bytes(file.read_bytes() + b"other")
        reasoner = self.settings.reasoner
        assert reasoner is not None
        settings = self.settings.model_copy(update={"reasoner": reasoner.model_copy(update={"model": str(weights)})})
        self.engines = FakeReasonerEngine(), FakeReasonerEngine(writes=OTHER)
        self.champion = FakeHandle(Reasoner(self.settings, self.engines[0]))
        self.candidate = FakeHandle(Reasoner(settings, self.engines[1]))
        self.digests = identify(model_dir).digest, identify(weights).digest
        self.ledger = TrialsLedger(self.settings.ledger_url)
        self.trial = self.ledger.begin_trial("m", "2", self.digests[1])
        self.ledger.move_trial(self.trial.id, state="serving")
        self.reasoners = Reasoners(self.champion, self.candidate, lambda: self.ledger, 0.0, 2)

    async def ask(self, record: CmrRecord = RECORD, request_id: str = "r1") -> Diagnosis:
        """The answer that is given, once it is known what is on trial, and all that follows from it is kept."""
        await self.known()
        given_one = await self.reasoners.diagnose(record, None, request_id, ())
        await self.reasoners.settled()
        return given_one

    async def known(self) -> None:
        await self.reasoners._on_trial()
        await self.reasoners.settled()

    def kept(self) -> list[TrialAnswer]:
        return self.ledger.trial_answers(self.trial.id)


@pytest.fixture
def both(tmp_path: Path, model_dir: Path) -> Both:
    return Both(tmp_path, model_dir)


async def test_in_the_shadow_the_champion_answers_and_what_the_candidate_says_is_kept(both: Both) -> None:
    said = await both.ask()
    assert said.weights.digest == both.digests[0]
    (kept,) = both.kept()
    assert (kept.request, kept.shown, kept.problem) == ("r1", "champion", "")
    assert kept.champion == said.model_dump(mode="json")
    assert kept.candidate is not None and kept.candidate["category"] == "normal"
    assert kept.candidate["weights"]["digest"] == both.digests[1]
    assert min(kept.champion_s, kept.candidate_s) > 0


async def test_nobody_waits_for_the_shadow(both: Both) -> None:
    both.engines[1].delay_s = 0.3
    await both.known()
    began = asyncio.get_running_loop().time()
    await both.reasoners.diagnose(RECORD, None, "r1", ())
    assert asyncio.get_running_loop().time() - began < 0.3
    assert both.kept() == []
    await both.reasoners.settled()
    assert both.kept()[0].candidate_s >= 0.3


async def test_a_share_of_studies_hears_the_candidate_and_the_champion_is_asked_beside(both: Both) -> None:
    both.ledger.move_trial(both.trial.id, share=1.0)
    said = await both.ask()
    assert said.category == "normal" and said.weights.digest == both.digests[1]
    (kept,) = both.kept()
    assert kept.shown == "candidate" and kept.candidate == said.model_dump(mode="json")
    assert kept.champion is not None and kept.champion["category"] == "myocardial infarction"


async def test_what_the_candidate_cannot_answer_the_champion_does_and_it_stays_unheard_until_it_answers(
    both: Both,
) -> None:
    both.ledger.move_trial(both.trial.id, share=1.0)

    def fails() -> str:
        raise ExpertUnavailable("its engine has ended", "wait")

    both.engines[1].writes = fails
    for _ in range(2):
        assert (await both.ask()).weights.digest == both.digests[0]
    first, second = both.kept()
    assert (first.shown, first.candidate) == ("champion", None) == (second.shown, second.candidate)
    assert "its engine has ended" in first.problem
    both.engines[1].writes = OTHER
    assert (await both.ask()).weights.digest == both.digests[0], "asked in the shadow first"
    assert (await both.ask()).weights.digest == both.digests[1]


async def test_a_replica_with_other_weights_than_those_on_trial_is_not_heard(both: Both) -> None:
    trial = both.ledger.begin_trial("m", "3", "f" * 64)
    both.ledger.move_trial(trial.id, state="serving", share=1.0)
    assert (await both.ask()).weights.digest == both.digests[0]
    (kept,) = both.ledger.trial_answers(trial.id)
    assert kept.candidate is None and "not with 3" in kept.problem


@pytest.mark.parametrize("state", ["begun", "ended"])
async def test_a_candidate_that_does_not_serve_is_not_asked(both: Both, state: Any) -> None:
    both.ledger.move_trial(both.trial.id, state=state, share=1.0)
    assert (await both.ask()).weights.digest == both.digests[0]
    assert both.engines[1].requests == [] and both.kept() == []


async def test_a_candidate_whose_trial_ended_during_a_pause_is_not_heard_after_it(both: Both) -> None:
    both.reasoners = Reasoners(both.champion, both.candidate, lambda: both.ledger, 0.2, 2)
    both.ledger.move_trial(both.trial.id, share=1.0)
    assert (await both.ask()).weights.digest == both.digests[1]
    both.ledger.move_trial(both.trial.id, state="ended")
    await asyncio.sleep(0.3)
    assert (await both.reasoners.diagnose(RECORD, None, "r2", ())).weights.digest == both.digests[0]


async def test_a_ledger_that_does_not_answer_leaves_the_champion(
    both: Both, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def gone(*_: Any) -> Any:
        raise ChordaeError("the ledger does not answer", "start the database")

    monkeypatch.setattr(TrialsLedger, "open_trials", gone)
    with caplog.at_level(logging.WARNING):
        assert (await both.ask()).weights.digest == both.digests[0]
    assert "the ledger does not answer" in caplog.text
    monkeypatch.undo()
    monkeypatch.setattr(TrialsLedger, "keep_trial_answer", gone)
    assert (await both.ask()).weights.digest == both.digests[0]
    assert both.kept() == []


async def test_a_ledger_that_hangs_holds_no_question_up_and_what_it_said_before_is_not_gone_by(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    both.ledger.move_trial(both.trial.id, share=1.0)
    assert (await both.ask()).weights.digest == both.digests[1]
    over = threading.Event()
    monkeypatch.setattr(TrialsLedger, "open_trials", lambda _: over.wait(5) and [])
    for _ in range(2):
        began = asyncio.get_running_loop().time()
        assert (await both.reasoners.diagnose(RECORD, None, "r", ())).weights.digest == both.digests[0]
        assert asyncio.get_running_loop().time() - began < 2
    assert len(both.kept()) == 1
    over.set()
    await both.reasoners.settled()


async def test_a_slow_candidate_takes_only_so_many_questions_with_it(both: Both) -> None:
    both.engines[1].delay_s = 0.2
    await both.known()
    for number in range(AT_ONCE + 5):
        await both.reasoners.diagnose(RECORD, None, f"r{number}", ())
    await both.reasoners.settled()
    assert len(both.kept()) == AT_ONCE


async def test_nothing_of_a_patient_is_kept(both: Both) -> None:
    await both.ask(RECORD.model_copy(update={"patient_key": "MRN-4711"}))
    (kept,) = both.kept()
    assert "4711" not in str(vars(kept))


async def test_the_port_for_diagnoses_and_questions_to_the_orchestrator_both_take_part(both: Both) -> None:
    platform = ReasonerPlatform(both.settings, both.engines[0])
    experts = platform.experts
    platform.orchestrator = Orchestrator(both.settings, experts, lambda texts: None, both.candidate)  # type: ignore[arg-type,return-value]
    platform.gateway = Gateway(both.settings, FakeHandle(platform.orchestrator), experts, both.candidate)
    for one in (platform.gateway, platform.orchestrator):
        await one._reasoners._on_trial()
        await one._reasoners.settled()
    async with platform.http() as client:
        record = RECORD.model_dump(mode="json", exclude={"patient_key"})
        reply = await client.post("/v1/diagnoses", json={"record": record})
        assert reply.status_code == 200, reply.text
        sent = await client.post("/v1/studies", files={"file": ("r.json", RECORD.model_dump_json().encode())})
        asked = {"study": sent.json()["id"], "question": "What is the diagnosis?"}
        assert (await client.post("/v1/answers", json=asked)).status_code == 200
    await platform.gateway._reasoners.settled()
    await platform.orchestrator._reasoners.settled()
    ours = [one.request for one in both.kept()]
    assert len(ours) == 2 and ours[0] == reply.json()["id"]


studies = st.text("0123456789abcdef", min_size=64, max_size=64)


@given(studies, st.floats(0, 1), st.floats(0, 1))
def test_whoever_hears_the_candidate_goes_on_to_when_its_share_grows(study: str, one: float, other: float) -> None:
    small, large = (replace(TRIAL, share=share) for share in sorted((one, other)))
    assert hears_candidate(large, study) or not hears_candidate(small, study)


def test_the_share_of_studies_is_what_was_asked_for_and_none_and_all_are_exact() -> None:
    numbers = [f"{number:064x}" for number in range(20_000)]
    for share in (0.0, 0.1, 0.5, 1.0):
        trial = replace(TRIAL, share=share)
        heard = sum(hears_candidate(trial, one) for one in numbers) / len(numbers)
        assert abs(heard - share) <= 4 * (share * (1 - share) / len(numbers)) ** 0.5


def test_each_trial_has_other_studies() -> None:
    numbers = [f"{number:064x}" for number in range(2000)]
    first, second = (replace(TRIAL, share=0.5, digest=digest) for digest in ("a" * 64, "b" * 64))
    same = sum(hears_candidate(first, one) == hears_candidate(second, one) for one in numbers) / len(numbers)
    assert 0.45 < same < 0.55


TRIAL = OnTrial(1, "m", "2", "a" * 64, "serving", 0.0, "", datetime(2026, 11, 23, tzinfo=UTC))
