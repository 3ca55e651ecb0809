"""The digest by which a manifest names the configuration that made a model."""

import json
from typing import Any

import pytest
from pydantic import Field

from chordae.learning.config import MaGrpoConfig, parse_config
from chordae.learning.curriculum.config import CurriculumConfig
from chordae.learning.grpo_config import ExpertGrpo
from chordae.learning.pcrl.config import PcrlConfig
from chordae.learning.pcrl.mcq_config import McqPcrlConfig
from chordae.learning.reasoner_run import ReasonerRun
from chordae.learning.run_config import NanoShape, Run

SFT = {"type": "sft", "name": "a", "version": "1", "phases": [{"steps": 3, "tasks": 1.0}]}
MA_GRPO = {
    "type": "ma-grpo",
    "name": "a",
    "version": "1",
    "start": "var/models/a",
    "cases": ["cases"],
    "development": ["development"],
    "rounds": 2,
    "curriculum": {"round_prompts": 8},
}
CONFIGS: dict[str, dict[str, Any]] = {"sft": SFT, "ma-grpo": MA_GRPO}


def digest(values: dict[str, Any], *more: dict[str, Any]) -> str:
    for one in more:
        values = values | one
    return parse_config(values).digest()


class WiderShape(NanoShape):
    """As a later version's, which has learned something more."""

    experts: int = 1


class WiderCurriculum(CurriculumConfig):
    warm: bool = False
    decay: NanoShape = Field(default_factory=NanoShape)


class Wider(MaGrpoConfig):
    penalty: float = 0.0
    shape: NanoShape = Field(default_factory=WiderShape)
    curriculum: CurriculumConfig = Field(default_factory=WiderCurriculum)


def test_a_field_that_is_added_with_a_default_changes_no_digest_at_any_depth() -> None:
    config = parse_config(MA_GRPO)
    wider = Wider.model_validate(MA_GRPO | {"curriculum": WiderCurriculum(round_prompts=8)})
    assert wider.digest() == config.digest()
    assert Wider.model_validate(MA_GRPO | {"curriculum": WiderCurriculum(round_prompts=8, warm=True)}).digest() != (
        config.digest()
    )
    assert wider.model_copy(update={"penalty": 0.5}).digest() != config.digest()


@pytest.mark.parametrize(("kind", "whose"), [(PcrlConfig, ReasonerRun), (McqPcrlConfig, ExpertGrpo)])
def test_pcrl_has_the_defaults_and_limits_of_those_whose_it_is(kind: type[Run], whose: type[Run]) -> None:
    for name in whose.model_fields.keys() - {"type", "steps", "workers"}:
        assert repr(kind.model_fields[name]) == repr(whose.model_fields[name]), name
    assert "Le(le=1)" in repr(kind.model_fields["workers"]), "one state"


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_value_that_is_said_though_it_is_the_default_changes_nothing_nor_does_the_order(kind: str) -> None:
    values = CONFIGS[kind]
    said = json.loads(parse_config(values).model_dump_json())
    assert digest(said) == digest(values) == digest(dict(reversed(said.items())))


@pytest.mark.parametrize(
    "change",
    [
        {"name": "b"},
        {"version": "2"},
        {"seed": 1},
        {"start": "var/models/b"},
        {"vocabulary": 600},
        {"bf16": False},
        {"use_gpu": False},
        {"held_out": ["test"]},
        {"shape": {"depth": 4}},
        {"phases": [{"steps": 3, "tasks": 0.5}]},
        {"phases": [{"steps": 3, "tasks": 1.0, "blind": 1.0}]},
        {"phases": [{"steps": 1, "tasks": 1.0}, {"steps": 2, "tasks": 1.0}]},
    ],
    ids=str,
)
def test_every_other_value_makes_another_digest(change: dict[str, Any]) -> None:
    assert digest(SFT, change) != digest(SFT)


def test_members_of_a_union_that_leave_all_else_at_its_defaults_are_told_apart() -> None:
    samplers = [{"sampler": {"type": name}} for name in ("uniform", "inverse-frequency", "thompson")]
    others = [{"filter": {"type": "zero-variance"}}, {"advantage": {"type": "drpo"}}]
    made = [digest(MA_GRPO, {"curriculum": {"round_prompts": 8} | one}) for one in samplers + others]
    assert len(set(made)) == len(made)
    assert made[2] == digest(MA_GRPO)  # Thompson sampling is the default
