"""What a reasoner's trainer tells of each step: TRL's figures and the parts of the reward."""

from typing import Any

from chordae.learning.grpo import NOTED
from chordae.learning.reasoner_grpo import PARTS
from chordae.learning.tracking import LossLog
from chordae.learning.tracking_callback import Report, Say, tell

PARTS_NOTED = {f"rewards/{name}/mean": f"reward.{name}" for name in PARTS}


class StepReport(Report):
    """Notes steps; `more` goes with the next one, and with no other."""

    def __init__(self, trainer: Any, losses: LossLog | None, say: Say, steps: int) -> None:
        super().__init__(trainer, losses, say, steps)
        self.more: dict[str, float] = {}

    def of_step(self) -> dict[str, float]:
        """What the trainer itself has to tell of the step."""
        return {}

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        """One step is done; the trainer's last log, of the whole run, has no reward."""
        if not logs or "reward" not in logs:
            return
        names = NOTED | PARTS_NOTED
        values = {name: float(logs[theirs]) for theirs, name in names.items() if theirs in logs} | self.of_step()
        if self.losses is not None:
            self.losses.add(state.global_step, values | self.more)
        self.more = {}
        tell(self.say, state.global_step, self.steps, values, self.started)
