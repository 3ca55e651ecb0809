"""The gate's rules over a trial on real questions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chordae.learning.gate.decision import decide
from chordae.learning.gate.live import LIVE_RULES, LiveTrial, live_trial
from chordae.learning.gate.measured import Measured, Outcome, Trial
from chordae.learning.gate.page import decision_page
from chordae.platform.learning_settings import GateSettings, TrialSettings
from chordae.platform.ledger_trials import TrialAnswer

SETTINGS = TrialSettings(shadow_answers=30, canary_answers=30)
GATE = GateSettings()


def answer(number: int, shown: str = "champion", **fields: Any) -> TrialAnswer:
    said = {"category": "normal", "flagged": False}
    both = {"champion": said, "candidate": said, "champion_s": 1.0, "candidate_s": 1.0}
    return TrialAnswer(request=f"r{number}", shown=shown, **both | fields)  # type: ignore[arg-type]


def asked(count: int = 80, **fields: Any) -> list[TrialAnswer]:
    """So many questions, the last half of them given by the candidate."""
    return [answer(one, "candidate" if one >= count // 2 else "champion", **fields) for one in range(count)]


def outcomes(answers: list[TrialAnswer], labels: dict[str, str] | None = None) -> dict[str, bool | None]:
    live = live_trial(answers, labels or {}, SETTINGS)
    return {one.name: one.passed for one in (rule(live, GATE) for rule in LIVE_RULES)}


def decided(live: LiveTrial | None) -> Any:
    seen = tuple(
        Outcome(case=str(one), truth="normal", site="north", right=one % 5 > 0, confidence=0.8) for one in range(200)
    )
    both = [Measured(version=one, outcomes=seen, mirages=0, mirage_questions=200, seconds=(1.0,)) for one in "12"]
    return decide(Trial(model="m", champion=both[0], candidate=both[1]), GATE, live)


def test_the_same_answers_in_the_same_time_pass_every_rule() -> None:
    assert set(outcomes(asked()).values()) == {True}
    decision = decided(live_trial(asked(), {}, SETTINGS))
    assert (decision.decision, decision.questions) == ("promote", 80)
    assert "80 real questions" in decision_page(decision)


def test_without_a_trial_the_page_says_so() -> None:
    decision = decided(None)
    assert (decision.decision, decision.questions) == ("promote", None)
    assert "not tried on real questions" in decision_page(decision)


@pytest.mark.parametrize("count", [0, 1, 59])
def test_too_few_questions_hold(count: int) -> None:
    decision = decided(live_trial(asked(count), {}, SETTINGS))
    assert decision.decision == "hold" and "live questions" in decision.why


def test_a_candidate_that_was_never_heard_is_held() -> None:
    assert outcomes([answer(one) for one in range(80)])["live questions"] is None


def test_one_whose_answers_are_flagged_more_often_goes_back() -> None:
    flagged = {"category": None, "flagged": True}
    some = [*asked(), *(answer(200 + one, candidate=flagged) for one in range(12))]
    assert outcomes(some)["live flags"] is False
    assert decided(live_trial(some, {}, SETTINGS)).decision == "rollback"


def test_one_that_leaves_questions_unanswered_is_held_for_its_replica_may_be_at_fault() -> None:
    some = [*asked(), *(answer(200 + one, candidate=None, problem="no answer in 15 s") for one in range(8))]
    found = outcomes(some)
    assert found["live answers"] is None and False not in found.values()


def test_what_the_champion_did_not_answer_is_no_fault_of_the_candidate() -> None:
    some = [*asked(), *(answer(200 + one, "candidate", champion=None, problem="busy") for one in range(8))]
    assert outcomes(some)["live answers"] is True


def test_a_slow_one_goes_back_and_a_few_slow_answers_do_not() -> None:
    rng = np.random.default_rng(1)
    slow = [answer(one, "candidate", candidate_s=2 * float(rng.uniform(0.8, 1.2))) for one in range(80)]
    assert outcomes(slow)["live latency"] is False
    noisy = [answer(one, "candidate", candidate_s=3.0 if one == 7 else 1.0) for one in range(80)]
    assert outcomes(noisy)["live latency"] is True


def test_clinicians_later_words_count_once_there_are_enough() -> None:
    amyloid = {"category": "amyloidosis", "flagged": False}
    some = asked(candidate=amyloid)
    few = {f"r{one}": "normal" for one in range(GATE.least_per_site - 1)}
    assert outcomes(some, few)["live accuracy"] is True
    assert outcomes(some, {f"r{one}": "normal" for one in range(40)})["live accuracy"] is False
    assert outcomes(some, {f"r{one}": "amyloidosis" for one in range(40)})["live accuracy"] is True


seconds = st.floats(1e-3, 100)
diagnoses = st.none() | st.fixed_dictionaries(
    {"category": st.sampled_from(["normal", "amyloidosis", None]), "flagged": st.booleans()}
)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from(["champion", "candidate"]), diagnoses, diagnoses, seconds, seconds), max_size=40)
)
def test_any_trial_gets_a_decision_that_its_rules_explain(rows: list[tuple[Any, ...]]) -> None:
    some = [TrialAnswer(f"r{place}", *row) for place, row in enumerate(rows)]
    decision = decided(live_trial(some, {}, SETTINGS))
    failed = [one.name for one in decision.rules if one.passed is False]
    left = [one.name for one in decision.rules if one.passed is None]
    assert decision.decision == ("rollback" if failed else "hold" if left else "promote")
    assert all(np.isfinite(value) for one in decision.rules for value in one.numbers.values())
    assert decision_page(decision)
