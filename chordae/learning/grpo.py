"""Stage 3: answers to multiple-choice questions are sampled, the right ones are made likelier, with TRL's GRPOTrainer.

The trainer brings the loss, the advantages within a group, the reference model and the checkpoints. It knows pictures,
not videos, and how to generate with transformers or vLLM; so two of its steps are replaced: where answers come from
(`rollout.sample_answers`), and what the model is given when log-probabilities are computed (the media of each prompt).
A row of a run is only the number of its prompt.
"""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor

from chordae.learning import checkpoint
from chordae.learning.grpo_config import ExpertGrpo, GrpoConfig
from chordae.learning.language import last_whole_checkpoint, last_whole_step
from chordae.learning.launch import Session
from chordae.learning.reasoner_run import ReasonerRun
from chordae.learning.rewards import chose_right
from chordae.learning.rollout import Prompts, StudyPrompts, encoded_once, sample_answers
from chordae.learning.sft import summary
from chordae.learning.sharding import trainer_arguments, whole_model
from chordae.learning.tracking_callback import Report, tell
from chordae.learning.vision import batched_attention
from chordae.platform.torch_libs import mend_torchvision

mend_torchvision()  # trl imports transformers' processors

from transformers import PrinterCallback  # noqa: E402
from trl import GRPOConfig as GrpoArguments  # noqa: E402
from trl import GRPOTrainer  # noqa: E402
from trl.models import unwrap_model_for_generation  # noqa: E402

SEEDS = 2**31
NOTED = {
    "loss": "loss",
    "reward": "reward",
    "kl": "kl",
    "entropy": "entropy",
    "completions/mean_length": "answer_tokens",
    "completions/clipped_ratio": "cut_off",
    "frac_reward_zero_std": "unanimous",
}
"""TRL's figures of a step, and what the log of losses calls them. Unanimous groups teach nothing."""


def run(session: Session) -> tuple[Any, Any, dict[str, Any]]:
    """Train; returns the model, its tokenizer and figures for the manifest."""
    config: GrpoConfig = session.config
    model, tokenizer = checkpoint.begin(config)
    model.to(session.device)
    prompts = StudyPrompts(session.studies(), tokenizer, config.seed, config.augment, config.prompt_tokens)
    losses = session.losses(last_whole_step(session.work))
    trainer = make_trainer(model, tokenizer, prompts, config, session.work)
    trainer.add_callback(_Noted(trainer, losses, session.say, config.steps))
    last = last_whole_checkpoint(session.work)
    with batched_attention(model), nullcontext() if config.kl == 0 else batched_attention(trainer.ref_model):
        trainer.train(resume_from_checkpoint=None if last is None else str(last))
    if losses is not None:
        losses.flush(config.steps)
    return whole_model(trainer), tokenizer, summary(session.work)


class _Noted(Report):
    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        """One step is done; the trainer's last log, of the whole run, has no reward."""
        if not logs or "reward" not in logs:
            return
        values = {name: float(logs[theirs]) for theirs, name in NOTED.items() if theirs in logs}
        if self.losses is not None:
            self.losses.add(state.global_step, values)
        tell(self.say, state.global_step, self.steps, values, self.started)


def grpo_arguments(config: ExpertGrpo | ReasonerRun, work: Path, cuda: bool, **more: Any) -> GrpoArguments:
    """TRL's arguments for a configuration; `more` are those that it alone has.

    The loss is the original one: the mean over an answer's tokens, then over answers; advantages in units of their
    group's standard deviation; `beta` weighs the low-variance estimate of the divergence, exp(d) - d - 1 with d the
    reference's log-probability less the policy's (Schulman 2020; Shao et al. 2024, equation 4).
    """
    settings: dict[str, Any] = {
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": config.warmup,
    }
    settings |= trainer_arguments(config.sharding, config.learning_rate, config.warmup)
    return GrpoArguments(
        output_dir=str(work),
        max_steps=config.steps,
        per_device_train_batch_size=config.batch,
        num_generations=config.group,
        max_completion_length=config.answer_tokens,
        temperature=config.temperature,
        beta=config.kl,
        loss_type="grpo",
        scale_rewards="group",
        shuffle_dataset=False,
        save_strategy="steps",
        save_steps=config.save_every,
        save_total_limit=1,
        logging_steps=1,
        max_grad_norm=1.0,
        bf16=config.bf16,
        use_cpu=not cuda,
        gradient_checkpointing=False,
        remove_unused_columns=False,
        dataloader_pin_memory=cuda,
        report_to=[],
        disable_tqdm=True,
        seed=config.seed % SEEDS,
        **settings,
        **more,
    )


def make_trainer(model: Any, tokenizer: Any, prompts: Prompts, config: GrpoConfig, work: Path) -> "PolicyTrainer":
    """A trainer of `model` as `policy_options` has it."""
    return PolicyTrainer(**policy_options(model, tokenizer, prompts, config, work))


