"""MA-GRPO, the reasoner's reinforcement: sample a round -> GRPO -> assess on the development set -> update beliefs.

TRL's GRPOTrainer brings loss, advantages, reference model and checkpoints. Which prompts a step has is the curriculum's
to say, not a dataset's, so rows are placeholders and the rollout function brings prompts, answers and rewards. The
curriculum's state is written between the weights and the trainer's own state, which comes last: a checkpoint that is
whole has both, of the same step.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch.optim.lr_scheduler import LambdaLR

from chordae.learning import checkpoint
from chordae.learning.config import MaGrpoConfig
from chordae.learning.curriculum.config import make_advantage, make_filter, make_sampler
from chordae.learning.curriculum.rounds import Curriculum
from chordae.learning.curriculum.state import CurriculumState
from chordae.learning.engine_rollouts import engine_rollouts
from chordae.learning.grpo import SEEDS, grpo_arguments
from chordae.learning.language import last_whole_checkpoint, last_whole_step
from chordae.learning.launch import Session
from chordae.learning.ma_grpo_report import RoundReport
from chordae.learning.reasoner_cases import Cases, Group, assess
from chordae.learning.reasoner_rollouts import Rollouts, TransformersRollouts
from chordae.learning.sft import summary
from chordae.learning.sharding import whole_model
from chordae.platform.errors import BadSettings
from chordae.platform.torch_libs import mend_torchvision
from chordae.platform.weights import fetch_checkpoint

mend_torchvision()  # trl imports transformers' processors

from transformers import PrinterCallback, TrainerCallback  # noqa: E402
from trl import GRPOConfig as GrpoArguments  # noqa: E402
from trl import GRPOTrainer  # noqa: E402

PARTS = ("format", "answer", "cosine")
"""Of the reward, in the order of TRL's reward functions."""


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
        with ExitStack() as stack:
            if config.engine is not None:
                checkpoint_of = fetch_checkpoint(str(config.start), None)
                engine = engine_rollouts(checkpoint_of, config.engine, trainer, training.sampling(config))
                trainer.rollouts = stack.enter_context(engine)
            trainer.train(resume_from_checkpoint=None if last is None else str(last))
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
    """A trainer of `model`, which was loaded from `config.start`; the reference model is loaded from there again.

    Its checkpoints lie in `work`.
    """
    weights = [getattr(config.curriculum.rewards, part) for part in PARTS]
    arguments = grpo_arguments(
        config, work, next(model.parameters()).device.type == "cuda", num_iterations=1, reward_weights=weights
    )
    trainer = MaGrpoTrainer(
        training=training,
        curriculum=curriculum,
        config=config,
        model=model,
        reward_funcs=[_part(name) for name in PARTS],
        args=arguments,
        train_dataset=Dataset.from_dict({"prompt": [str(row) for row in range(config.steps * config.step_prompts)]}),
        processing_class=tokenizer,
        rollout_func=_rollout,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _part(name: str) -> Callable[..., list[float]]:
    """A reward function that hands on what the rollout found."""

    def worth(prompts: list[str], completions: list[str], **columns: Any) -> list[float]:
        found: list[float] = columns[name]
        return found

    worth.__name__ = name
    return worth


def _rollout(prompts: list[str], trainer: "MaGrpoTrainer") -> dict[str, Any]:
    """TRL's rollout function: the step's groups, one after the other."""
    groups = trainer.roll_step(len(prompts) // trainer.num_generations)
    answers = [answer for group in groups for answer in group.answers]
    worth = [one for group in groups for one in group.worth]
    return {
        "prompt_ids": [group.prompt for group in groups for _ in group.answers],
        "completion_ids": [answer.ids for answer in answers],
        "logprobs": [answer.logprobs for answer in answers],
        "example": [group.example for group in groups for _ in group.answers],
        "category": [group.category for group in groups for _ in group.answers],
    } | {name: [getattr(one, name) for one in worth] for name in PARTS}


class MaGrpoTrainer(GRPOTrainer):  # type: ignore[misc]
    """TRL's, whose prompts a curriculum chooses.

    Raises:
        BadSettings: answers would be used more than once: a resumed run would lack those of the step before.
    """

    def __init__(self, training: Cases, curriculum: Curriculum, config: MaGrpoConfig, **options: Any) -> None:
        arguments: GrpoArguments = options["args"]
        if arguments.num_iterations != 1:
            raise BadSettings("num_iterations is not 1", "answers are used once, then drawn anew")
        self.training, self.curriculum, self.config = training, curriculum, config
        self.groups: list[Group] = []
        """Of the step in progress."""
        self.unanimous, self.replaced, self.left = 0, 0, 0
        super().__init__(**options)
        self.rollouts: Rollouts = TransformersRollouts(self, training.sampling(config))
        self._filter = make_filter(config.curriculum.filter)
        self._advantage = make_advantage(config.curriculum.advantage, config.curriculum.rewards)

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
        """The groups that a step of `count` prompts trains on; a new round is drawn where the last one is assessed."""
        if self.curriculum.state.current is None:
            self.curriculum.begin_round(self.config.curriculum.round_prompts)
        calls = iter(range(SEEDS))
        first = self._roll(self.curriculum.take(count), next(calls))
        filtered = self._filter(first, lambda more: self._roll(self.curriculum.extra(more), next(calls)))  # noqa: S610 - no Django
        self.groups = filtered.groups
        self.unanimous, self.replaced, self.left = filtered.unanimous, filtered.replaced, filtered.left
        return self.groups

    def _roll(self, examples: Sequence[str], call: int) -> list[Group]:
        """Answers to these examples' prompts, and what they are worth; `call` counts the rollouts of a step."""
        prompts = [self.training.prompt(example) for example in examples]
        answers = self.rollouts.sample(prompts, self.num_generations, self.generator(call))
        self.curriculum.note_rollouts(len(answers))
        return self.training.groups(examples, answers, self.num_generations, self.config.curriculum.rewards)

    def generator(self, call: int) -> torch.Generator:
        """Of this step and call: what a resumed run draws does not depend on what was drawn before."""
        seed = np.random.SeedSequence([self.args.seed, self.state.global_step, call]).generate_state(1)[0]
        return torch.Generator(self.accelerator.device).manual_seed(int(seed))

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

    def create_model_card(self, *names: Any, **options: Any) -> None:
        """None: a checkpoint's card is written with the checkpoint, not with every step that is saved."""


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
