"""Next-token loss on answers, with TRL's SFTTrainer: stage 2, and stage 1 of large models."""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import Sampler, SequentialSampler

from chordae.learning.batches import ConversationCollator
from chordae.learning.config import Phase, PretrainConfig, SftConfig
from chordae.learning.encoder import schedule
from chordae.learning.foreign import Foreign
from chordae.learning.optimiser import MuonAdamW, Part
from chordae.learning.reasoner_lessons import LessonCollator, open_cases
from chordae.learning.sharding import trainer_arguments, whole_model
from chordae.learning.studies import Studies
from chordae.learning.tracking import LossLog
from chordae.learning.tracking_callback import Report, Say
from chordae.learning.vision import batched_attention
from chordae.platform.torch_libs import mend_torchvision

mend_torchvision()  # trl imports transformers' processors

from transformers import PrinterCallback  # noqa: E402
from trl import SFTConfig, SFTTrainer  # noqa: E402


class _Trainer(SFTTrainer):  # type: ignore[misc]
    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        """In order: a row is drawn at random by its number, and a phase begins at a number."""
        return SequentialSampler(self.train_dataset)

    def training_step(self, *arguments: Any, **named: Any) -> torch.Tensor:
        """One step; its loss is noted whole, where the trainer's own log rounds it."""
        loss: torch.Tensor = super().training_step(*arguments, **named)
        self.exact_loss = loss.item()
        return loss

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """By `from_pretrained`: checkpoints have the weights' names of Qwen2.5-VL's first release.

        The trainer's own way passes over names that the model does not have: all but the output weights.
        """
        if self.is_fsdp_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        stored = type(self.model).from_pretrained(resume_from_checkpoint, dtype=self.model.dtype)
        self.model.load_state_dict(stored.state_dict())


def train_language(
    model: Any,
    tokenizer: Any,
    config: SftConfig | PretrainConfig,
    studies: Studies | None,
    work: Path,
    losses: LossLog | None,
    say: Say,
    foreign: Foreign | None = None,
) -> Any:
    """Train `model` and return it, in one piece on the first worker.

    Checkpoints lie in `work`, and a run that finds some goes on from there.

    A `PretrainConfig` trains the encoder alone, on reports.
    """
    cuda = next(model.parameters()).device.type == "cuda"
    phases = config.phases if isinstance(config, SftConfig) else (Phase(steps=config.steps, reports=1.0),)
    arguments = SFTConfig(
        output_dir=str(work),
        max_steps=config.steps,
        per_device_train_batch_size=config.batch,
        save_strategy="steps",
        save_steps=config.save_every,
        save_total_limit=1,
        logging_steps=1,
        max_grad_norm=1.0,
        bf16=config.bf16,
        use_cpu=not cuda,
        gradient_checkpointing=False,
        remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        dataloader_num_workers=config.loader_workers,
        dataloader_pin_memory=cuda,
        ddp_find_unused_parameters=True,  # a batch may be text alone
        report_to=[],
        disable_tqdm=True,
        seed=config.seed % 2**31,
        **trainer_arguments(config.sharding, config.learning_rate, config.warmup),
    )
    size = config.batch * arguments.gradient_accumulation_steps * max(arguments.world_size, 1)
    parts = _parts(model, config)
    if config.sharding is None:
        optimiser = MuonAdamW(parts)
        optimisers: Any = (optimiser, LambdaLR(optimiser, lambda step: schedule(step, config.steps, config.warmup)))
    else:  # the trainer's AdamW, made after the parameters were divided
        optimisers = (None, None)
    trainer = _Trainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict({"row": list(range(config.steps * size))}),
        data_collator=_collator(tokenizer, config, studies, phases, size, foreign),
        processing_class=tokenizer,
        optimizers=optimisers,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Report(trainer, losses, say, config.steps))
    last = last_whole_checkpoint(work)
    with nullcontext() if config.cases else batched_attention(model):
        trainer.train(resume_from_checkpoint=None if last is None else str(last))
    vars(model).pop("_is_accelerate_prepared", None)  # accelerate's mark, not part of the model
    return whole_model(trainer)


def _collator(
    tokenizer: Any,
    config: SftConfig | PretrainConfig,
    studies: Studies | None,
    phases: tuple[Phase, ...],
    size: int,
    foreign: Foreign | None,
) -> ConversationCollator | LessonCollator:
    if isinstance(config, SftConfig) and config.cases:
        return LessonCollator(tokenizer, phases, size, config.seed, open_cases(config.cases), config.chinese)
    return ConversationCollator(tokenizer, phases, size, config.seed, studies, config.modality, config.augment, foreign)


def _parts(model: Any, config: SftConfig | PretrainConfig) -> list[Part]:
    if config.cases:
        return [
            (model.model.named_parameters(), config.learning_rate, config.muon_learning_rate),
            ([("lm_head", model.lm_head.weight)], config.learning_rate, 0.0),
        ]
    visual, language = model.model.visual, model.model.language_model
    if isinstance(config, PretrainConfig):
        for parameter in [*language.parameters(), *model.lm_head.parameters()]:
            parameter.requires_grad_(False)
        return [(visual.named_parameters(), config.learning_rate, config.muon_learning_rate)]
    share = config.encoder_share
    return [
        (visual.named_parameters(), share * config.learning_rate, share * config.muon_learning_rate),
        (language.named_parameters(), config.learning_rate, config.muon_learning_rate),
        ([("lm_head", model.lm_head.weight)], config.learning_rate, 0.0),
    ]


def last_whole_checkpoint(work: Path) -> Path | None:
    """The furthest checkpoint of `work` that was written to its end: the trainer saves its own state last of all."""
    numbered = {int(path.name.rsplit("-", 1)[1]): path for path in work.glob("checkpoint-[0-9]*")}
    return next((numbered[step] for step in sorted(numbered, reverse=True) if _whole(numbered[step])), None)


def last_whole_step(work: Path) -> int:
    """The step of that checkpoint; 0: none."""
    last = last_whole_checkpoint(work)
    return 0 if last is None else int(last.name.rsplit("-", 1)[1])


def _whole(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / "trainer_state.json").read_bytes())
    except (OSError, ValueError):
        return False
    return True
