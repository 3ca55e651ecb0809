"""Rollouts by the serving engine: its answers, log-probabilities and seeds, before and after the weights change.

Each test that starts an engine takes the better part of a minute.
"""

import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch
from killed_runs import run
from reasoning import make_case_dataset, make_guesser
from test_ma_grpo import config_file

from chordae.cohort.record_cases import read_cases
from chordae.learning import checkpoint
from chordae.learning.config import load_config
from chordae.learning.engine_rollouts import EngineRollouts, engine_rollouts
from chordae.learning.reasoner_cases import Cases
from chordae.learning.rollout import Sampling
from chordae.platform.engine import Continuation
from chordae.platform.errors import BadSettings
from chordae.platform.settings import EngineSettings

TOLERANCE = 2e-4
"""In nats: two implementations in float32. Sampling itself moves log-probabilities by whole nats."""
LIMIT = 12
SETTINGS = EngineSettings(
    dtype="float32",
    enforce_eager=True,
    max_model_len=1024,
    max_num_seqs=16,
    block_size=32,
    kv_cache_bytes=2**26,
    processor_cache_gib=0,
)
ENGINE = f"engine: {SETTINGS.model_dump_json()}\nworkers: 0"


def with_engine(config: Path) -> str:
    """A file's text, and an engine that has room for its prompts and answers."""
    return config.read_text().replace("workers: 0", ENGINE).replace("prompt_tokens: 1024", "prompt_tokens: 1000")


class Trainer:
    """As much of a trainer as rollouts look at."""

    def __init__(self, model: Any) -> None:
        self.model_wrapped, self.state = model, SimpleNamespace(global_step=0)
        self.accelerator = SimpleNamespace(unwrap_model=lambda wrapped: wrapped)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("engine")
    make_case_dataset(root / "train", 60, 1)
    make_case_dataset(root / "development", 16, 2)
    make_guesser(root / "start", read_cases(root / "train"))
    return root


@pytest.fixture(scope="module")
def prompts(root: Path) -> list[list[int]]:
    cases = Cases([root / "train"], checkpoint.load_tokenizer(root / "start"), "en", 1024)
    return [cases.prompt(example) for example in list(cases.categories)[:3]]


@pytest.fixture(scope="module")
def trainer(root: Path) -> Trainer:
    return Trainer(checkpoint.load_model(root / "start").eval())


@pytest.fixture(scope="module")
def rollouts(root: Path, trainer: Trainer) -> Iterator[EngineRollouts]:
    tokenizer = checkpoint.load_tokenizer(root / "start")
    sampling = Sampling(LIMIT, 1.0, (tokenizer.eos_token_id,), tuple(range(5, 9)))
    with engine_rollouts(root / "start", SETTINGS, trainer, sampling) as rollouts:
        yield rollouts


