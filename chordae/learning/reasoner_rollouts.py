"""Where the reasoner's answers come from: several sampled for each prompt, or the likeliest one.

Behind one interface, so that an inference engine can take the place of transformers.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from chordae.learning.rollout import Sampled, Sampling, sample_answers
from chordae.platform.torch_libs import mend_torchvision

mend_torchvision()  # trl imports transformers' processors

from trl.models import unwrap_model_for_generation  # noqa: E402

COLDEST = 1e-4
"""Temperature that stands for greedy: a token less likely by 1 % has a share below e^-100."""
AT_ONCE = 32
"""Prompts that are answered greedily in one batch."""


class Rollouts(Protocol):
    """Answers of the model as it is at this step."""

    def sample(self, prompts: Sequence[list[int]], copies: int, generator: torch.Generator) -> list[Sampled]:
        """`copies` answers to each prompt (token ids), in order, each token with its log-probability."""
        ...

    def greedy(self, prompts: Sequence[list[int]]) -> list[list[int]]:
        """The likeliest answer to each prompt, as token ids."""
        ...


class TransformersRollouts:
    """The trainer's own model generates, in its own process."""

    def __init__(self, trainer: Any, sampling: Sampling) -> None:
        self.trainer, self.sampling = trainer, sampling

    def sample(self, prompts: Sequence[list[int]], copies: int, generator: torch.Generator) -> list[Sampled]:
        """As `Rollouts.sample`; prompts are read once for all their answers."""
        accelerator = self.trainer.accelerator
        inputs = padded(prompts, self.trainer.processing_class.pad_token_id, accelerator.device)
        with unwrap_model_for_generation(self.trainer.model_wrapped, accelerator) as model:
            return sample_answers(model, inputs, copies, self.sampling, generator)

    def greedy(self, prompts: Sequence[list[int]]) -> list[list[int]]:
        """As `Rollouts.greedy`: prompts of like length together."""
        accelerator, pad = self.trainer.accelerator, self.trainer.processing_class.pad_token_id
        order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
        cold = Sampling(self.sampling.limit, COLDEST, self.sampling.ends, self.sampling.never)
        generator = torch.Generator(accelerator.device).manual_seed(0)
        answers: list[list[int]] = [[] for _ in prompts]
        with unwrap_model_for_generation(self.trainer.model_wrapped, accelerator) as model:
            for first in range(0, len(order), AT_ONCE):
                places = order[first : first + AT_ONCE]
                inputs = padded([prompts[place] for place in places], pad, accelerator.device)
                for place, answer in zip(places, sample_answers(model, inputs, 1, cold, generator), strict=True):
                    answers[place] = answer.ids
        return answers


def padded(prompts: Sequence[list[int]], pad: int, device: torch.device) -> dict[str, Tensor]:
    """A text model's inputs, padded at the start: ids, attention and positions of (B, L)."""
    length = max(map(len, prompts))
    ids = torch.full((len(prompts), length), pad)
    attention = torch.zeros((len(prompts), length), dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, length - len(prompt) :] = torch.tensor(prompt)
        attention[row, length - len(prompt) :] = 1
    positions = (attention.cumsum(1) - 1).clamp(min=0)
    inputs = {"input_ids": ids, "attention_mask": attention, "position_ids": positions}
    return {name: value.to(device) for name, value in inputs.items()}
