"""GRPO of the reasoner, whatever decides what it is asked.

TRL's GRPOTrainer brings loss, advantages, reference model and checkpoints. Which prompts a step has is a plan's to say
(a curriculum's, a round of pseudo-labels'), not a dataset's, so rows are placeholders, and the rollout function brings
prompts, answers and rewards.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor

from chordae.learning.engine_rollouts import engine_rollouts
from chordae.learning.grpo import grpo_arguments
from chordae.learning.reasoner_cases import Asked, Group
from chordae.learning.reasoner_rollouts import Rollouts, TransformersRollouts
from chordae.learning.reasoner_run import ReasonerRun
from chordae.learning.shared_prompts import reading_once
from chordae.platform.errors import BadSettings
from chordae.platform.torch_libs import mend_torchvision
from chordae.platform.weights import fetch_checkpoint

mend_torchvision()  # trl imports transformers' processors

from transformers import PrinterCallback  # noqa: E402
from trl import GRPOConfig as GrpoArguments  # noqa: E402
from trl import GRPOTrainer  # noqa: E402

PARTS = ("format", "answer", "cosine", "faithful")
"""Of the reward, in the order of TRL's reward functions."""


def trainer_options(model: Any, tokenizer: Any, config: ReasonerRun, work: Path) -> dict[str, Any]:
    """What every such trainer is told of `model`, which was loaded from `config.start`; checkpoints lie in `work`.

    The reference model is loaded from there again.
    """
    weights = [getattr(config.worth, part) for part in PARTS]
    cuda = next(model.parameters()).device.type == "cuda"
    return {
        "model": model,
        "reward_funcs": [_part(name) for name in PARTS],
        "args": grpo_arguments(config, work, cuda, num_iterations=1, reward_weights=weights),
        "train_dataset": Dataset.from_dict({"prompt": [str(row) for row in range(config.steps * config.step_prompts)]}),
        "processing_class": tokenizer,
        "rollout_func": _rollout,
    }


@contextmanager
def train_with_rollouts(trainer: "ReasonerTrainer", last: Path | None) -> Iterator[None]:
    """Train, from the checkpoint `last` if there is one, then go on while whoever draws the answers is still there.

    Raises:
        BadSettings: the engine cannot be started.
    """
    config = trainer.config
    with ExitStack() as stack:
        if config.engine is not None:
            start = fetch_checkpoint(str(config.start), None)
            engine = engine_rollouts(start, config.engine, trainer, trainer.training.sampling(config))
            trainer.rollouts = stack.enter_context(engine)
        trainer.train(resume_from_checkpoint=None if last is None else str(last))
        yield


def _part(name: str) -> Callable[..., list[float]]:
    """A reward function that hands on what the rollout found."""

    def worth(prompts: list[str], completions: list[str], **columns: Any) -> list[float]:
        found: list[float] = columns[name]
        return found

    worth.__name__ = name
    return worth


def _rollout(prompts: list[str], trainer: "ReasonerTrainer") -> dict[str, Any]:
    """TRL's rollout function: the step's groups, one after the other."""
    trainer.groups = trainer.roll_step(len(prompts) // trainer.num_generations)
    answers = [answer for group in trainer.groups for answer in group.answers]
    worth = [one for group in trainer.groups for one in group.worth]
    return {
        "prompt_ids": [group.prompt for group in trainer.groups for _ in group.answers],
        "completion_ids": [answer.ids for answer in answers],
        "logprobs": [answer.logprobs for answer in answers],
        "example": [group.example for group in trainer.groups for _ in group.answers],
        "category": [group.category for group in trainer.groups for _ in group.answers],
    } | {name: [getattr(one, name) for one in worth] for name in PARTS}


class ReasonerTrainer(GRPOTrainer):  # type: ignore[misc]
    """TRL's; `roll_step` says what a step trains on.

    Raises:
        BadSettings: answers would be used more than once: a resumed run would lack those of the step before.
    """

    def __init__(self, training: Asked, config: ReasonerRun, **options: Any) -> None:
        arguments: GrpoArguments = options["args"]
        if arguments.num_iterations != 1:
            raise BadSettings("num_iterations is not 1", "answers are used once, then drawn anew")
        self.training, self.config = training, config
        self.groups: list[Group] = []
        """Of the step in progress."""
        super().__init__(**options)
        self.rollouts: Rollouts = TransformersRollouts(self, training.sampling(config))
        self.remove_callback(PrinterCallback)

    def roll_step(self, count: int) -> list[Group]:
        """The groups that a step of `count` prompts trains on."""
        raise NotImplementedError

    def roll(self, examples: Sequence[str], call: int) -> list[Group]:
        """Answers to these examples' prompts, and what they are worth; `call` counts the rollouts of a step."""
        prompts = [self.training.prompt(example) for example in examples]
        answers = self.rollouts.sample(prompts, self.num_generations, self.generator(call))
        return self.training.groups(examples, answers, self.num_generations, self.config.worth)

    def generator(self, call: int) -> torch.Generator:
        """Of this step and call: what a resumed run draws does not depend on what was drawn before."""
        seed = np.random.SeedSequence([self.args.seed, self.state.global_step, call]).generate_state(1)[0]
        return torch.Generator(self.accelerator.device).manual_seed(int(seed))

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        **options: Any,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """TRL's, with every prompt read once for all of its group's answers."""
        config, precision = self.model.config, self.accelerator.autocast
        reading = reading_once(model, config, input_ids, attention_mask, logits_to_keep, precision)
        rest = slice(-logits_to_keep - 1, None)
        found: tuple[Tensor, Tensor | None, Tensor | None] = super()._get_per_token_logps_and_entropies(
            reading, input_ids[:, rest], attention_mask[:, rest], logits_to_keep, **options
        )
        return found

    def create_model_card(self, *names: Any, **options: Any) -> None:
        """None: a checkpoint's card is written with the checkpoint, not with every step that is saved."""
