"""A round from its registered candidate on: shadow, canary, decision; without training, on real versions."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from registries import empty_registry

from benchmarks.perturbed import perturbed
from chordae.learning.checkpoint import add_probes
from chordae.learning.gate.measured import Measured, Outcome, Trial
from chordae.learning.loop.person import decide_by_person
from chordae.learning.loop.place import alone, place_of
from chordae.learning.loop.stages import LearningLoop
from chordae.platform.errors import RoundUnderWay
from chordae.platform.ledger_gate import GateLedger
from chordae.platform.ledger_learning import LearningLedger
from chordae.platform.ledger_records import ProspectiveRecord, RecordsLedger
from chordae.platform.ledger_trials import TrialAnswer, TrialsLedger
from chordae.platform.registry.models import Models
from chordae.platform.settings import Settings

MODEL = "cmr-r-nano"
SAID = {"category": "normal", "flagged": False}


class Round:
    """One whose candidate has been measured and registered: version 2, or a worse one."""

    def __init__(self, tmp_path: Path, moved: Path, right: int = 90, **trial: float) -> None:
        self.settings = Settings(
            data_dir=empty_registry(tmp_path / "var"),
            reasoner={"model": f"models/{MODEL}", "port": 8030},
            learning={
                "trial": {"shadow_answers": 4, "canary_answers": 3, "share": 0.5, **trial},
                "gate": {"least_per_class": 1, "least_mirage_questions": 1},
            },
        )
        self.loop = LearningLoop(self.settings, lambda _: None)
        self.loop.champion()
        self.models = Models(self.settings.data_dir)
        number = self.models.register(moved).number
        self.ledger, self.trials = LearningLedger(self.settings.ledger_url), TrialsLedger(self.settings.ledger_url)
        RecordsLedger(self.settings.ledger_url).take_in([ProspectiveRecord("a", "north", None, {})])
        begun = self.ledger.begin_round(MODEL, 10)
        place = place_of(self.settings.data_dir, begun)
        place.directory.mkdir(parents=True)
        both = [self._measured("1", 90), self._measured("candidate", right)]
        place.trial.write_text(Trial(model=MODEL, champion=both[0], candidate=both[1]).model_dump_json())
        self.page = place.page
        self.loop._promotions.nominate(MODEL, number, "loop", "a test")
        self.ledger.advance(begun, "registered", {"champion": "1", "candidate": number})

    @staticmethod
    def _measured(version: str, right: int) -> Measured:
        seen = (Outcome(case=str(n), truth="normal", site="s", right=n < right, confidence=0.9) for n in range(100))
        return Measured(version=version, outcomes=tuple(seen), mirages=0, mirage_questions=100, seconds=(1.0,) * 8)

    def ask(self, shown: str, count: int) -> None:
        """So many questions, asked of both."""
        trial = self.trials.open_trial(MODEL)
        assert trial is not None
        for number in range(count):
            said = TrialAnswer(f"{shown}{number}", shown, SAID, SAID, 1.0, 1.0)  # type: ignore[arg-type]
            self.trials.keep_trial_answer(trial.id, said)

    def state(self) -> tuple[str, float | None]:
        """The round's stage, and the candidate's share."""
        trial = self.trials.open_trial(MODEL)
        return self.ledger.rounds(MODEL)[-1].stage, None if trial is None else trial.share

    def finish(self) -> str:
        """The outcome, once nothing is left to be done."""
        while (became := self.loop.step()) == "done" and self.ledger.open_round(MODEL) is not None:
            pass
        assert became == "done"
        return str(self.ledger.rounds(MODEL)[-1].outcome)


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Other weights of the shipped reasoner, with their canary probes."""
    other = perturbed(Path(f"models/{MODEL}"), tmp_path_factory.mktemp("other") / "candidate", seed=1)
    assert add_probes(other)
    return other


def test_a_candidate_is_asked_unheard_then_heard_by_a_share_then_promoted(tmp_path: Path, moved: Path) -> None:
    round_ = Round(tmp_path, moved)
    assert round_.loop.step() == "waits" and round_.state() == ("registered", 0.0)
    round_.ask("champion", 3)
    assert LearningLoop(round_.settings, print).step() == "waits", "also one that is started anew"
    round_.ask("champion", 1)
    assert round_.loop.step() == "done" and round_.state() == ("shadowed", 0.5)
    assert round_.loop.step() == "waits"
    round_.ask("candidate", 3)
    assert round_.finish() == "version 2 promoted: every rule is passed"
    assert round_.state() == ("ended", None)
    assert round_.models.aliases(MODEL) == {"champion": "2", "previous": "1"}
    (decision,) = GateLedger(round_.settings.ledger_url).gate_decisions(MODEL)
    assert decision.content["questions"] == 7
    assert "live questions" in round_.page.read_text()


def test_one_that_fails_on_sentinels_is_never_asked(tmp_path: Path, moved: Path) -> None:
    round_ = Round(tmp_path, moved, right=70)
    assert "sent back: failed: accuracy" in round_.finish()
    assert round_.trials.open_trial(MODEL) is None
    assert round_.models.aliases(MODEL)["champion"] == "1"


def test_where_too_few_questions_come_in_its_time_it_is_held(tmp_path: Path, moved: Path) -> None:
    round_ = Round(tmp_path, moved, most_h=1e-9)
    outcome = round_.finish()
    assert outcome.startswith("version 2 held: open:") and "live questions" in outcome
    assert round_.models.aliases(MODEL) == {"champion": "1", "candidate": "2"}
    assert round_.state() == ("ended", None)


