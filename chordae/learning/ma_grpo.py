"""MA-GRPO, the reasoner's reinforcement: sample a round -> GRPO -> assess on the development set -> update beliefs.

The curriculum's state is written between the weights and the trainer's own state, which comes last: a checkpoint that
is whole has both, of the same step.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim.lr_scheduler import LambdaLR

from chordae.learning import checkpoint
from chordae.learning.config import MaGrpoConfig
from chordae.learning.curriculum.config import make_advantage, make_filter, make_sampler
from chordae.learning.curriculum.rounds import Curriculum
from chordae.learning.curriculum.state import CurriculumState
from chordae.learning.grpo import SEEDS
from chordae.learning.language import last_whole_checkpoint, last_whole_step
from chordae.learning.launch import Session
from chordae.learning.ma_grpo_report import RoundReport
from chordae.learning.reasoner_cases import Cases, Group, assess
from chordae.learning.reasoner_grpo import ReasonerTrainer, train_with_rollouts, trainer_options
from chordae.learning.sft import summary
from chordae.learning.sharding import whole_model
from chordae.platform.torch_libs import mend_torchvision

mend_torchvision()  # trl imports transformers' processors

from transformers import TrainerCallback  # noqa: E402


def run(session: Session) -> tuple[Any, Any, dict[str, Any]]:
    """Train; returns the model, its tokenizer and figures for the manifest."""
    config: MaGrpoConfig = session.config
    model, tokenizer = checkpoint.begin(config)
    model.to(session.device)
    training = Cases(config.cases, tokenizer, config.prompts, config.prompt_tokens)
    development = Cases(config.development, tokenizer, config.prompts, config.prompt_tokens)
    training.refuse_unknown(development)
    last = last_whole_checkpoint(session.work)
    curriculum = begin_curriculum(config, training, last)
    losses = session.losses(last_whole_step(session.work))
    trainer = make_trainer(model, tokenizer, training, curriculum, config, session.work)
    report = RoundReport(trainer, losses, session.say, config.steps)
    trainer.add_callback(_Assessment(trainer, development, report))
    trainer.add_callback(report)
    if trainer.spent and last is not None:  # killed between its last step and its end
        trainer._load_from_checkpoint(str(last))
    else:
        with train_with_rollouts(trainer, last):
            pass
    if losses is not None:
        losses.flush(config.steps)
    state = curriculum.state
    figures: dict[str, float] = {"rollouts": state.rollouts, "rounds": state.rounds}
    figures |= {f"posterior.{name}": round(one.mean, 5) for name, one in state.posteriors.items()}
    return whole_model(trainer), tokenizer, summary(session.work) | figures


def begin_curriculum(config: MaGrpoConfig, training: Cases, last: Path | None) -> Curriculum:
    """A new curriculum, or that of the checkpoint that the run goes on from.

    Raises:
        BadInput: a class has no cases, or the checkpoint no readable state.
        BadSettings: the cases are not those that the run began with.
    """
    sampler, ids = make_sampler(config.curriculum.sampler), training.ids_by_class()
    if last is None:
        return Curriculum.begin(ids, config.curriculum.small_below, config.seed, sampler)
    state = CurriculumState.read(last)
    state.refuse_other_examples(ids)
    return Curriculum(state, sampler)


def make_trainer(
    model: Any, tokenizer: Any, training: Cases, curriculum: Curriculum, config: MaGrpoConfig, work: Path
) -> "MaGrpoTrainer":
    """A trainer of `model`, as `trainer_options` has it."""
    return MaGrpoTrainer(curriculum, training, config, **trainer_options(model, tokenizer, config, work))


class MaGrpoTrainer(ReasonerTrainer):
    """The reasoner's, whose prompts a curriculum chooses."""

    def __init__(self, curriculum: Curriculum, training: Cases, config: MaGrpoConfig, **options: Any) -> None:
        self.curriculum = curriculum
        self.unanimous, self.replaced, self.left = 0, 0, 0
        super().__init__(training, config, **options)
        self.config: MaGrpoConfig = config
        self._filter = make_filter(config.curriculum.filter)
        self._advantage = make_advantage(config.curriculum.advantage, config.worth)

    @property
    def spent(self) -> bool:
        """The budget of answers is used up, where there is one."""
        return self.config.budget is not None and self.curriculum.state.rollouts >= self.config.budget

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Linear warm-up and cosine over the steps; with a budget over its answers: how many steps those make, nobody
        knows."""
        budget, warmup = self.config.budget, self.config.warmup
        if budget is None:
            return super().create_scheduler(num_training_steps, optimizer)

        def rate(step: int) -> float:
            share = min(1.0, self.curriculum.state.rollouts / budget)
            return min(1.0, step / warmup) * (1 + math.cos(math.pi * share)) / 2

        self.lr_scheduler: Any = LambdaLR(optimizer or self.optimizer, rate)
        self._created_lr_scheduler = True
        return self.lr_scheduler

    def roll_step(self, count: int) -> list[Group]:
        """As `ReasonerTrainer.roll_step`; a new round is drawn where the last one is assessed."""
        if self.curriculum.state.current is None:
            self.curriculum.begin_round(self.config.curriculum.round_prompts)
        calls = iter(range(SEEDS))
        first = self.roll(self.curriculum.take(count), next(calls))
        filtered = self._filter(first, lambda more: self.roll(self.curriculum.extra(more), next(calls)))  # noqa: S610 - no Django
        self.unanimous, self.replaced, self.left = filtered.unanimous, filtered.replaced, filtered.left
        return filtered.groups

    def roll(self, examples: Sequence[str], call: int) -> list[Group]:
        """As `ReasonerTrainer.roll`, counted."""
        groups = super().roll(examples, call)
        self.curriculum.note_rollouts(sum(len(group.answers) for group in groups))
        return groups

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """TRL's, which compares answers within groups; another advantage takes the place of its own."""
        scored: dict[str, Any] = super()._generate_and_score_completions(inputs)
        if self.config.curriculum.advantage.type != "grpo":
            rewards = np.array([group.rewards for group in self.groups])
            found = self._advantage(rewards, [group.category for group in self.groups])
            scored["advantages"] = torch.as_tensor(found.ravel()).to(scored["advantages"])
        return scored

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        self.curriculum.state.write(Path(output_dir))


class _Assessment(TrainerCallback):  # type: ignore[misc]
    """Ends a round whose prompts were all trained on, before the step is logged and saved; with the budget the run."""

    def __init__(self, trainer: MaGrpoTrainer, development: Cases, report: RoundReport) -> None:
        self.trainer, self.development, self.report = trainer, development, report

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        curriculum = self.trainer.curriculum
        current = curriculum.state.current
        if current is None or (curriculum.left and not self.trainer.spent):
            return
        found = assess(self.trainer.rollouts, self.development)
        if not curriculum.left:
            curriculum.end_round(found.counts)
        self.report.round(current, found, curriculum.state)
        control.should_training_stop |= self.trainer.spent
