"""Rollouts by the platform's own engine: vLLM beside the trainer, its weights replaced in place after every step.

What is drawn follows from the weights, the prompts and the seeds alone: a run that is killed and goes on draws the same
again. The engine has its own process and shares the machine with the trainer, which waits while it writes.
"""

import asyncio
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from chordae.learning.rollout import Sampled, Sampling
from chordae.platform.engine import Continuation
from chordae.platform.settings import EngineSettings
from chordae.platform.text_engine import TextEngine

SEEDS = 2**31
WEIGHTS = "model.safetensors"


class EngineRollouts:
    """An engine that answers with the trainer's weights as they are at this step; `Rollouts`."""

    def __init__(
        self, engine: TextEngine, runner: asyncio.Runner, trainer: Any, sampling: Sampling, place: Path
    ) -> None:
        """Of a running engine; weights on their way to it lie in `place`."""
        self.engine, self.runner, self.trainer, self.sampling, self.place = engine, runner, trainer, sampling, place
        self._step: int | None = None
        """At which the engine's weights are the trainer's."""

    def sample(self, prompts: Sequence[list[int]], copies: int, generator: torch.Generator) -> list[Sampled]:
        """As `Rollouts.sample`; every answer has its own seed, drawn from `generator`."""
        wanted = [prompt for prompt in prompts for _ in range(copies)]
        seeds = torch.randint(SEEDS, (len(wanted),), generator=generator, device=generator.device).tolist()
        return [Sampled(one.ids, one.logprobs) for one in self._write(wanted, self.sampling.temperature, seeds)]

    def greedy(self, prompts: Sequence[list[int]]) -> list[list[int]]:
        """As `Rollouts.greedy`."""
        return [one.ids for one in self._write(prompts, 0.0, None)]

    def _write(
        self, prompts: Sequence[list[int]], temperature: float, seeds: Sequence[int] | None
    ) -> list[Continuation]:
        self._reload()
        sampling = self.sampling
        return self.runner.run(self.engine.write_on(prompts, sampling.limit, temperature, seeds, sampling.never))

    def _reload(self) -> None:
        step: int = self.trainer.state.global_step
        if self._step == step:
            return
        model = self.trainer.accelerator.unwrap_model(self.trainer.model_wrapped)
        save_file({name: one.detach().contiguous() for name, one in model.state_dict().items()}, self.place / WEIGHTS)
        self.runner.run(self.engine.reload(self.place))
        self._step = step


@contextmanager
def engine_rollouts(
    checkpoint: Path, settings: EngineSettings, trainer: Any, sampling: Sampling
) -> Iterator[EngineRollouts]:
    """Rollouts of a trainer whose model was loaded from `checkpoint`, while their engine runs."""
    os.environ["OMP_NUM_THREADS"] = str(torch.get_num_threads())  # the engine's, which would have one of a Ray worker's
    with tempfile.TemporaryDirectory() as directory, asyncio.Runner() as runner:
        engine = TextEngine(checkpoint, checkpoint.name, settings)
        runner.run(engine.start())
        try:
            yield EngineRollouts(engine, runner, trainer, sampling, Path(directory))
        finally:
            engine.stop()