def test_one_whose_replica_cannot_be_started_is_held_and_the_page_says_why(tmp_path: Path, moved: Path) -> None:
    round_ = Round(tmp_path, moved)
    assert round_.loop.step() == "waits"
    trial = round_.trials.open_trial(MODEL)
    assert trial is not None
    round_.trials.move_trial(trial.id, problem="it does not write what its trainer says")
    assert round_.finish().startswith("version 2 held: open:")
    assert "cannot be started: it does not write what its trainer says" in round_.page.read_text()


@pytest.mark.parametrize("decision", ["hold", "promote"])
def test_a_person_ends_a_trial(tmp_path: Path, moved: Path, decision: str) -> None:
    round_ = Round(tmp_path, moved)
    assert round_.loop.step() == "waits"
    decide_by_person(round_.settings, MODEL, "2", decision, "anna", "enough")
    assert "a person decided" in round_.finish()
    assert round_.models.aliases(MODEL)["champion"] == ("2" if decision == "promote" else "1")
    assert round_.state() == ("ended", None)


def test_a_candidate_whose_champion_has_changed_meanwhile_is_held_whatever_the_gate_says(
    tmp_path: Path, moved: Path
) -> None:
    """It was compared with version 1; of version 3 nothing is known."""
    round_ = Round(tmp_path, moved, shadow_answers=0, canary_answers=0)
    while round_.state()[0] != "decided":
        round_.loop.step()
    third = perturbed(moved, tmp_path / "third", seed=2)
    assert add_probes(third)
    number = round_.models.register(third).number
    round_.loop._promotions.promote(MODEL, number, "anna", "urgent")
    assert f"held: version 2 was compared with 1, but {number} is champion now" in round_.finish()
    assert round_.models.aliases(MODEL)["champion"] == number


def test_a_trial_beside_a_champion_that_is_none_any_more_ends(tmp_path: Path, moved: Path) -> None:
    round_ = Round(tmp_path, moved)
    assert round_.loop.step() == "waits"
    third = perturbed(moved, tmp_path / "third", seed=2)
    assert add_probes(third)
    round_.loop._promotions.promote(MODEL, round_.models.register(third).number, "anna", "urgent")
    assert "version 2 held" in round_.finish()
    assert round_.state() == ("ended", None)


def test_what_a_person_took_back_is_not_promoted_again_by_a_loop_killed_before_it_ended_the_round(
    tmp_path: Path, moved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    round_ = Round(tmp_path, moved, shadow_answers=0, canary_answers=0)
    while round_.state()[0] != "decided":
        round_.loop.step()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LearningLedger, "end_round", killed)
        with pytest.raises(KeyboardInterrupt):
            round_.loop.step()
    assert round_.models.aliases(MODEL)["champion"] == "2"
    round_.loop._promotions.rollback(MODEL, "anna", "a complaint")
    assert round_.finish() == "version 2 held: it was promoted, and taken back meanwhile"
    assert round_.models.aliases(MODEL)["champion"] == "1"


@pytest.mark.parametrize("killed_in", ["nominate", "promote"])
def test_a_loop_killed_while_it_moved_aliases_finishes_that_and_goes_on(
    tmp_path: Path, moved: Path, monkeypatch: pytest.MonkeyPatch, killed_in: str
) -> None:
    round_ = Round(tmp_path, moved, shadow_answers=0, canary_answers=0)
    if killed_in == "nominate":
        found = round_.ledger.open_round(MODEL)
        assert found is not None
        round_.ledger._move(found, stage="evaluated")
        round_.models.set_alias(MODEL, "candidate", None)
        shutil.copytree(moved, place_of(round_.settings.data_dir, found).model)
    else:
        while round_.state()[0] != "decided":
            round_.loop.step()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Models, "set_alias", killed)
        with pytest.raises(KeyboardInterrupt):
            round_.loop.step()
    assert "promoted" in round_.finish()
    assert round_.models.aliases(MODEL) == {"champion": "2", "previous": "1"}


def test_two_loops_do_not_work_on_the_same_round(tmp_path: Path, moved: Path) -> None:
    round_ = Round(tmp_path, moved)
    with alone(round_.settings.data_dir, MODEL), pytest.raises(RoundUnderWay, match="another loop"):
        round_.loop.step()
    assert round_.loop.step() == "waits"


def test_a_loop_killed_after_its_decision_acts_on_that_and_decides_no_second_time(
    tmp_path: Path, moved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    round_ = Round(tmp_path, moved, canary_answers=0)
    assert round_.loop.step() == "waits"
    round_.ask("champion", 4)
    assert round_.loop.step() == "done" and round_.state() == ("shadowed", 0.0)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LearningLedger, "advance", killed)
        with pytest.raises(KeyboardInterrupt):
            round_.loop.step()
    flagged = {"category": None, "flagged": True}
    trial = round_.trials.open_trial(MODEL)
    assert trial is not None
    for number in range(40):  # now it would be sent back
        round_.trials.keep_trial_answer(trial.id, TrialAnswer(f"late{number}", "champion", SAID, flagged, 1.0, 1.0))
    assert "promoted" in round_.finish()
    decisions = GateLedger(round_.settings.ledger_url).gate_decisions(MODEL)
    assert [one.decision for one in decisions] == ["promote"]


def test_without_a_trial_in_the_settings_sentinels_decide(tmp_path: Path, moved: Path) -> None:
    round_ = Round(tmp_path, moved, shadow_answers=0, canary_answers=0)
    assert "promoted" in round_.finish()
    (decision,) = GateLedger(round_.settings.ledger_url).gate_decisions(MODEL)
    assert decision.content["questions"] is None
