"""Second and later stages: next-token loss on answers, with TRL's SFTTrainer."""

import json
import math
from pathlib import Path
from typing import Any

from datasets import Dataset
from torch.optim.lr_scheduler import LambdaLR

from chordae.learning.batches import ConversationCollator
from chordae.learning.config import LanguageStage, SftConfig
from chordae.learning.encoder import Progress, schedule
from chordae.learning.optimiser import MuonAdamW
from chordae.platform.torch_libs import mend_torchvision

mend_torchvision()  # trl imports transformers' processors

from transformers import PrinterCallback, TrainerCallback  # noqa: E402
from trl import SFTConfig, SFTTrainer  # noqa: E402


class _Report(TrainerCallback):  # type: ignore[misc]
    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        values = {name: float(value) for name, value in (logs or {}).items() if name in ("loss", "mean_token_accuracy")}
        if values:
            self.progress(state.global_step, values)


class _Trainer(SFTTrainer):  # type: ignore[misc]
    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """By `from_pretrained`: checkpoints have the weights' names of Qwen2.5-VL's first release.

        The trainer's own way passes over names that the model does not have: all but the output weights.
        """
        stored = type(self.model).from_pretrained(resume_from_checkpoint, dtype=self.model.dtype)
        self.model.load_state_dict(stored.state_dict())


def train_language(
    model: Any, tokenizer: Any, stage: LanguageStage, number: int, config: SftConfig, work: Path, progress: Progress
) -> None:
    """Train `model` in place on one stage; checkpoints lie in `work`, and a run that finds some goes on from there."""
    cuda = next(model.parameters()).device.type == "cuda"
    arguments = SFTConfig(
        output_dir=str(work),
        max_steps=stage.steps,
        per_device_train_batch_size=stage.batch,
        save_strategy="steps",
        save_steps=stage.save_every,
        save_total_limit=1,
        logging_steps=10,
        max_grad_norm=1.0,
        bf16=stage.bf16 and number == 0,  # what has been measured; see docs/LOG.md
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
    trainer = _Trainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict({"row": list(range(math.ceil(stage.steps * stage.batch * world)))}),
        data_collator=ConversationCollator(tokenizer, stage, (config.seed, number), config.picture),
        processing_class=tokenizer,
        optimizers=(optimiser, LambdaLR(optimiser, lambda step: schedule(step, stage.steps, stage.warmup))),
        callbacks=[_Report(progress)],
    )
    trainer.remove_callback(PrinterCallback)
    last = last_whole_checkpoint(work)
    trainer.train(resume_from_checkpoint=None if last is None else str(last))
    vars(model).pop("_is_accelerate_prepared", None)  # or the next stage's trainer would leave it as it is: no DDP


def last_whole_checkpoint(work: Path) -> Path | None:
    """The furthest checkpoint of `work` that was written to its end: the trainer saves its own state last of all."""
    numbered = {int(path.name.rsplit("-", 1)[1]): path for path in work.glob("checkpoint-[0-9]*")}
    return next((numbered[step] for step in sorted(numbered, reverse=True) if _whole(numbered[step])), None)


def _whole(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / "trainer_state.json").read_bytes())
    except (OSError, ValueError):
        return False
    return True