def changed(trainer: Trainer) -> None:
    """An optimiser step: every weight moves by about a tenth."""
    generator = torch.Generator().manual_seed(trainer.state.global_step)
    with torch.no_grad():
        for weight in trainer.model_wrapped.parameters():
            weight.mul_(1 + 0.1 * torch.randn(weight.shape, generator=generator))
    trainer.state.global_step += 1


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.engine
def test_log_probabilities_are_those_of_transformers_after_every_change_of_weights(
    rollouts: EngineRollouts, trainer: Trainer, prompts: list[list[int]]
) -> None:
    drawn = []
    for _ in range(3):
        answers = rollouts.sample(prompts, 4, seeded(1))
        assert len(answers) == 12
        for place, answer in enumerate(answers):
            ids = torch.tensor([prompts[place // 4] + answer.ids])
            with torch.no_grad():
                logprobs = trainer.model_wrapped(input_ids=ids).logits[0, -len(answer.ids) - 1 : -1].log_softmax(-1)
            expected = logprobs[range(len(answer.ids)), answer.ids]
            torch.testing.assert_close(torch.tensor(answer.logprobs), expected, atol=TOLERANCE, rtol=0)
            assert not set(answer.ids) & set(rollouts.sampling.never)
        drawn.append(torch.tensor([one for answer in answers for one in answer.logprobs]))
        changed(trainer)
    for one, other in pairwise(drawn):
        moved = len(one) != len(other) or (one - other).abs().max() > 100 * TOLERANCE
        assert moved, "other weights, other answers"


@pytest.mark.engine
def test_greedy_answers_are_those_of_transformers(
    rollouts: EngineRollouts, trainer: Trainer, prompts: list[list[int]]
) -> None:
    changed(trainer)
    never = list(rollouts.sampling.never)
    for prompt, answer in zip(prompts, rollouts.greedy(prompts), strict=True):
        ids = torch.tensor([prompt])
        expected = trainer.model_wrapped.generate(ids, do_sample=False, max_new_tokens=LIMIT, suppress_tokens=never)
        assert answer == expected[0, len(prompt) :].tolist()


@pytest.mark.engine
def test_the_same_seed_draws_the_same_to_the_last_bit_and_another_does_not(
    rollouts: EngineRollouts, trainer: Trainer, prompts: list[list[int]]
) -> None:
    first = rollouts.sample(prompts, 4, seeded(1))
    rollouts.sample(prompts[:1], 4, seeded(5))
    assert rollouts.sample(prompts, 4, seeded(1)) == first
    assert rollouts.sample(prompts, 4, seeded(2)) != first
    assert len({tuple(one.ids) for one in first}) > 3, "copies are drawn apart"


@pytest.mark.engine
@pytest.mark.slow
def test_a_killed_run_with_an_engine_goes_on_to_the_identical_losses(root: Path, tmp_path: Path) -> None:
    config = config_file(root, tmp_path)
    config.write_text(with_engine(config))
    for name in ("unbroken", "killed"):
        (tmp_path / name).mkdir()
    whole = run("ma-grpo", config, tmp_path / "unbroken" / "x")
    left = run("ma-grpo", config, tmp_path / "killed" / "x", killed_after=3)
    assert left != whole, "it was killed behind an assessment"
    assert run("ma-grpo", config, tmp_path / "killed" / "x") == whole


class Recorder:
    """An engine that keeps what it is told."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    async def reload(self, weights: Path) -> None:
        self.calls.append(sorted(path.name for path in weights.iterdir()))

    async def write_on(self, prompts: Any, limit: int, temperature: float, seeds: Any, never: Any) -> Any:
        self.calls.append((len(prompts), temperature, seeds))
        return [Continuation([1], [0.0]) for _ in prompts]


def test_weights_are_sent_once_a_step_and_every_answer_has_a_seed_of_its_own(
    trainer: Trainer, prompts: list[list[int]], tmp_path: Path
) -> None:
    import asyncio

    engine, sampling = Recorder(), Sampling(LIMIT, 1.0, (0,), ())
    with asyncio.Runner() as runner:
        rollouts = EngineRollouts(engine, runner, trainer, sampling, tmp_path)  # type: ignore[arg-type]
        rollouts.sample(prompts, 4, seeded(1))
        rollouts.sample(prompts, 4, seeded(1))
        trainer.state.global_step += 1
        rollouts.greedy(prompts)
    weights = ["model.safetensors"]
    assert [call for call in engine.calls if isinstance(call, list)] == [weights, weights]
    assert engine.calls[1] == engine.calls[2] and len(set(engine.calls[1][2])) == 12
    assert engine.calls[-1] == (3, 0.0, None)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('"max_model_len":1024', '"max_model_len":1000', "max_model_len"),
        ("batch: 16", "batch: 16\ntemperature: 0.7", "log-probabilities"),
    ],
)
def test_an_engine_that_cannot_do_it_is_refused(root: Path, tmp_path: Path, old: str, new: str, why: str) -> None:
    path = config_file(root, tmp_path)
    path.write_text(with_engine(path).replace(old, new))
    with pytest.raises(BadSettings, match=why):
        load_config(path)


ALONE = """
import asyncio, sys, time
from pathlib import Path
from chordae.platform.settings import EngineSettings
from chordae.platform.text_engine import TextEngine

if __name__ == "__main__":
    engine = TextEngine(Path(sys.argv[1]), "tiny", EngineSettings.model_validate_json(sys.argv[2]))
    asyncio.run(engine.start())
    print("ready", flush=True)
    time.sleep(600)
"""


def test_an_engine_ends_with_whoever_started_it_sigkill_included(root: Path, tmp_path: Path) -> None:
    (script := tmp_path / "alone.py").write_text(ALONE)
    command = [sys.executable, str(script), str(root / "start"), SETTINGS.model_dump_json()]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    while "ready" not in (line := process.stdout.readline()):
        assert line, "it ended before its engine was there"
    engines = [one for one in psutil.Process(process.pid).children(recursive=True) if "Engine" in one.name()]
    assert engines
    process.kill()
    assert psutil.wait_procs(engines, timeout=20)[1] == []
