"""What a transformers trainer tells while it trains: every step to the log of losses, every tenth to people."""

import time
from collections.abc import Callable
from typing import Any

from chordae.learning.tracking import LossLog
from chordae.platform.torch_libs import mend_torchvision

mend_torchvision()

from transformers import TrainerCallback  # noqa: E402

Say = Callable[[str], None]


class Report(TrainerCallback):  # type: ignore[misc]
    """Notes steps; tells the log of losses when a checkpoint is whole."""

    def __init__(self, trainer: Any, losses: LossLog | None, say: Say, steps: int) -> None:
        self.trainer, self.losses, self.say, self.steps = trainer, losses, say, steps
        self.started = time.monotonic()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        """One step is done; the trainer's last log, of the whole run, has no loss."""
        if not logs or "loss" not in logs:
            return
        values = {"loss": float(self.trainer.exact_loss)}
        if "mean_token_accuracy" in logs:
            values["tokens_right"] = float(logs["mean_token_accuracy"])
        if self.losses is not None:
            self.losses.add(state.global_step, values)
        tell(self.say, state.global_step, self.steps, values, self.started)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """A checkpoint is whole."""
        if self.losses is not None:
            self.losses.flush(state.global_step)


def tell(say: Say, step: int, steps: int, values: dict[str, float], started: float) -> None:
    """One line every tenth step and at the end."""
    if step % 10 == 0 or step == steps:
        shown = ", ".join(f"{name} {value:.3f}" for name, value in values.items())
        say(f"{step}/{steps}, {(time.monotonic() - started) / 60:.1f} min: {shown}")