def policy_options(model: Any, tokenizer: Any, prompts: Prompts, config: ExpertGrpo, work: Path) -> dict[str, Any]:
    """What such a trainer is told of `model`, which was loaded from `config.start`; checkpoints lie in `work`.

    The reference model is loaded from there again.
    """
    arguments = grpo_arguments(config, work, next(model.parameters()).device.type == "cuda")
    in_step = config.batch * arguments.gradient_accumulation_steps * max(arguments.world_size, 1) // config.group
    return {
        "prompts": prompts,
        "model": model,
        "reward_funcs": _reward(prompts),
        "args": arguments,
        "train_dataset": Dataset.from_dict({"prompt": [str(number) for number in range(config.steps * in_step)]}),
        "processing_class": tokenizer,
        "rollout_func": _rollout,
    }


def _reward(asked: Prompts) -> Callable[..., list[float]]:
    def right(prompts: list[str], completions: list[str], **columns: Any) -> list[float]:
        drawn = (asked.draw(int(number)) for number in prompts)
        return [chose_right(prompt.mcq, said) for prompt, said in zip(drawn, completions, strict=True)]

    return right


def _rollout(prompts: list[str], trainer: "PolicyTrainer") -> dict[str, Any]:
    """TRL's rollout function: the answers of one worker, several in a row to the same prompt."""
    group, numbers = trainer.num_generations, [int(prompt) for prompt in prompts]
    asked = numbers[::group]
    inputs = trainer.prompts.inputs(asked, trainer.accelerator.device)
    with unwrap_model_for_generation(trainer.model_wrapped, trainer.accelerator) as model:
        answers = sample_answers(model, inputs, group, trainer.sampling, trainer.generator())
    return {
        "prompt_ids": [list(trainer.prompts.draw(number).ids) for number in numbers],
        "completion_ids": [answer.ids for answer in answers],
        "logprobs": [answer.logprobs for answer in answers],
    }


class PolicyTrainer(GRPOTrainer):  # type: ignore[misc]
    """TRL's, whose rows are numbers of prompts that bring their media."""

    def __init__(self, prompts: Prompts, **options: Any) -> None:
        self.prompts = prompts
        self._numbers: list[int] = []
        super().__init__(**options)
        self.remove_callback(PrinterCallback)
        self.sampling = prompts.sampling(self.max_completion_length, self.temperature)

    def generator(self, *stream: int) -> torch.Generator:
        """Of this step and worker: what a resumed run draws does not depend on what was drawn before."""
        drawn = torch.Generator(self.accelerator.device)
        place = self.state.global_step * self.accelerator.num_processes + self.accelerator.process_index
        return drawn.manual_seed(int(np.random.SeedSequence([self.args.seed, place, *stream]).generate_state(1)[0]))

    def create_model_card(self, *names: Any, **options: Any) -> None:
        """None: a checkpoint's card is written with the checkpoint, not with every step that is saved."""

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self._numbers = [int(row["prompt"]) for row in inputs]
        scored: dict[str, Any] = super()._generate_and_score_completions(inputs)
        return scored | {"number": torch.tensor([int(row["prompt"]) for row in inputs])}

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        self._numbers = inputs["number"].tolist()
        loss: Tensor = super()._compute_loss(model, inputs)
        return loss

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        **options: Any,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """TRL's, a part at a time, each with the media of its own prompts; `self._numbers` says which they are."""
        size = batch_size or len(input_ids)
        parts = []
        for part in (slice(first, first + size) for first in range(0, len(input_ids), size)):
            numbers = self._numbers[part]
            distinct = list(dict.fromkeys(numbers))
            owners = [distinct.index(number) for number in numbers]
            seen = self._media(distinct, owners, input_ids[part])
            with encoded_once(self.accelerator.unwrap_model(model), owners, self.prompts.modality):
                parts.append(
                    super()._get_per_token_logps_and_entropies(
                        partial(model, **seen), input_ids[part], attention_mask[part], logits_to_keep, **options
                    )
                )
        logprobs, entropies, _ = zip(*parts, strict=True)
        return torch.cat(logprobs), None if entropies[0] is None else torch.cat(entropies), None

    def _media(self, distinct: list[int], owners: list[int], ids: Tensor) -> dict[str, Tensor]:
        """The media of distinct prompts; grids and seconds for every row, for its positions follow from them."""
        media = self.prompts.media(distinct, ids.device)
        media = {name: value if name.startswith("pixel") else value[owners] for name, value in media.items()}
        return media | {"mm_token_type_ids": self.prompts.token_types(ids)}

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """By `from_pretrained`: checkpoints have the weights' names of Qwen2.5-VL's first release."""
        if self.is_fsdp_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        stored = type(self.model).from_pretrained(resume_from_checkpoint, dtype=self.model.dtype)
        self.model.load_state_dict(stored.state_dict())
