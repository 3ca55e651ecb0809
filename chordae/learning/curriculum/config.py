"""What a curriculum is told: pydantic unions on `type`, and the sampler, filter and advantage that they name."""

from __future__ import annotations

from typing import Annotated, Literal, assert_never

from pydantic import Field

from chordae.learning.curriculum.advantages.advantage import Advantage
from chordae.learning.curriculum.advantages.drpo import DomainScaled
from chordae.learning.curriculum.advantages.grpo import group_relative
from chordae.learning.curriculum.filters.filter import Filter
from chordae.learning.curriculum.filters.none import keep_all
from chordae.learning.curriculum.filters.zero_variance import ReplaceUnanimous
from chordae.learning.curriculum.rewards.combine import RewardWeights
from chordae.learning.curriculum.samplers.inverse_frequency import sample_inverse_frequency
from chordae.learning.curriculum.samplers.sampler import Sampler
from chordae.learning.curriculum.samplers.thompson import sample_thompson
from chordae.learning.curriculum.samplers.uniform import sample_uniform
from chordae.platform.schemas import Noun


class Uniform(Noun):
    """Every example is as likely as any other."""

    type: Literal["uniform"] = "uniform"


class InverseFrequency(Noun):
    """Every class comes equally often."""

    type: Literal["inverse-frequency"] = "inverse-frequency"


class Thompson(Noun):
    """Classes come the more often, the less accurate they are believed to be."""

    type: Literal["thompson"] = "thompson"


class KeepAll(Noun):
    """Every group is trained on."""

    type: Literal["none"] = "none"


class ZeroVariance(Noun):
    """Groups whose rewards are all exactly equal are replaced."""

    type: Literal["zero-variance"] = "zero-variance"
    resamplings: int = Field(3, ge=1, description="Times at most that a step's unanimous groups are drawn anew.")


class Grpo(Noun):
    """Rewards in units of their group's standard deviation."""

    type: Literal["grpo"] = "grpo"


class Drpo(Noun):
    """The same, scaled by how rare and hard the class is."""

    type: Literal["drpo"] = "drpo"


SamplerConfig = Annotated[Uniform | InverseFrequency | Thompson, Field(discriminator="type")]
FilterConfig = Annotated[KeepAll | ZeroVariance, Field(discriminator="type")]
AdvantageConfig = Annotated[Grpo | Drpo, Field(discriminator="type")]


class CurriculumConfig(Noun):
    """How rounds are drawn, filtered and rewarded. Defaults are CMR-R's; it has no filter."""

    sampler: SamplerConfig = Thompson()
    filter: FilterConfig = KeepAll()
    advantage: AdvantageConfig = Grpo()
    rewards: RewardWeights = RewardWeights()
    round_prompts: int = Field(2000, ge=1, description="Prompts that a round trains on before it is assessed.")
    small_below: int = Field(
        2000, ge=0, description="Classes with fewer examples are reused at every draw; 0: none is."
    )


def make_sampler(config: Uniform | InverseFrequency | Thompson) -> Sampler:
    """The sampler that a configuration names."""
    match config:
        case Uniform():
            return sample_uniform
        case InverseFrequency():
            return sample_inverse_frequency
        case Thompson():
            return sample_thompson
    assert_never(config)


def make_filter(config: KeepAll | ZeroVariance) -> Filter:
    """The filter that a configuration names."""
    match config:
        case KeepAll():
            return keep_all
        case ZeroVariance():
            return ReplaceUnanimous(config.resamplings)
    assert_never(config)


def make_advantage(config: Grpo | Drpo, rewards: RewardWeights) -> Advantage:
    """The advantage that a configuration names, for rewards of these weights."""
    match config:
        case Grpo():
            return group_relative
        case Drpo():
            low, high = rewards.bounds()
            return DomainScaled(low, high)
    assert_never(config)
