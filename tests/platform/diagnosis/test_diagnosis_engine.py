"""The real engine with a small untrained reasoner: its probabilities are those that transformers computes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from invented_records import INFARCTION

from chordae.learning.nano import build_tokenizer
from chordae.learning.reasoner import build_model, save_checkpoint
from chordae.learning.run_config import NanoShape
from chordae.platform.diagnosis.category import CATEGORIES, category_name
from chordae.platform.diagnosis.probabilities import endings, probabilities
from chordae.platform.diagnosis.prompts import messages
from chordae.platform.diagnosis.reasoning import Reasoning
from chordae.platform.settings import EngineSettings
from chordae.platform.text_engine import TextEngine
from chordae.platform.weights import identify

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

CONTEXT = 2048
SETTINGS = EngineSettings(
    dtype="float32",
    enforce_eager=True,
    max_model_len=CONTEXT,
    max_num_seqs=4,
    block_size=32,
    kv_cache_bytes=128 * 2**20,
    processor_cache_gib=0,
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Of random weights, a little sharper than they come, so that categories differ."""
    import torch

    directory = tmp_path_factory.mktemp("reasoner")
    names = [category_name(category, language) for category in CATEGORIES for language in ("en", "zh")]
    texts = [f"<answer>{name}</answer>" for name in names] * 3 + [one["content"] for one in messages(INFARCTION, "en")]
    tokenizer = build_tokenizer(texts, 420)
    torch.manual_seed(0)
    model = build_model(tokenizer, NanoShape(depth=2, width=64, heads=2, mlp=128, context=CONTEXT))
    with torch.no_grad():
        model.lm_head.weight.mul_(8)
    save_checkpoint(model, tokenizer, directory)
    return model.eval(), tokenizer, directory


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def engine(model: Any, runner: asyncio.Runner) -> Iterator[TextEngine]:
    directory: Path = model[2]
    engine = TextEngine(directory, identify(directory).name, SETTINGS)
    runner.run(engine.start())
    yield engine
    engine.stop()


def by_transformers(model: Any, prompt: list[int], paths: tuple[tuple[int, ...], ...]) -> list[float]:
    """From the logits of the eight whole sequences: each token's share of what any category allows there."""
    import torch

    found = []
    for path in paths:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([[*prompt, *path]])).logits[0, len(prompt) - 1 : -1].double()
        total = 0.0
        for place, token in enumerate(path):
            allowed = sorted({other[place] for other in paths if other[:place] == path[:place]})
            total += float(logits[place][allowed].log_softmax(-1)[allowed.index(token)])
        found.append(total)
    return np.exp(found).tolist()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_probabilities_are_those_of_transformers(
    model: Any, engine: TextEngine, runner: asyncio.Runner, language: Any
) -> None:
    weights, tokenizer, _ = model
    prompt = tokenizer("I. Functional parameters\n<answer>", add_special_tokens=False)["input_ids"]
    found = runner.run(probabilities(engine, prompt, engine.tokenizer, language))
    expected = by_transformers(weights, prompt, endings(tokenizer, language)[1])
    assert sum(expected) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert max(found) > 2 * min(found), "an even distribution would show nothing"


def test_what_a_reasoner_that_learned_nothing_writes_is_no_category(
    model: Any, engine: TextEngine, runner: asyncio.Runner
) -> None:
    reasoning = Reasoning(
        engine=engine,
        weights=identify(model[2]),
        settings_digest="",
        context=CONTEXT,
        longest=80,
        timeout_s=120,
    )
    found = runner.run(reasoning.diagnose(INFARCTION, None, "request-1"))
    assert (found.category, found.probabilities, found.flagged) == (None, {}, True)
    assert found.reason
