"""Options are unions on `type`; each makes the part that it names, and nothing else is understood."""

import numpy as np
import pytest

from chordae.learning.curriculum.config import (
    AdvantageConfig,
    CurriculumConfig,
    Drpo,
    Grpo,
    InverseFrequency,
    KeepAll,
    Thompson,
    Uniform,
    ZeroVariance,
    make_advantage,
    make_filter,
    make_sampler,
)


def test_every_option_is_named_by_its_type_and_makes_its_part() -> None:
    config = CurriculumConfig.model_validate(
        {
            "sampler": {"type": "inverse-frequency"},
            "filter": {"type": "zero-variance", "resamplings": 2},
            "advantage": {"type": "drpo"},
        }
    )
    assert (config.sampler, config.filter, config.advantage) == (
        InverseFrequency(),
        ZeroVariance(resamplings=2),
        Drpo(),
    )
    assert CurriculumConfig.model_validate_json(config.model_dump_json()) == config
    defaults = CurriculumConfig()
    assert (defaults.sampler, defaults.filter, defaults.advantage) == (Thompson(), KeepAll(), Grpo())
    samplers = {make_sampler(one) for one in (Uniform(), InverseFrequency(), Thompson())}
    assert len(samplers) == 3
    assert make_filter(KeepAll()) is not make_filter(ZeroVariance())
    rewards = np.array([[3.0, -1.0], [2.0, 1.0]])
    options: list[AdvantageConfig] = [Grpo(), Drpo()]
    plain, scaled = (make_advantage(one, defaults.rewards)(rewards, ["a", "b"]) for one in options)
    assert (np.sign(plain) == np.sign(scaled)).all()
    assert plain != pytest.approx(scaled)


@pytest.mark.parametrize("wrong", [{"sampler": {"type": "thomson"}}, {"filter": {"type": "none", "resamplings": 2}}])
def test_unknown_types_and_keys_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"type|resamplings"):
        CurriculumConfig.model_validate(wrong)
