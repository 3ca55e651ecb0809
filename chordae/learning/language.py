"""Second and later stages: next-token loss on answers, with TRL's SFTTrainer."""

import math
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch.optim.lr_scheduler import LambdaLR

from chordae.learning.batches import ConversationCollator
from chordae.learning.config import LanguageStage, SftConfig
from chordae.learning.encoder import Progress, schedule
from chordae.learning.optimiser import MuonAdamW
from chordae.platform.torch_libs import mend_torchvision

mend_torchvision()  # trl imports transformers' processors

from transformers import PrinterCallback, TrainerCallback  # noqa: E402
from transformers.trainer_utils import get_last_checkpoint  # noqa: E402
from trl import SFTConfig, SFTTrainer  # noqa: E402


class _Report(TrainerCallback):  # type: ignore[misc]
    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        values = {name: float(value) for name, value in (logs or {}).items() if name in ("loss", "mean_token_accuracy")}
        if values:
            self.progress(state.global_step, values)


def train_language(
    model: Any, tokenizer: Any, stage: LanguageStage, number: int, config: SftConfig, work: Path, progress: Progress
) -> None:
    """Train `model` in place on one stage; checkpoints lie in `work`, and a run that finds some goes on from there."""
    cuda = torch.cuda.is_available()
    arguments = SFTConfig(
        output_dir=str(work),
        max_steps=stage.steps,
        per_device_train_batch_size=stage.batch,
        save_strategy="steps",
        save_steps=stage.save_every,
        save_total_limit=1,
        logging_steps=10,
        max_grad_norm=1.0,
        bf16=stage.bf16,
        use_cpu=not cuda,
        gradient_checkpointing=False,
        remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        dataloader_num_workers=config.loader_workers,
        dataloader_pin_memory=cuda,
        report_to=[],
        disable_tqdm=True,
        seed=config.seed % 2**31 + number,
    )
    world = max(arguments.world_size, 1)
    visual, language = model.model.visual, model.model.language_model
    share = stage.encoder_share
    optimiser = MuonAdamW(
        [
            (visual.named_parameters(), share * stage.learning_rate, share * stage.muon_learning_rate),
            (language.named_parameters(), stage.learning_rate, stage.muon_learning_rate),
            ([("lm_head", model.lm_head.weight)], stage.learning_rate, 0.0),
        ]
    )
    trainer = SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict({"row": list(range(math.ceil(stage.steps * stage.batch * world)))}),
        data_collator=ConversationCollator(tokenizer, stage, (config.seed, number), config.picture),
        processing_class=tokenizer,
        optimizers=(optimiser, LambdaLR(optimiser, lambda step: schedule(step, stage.steps, stage.warmup))),
        callbacks=[_Report(progress)],
    )
    trainer.remove_callback(PrinterCallback)
    last = get_last_checkpoint(str(work)) if work.is_dir() else None
    trainer.train(resume_from_checkpoint=last)
