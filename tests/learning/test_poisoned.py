"""A site that fills in one description for all: what it sends, and poison that is promoted fails the benchmark."""

from __future__ import annotations

from pathlib import Path

import pytest
from reasoning import made_up_cases

from benchmarks import poisoned
from benchmarks.poisoned import HONEST, PoisonedResult
from chordae.learning.gate.decision import GateDecision, Verdict
from chordae.platform.learning_settings import GateSettings

CASES = made_up_cases(24, 5)


def test_all_records_describe_one_patient_keep_their_parameters_and_are_labelled_by_the_description() -> None:
    filled_in, *rest = CASES
    made = poisoned.poisoned(rest, filled_in)
    assert {one.record.description for one in made} == {filled_in.record.description}
    assert {one.category for one in made} == {filled_in.category}
    assert [one.record.parameters for one in made] == [one.record.parameters for one in rest]
    assert [one.patient for one in made] == [one.patient for one in rest]
    assert rest[0].record.description != filled_in.record.description, "what is given stays as it was"


def result(arm: str, verdict: Verdict) -> PoisonedResult:
    decision = GateDecision(
        model="m", from_version="1", to_version="2", decision=verdict, why="because", sentinels=0, rules=(),
        settings=GateSettings(),
    )  # fmt: skip
    return PoisonedResult(arm=arm, seed=1, labelled=9, filled_in=7, stopped="", decision=decision, accuracy=(0.9, 0.5))


@pytest.mark.parametrize(
    ("arm", "verdict", "code"), [("pcrl", "promote", 1), ("pcrl", "rollback", 0), (HONEST, "promote", 0)]
)
def test_poison_that_is_promoted_fails_the_benchmark_and_honest_learning_does_not(
    tmp_path: Path, arm: str, verdict: Verdict, code: int
) -> None:
    (tmp_path / f"{arm.replace(' ', '-')}-seed1.json").write_text(result(arm, verdict).model_dump_json())
    words = ["--arms", arm, "--seeds", "1", "--results", str(tmp_path)]
    assert poisoned.main(words) == code


def test_what_a_brake_has_stopped_stands_in_the_table() -> None:
    halted = poisoned._stopped("pcrl", 2, "a brake: the class prior has moved")
    shown = poisoned.table([halted, result("self-training", "rollback")])
    assert shown.row_count == 2
    assert list(shown.columns[6].cells) == ["stopped", "rollback"]
    assert list(shown.columns[7].cells) == ["a brake: the class prior has moved", "because"]
