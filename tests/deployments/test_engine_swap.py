"""The real engine changes its weights while it is asked: what it says then is what a fresh engine says."""

import asyncio
import base64
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fakes import make_settings
from safetensors.torch import load_file, save_file
from versions import InMemoryDesired, register

from benchmarks.perturbed import copied, perturbed
from chordae.deployments.expert import Expert
from chordae.learning import checkpoint
from chordae.learning.nano import NanoShape, build_config, build_tokenizer, save_checkpoint
from chordae.platform.canaries import read_canaries
from chordae.platform.engine import Continuation, Engine
from chordae.platform.errors import BadSettings
from chordae.platform.media import MediaStore
from chordae.platform.settings import EngineSettings
from chordae.platform.wanted import Wanted

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

NANO = Path("models/ecg-nano")
TOLERANCE = 2e-4
"""In nats: two runs, or two implementations, in float32."""
KNOBS = EngineSettings(
    dtype="float32",
    enforce_eager=True,
    max_model_len=1024,
    max_num_seqs=8,
    block_size=32,
    kv_cache_bytes=64 * 2**20,
    processor_cache_gib=0.05,
)
LENGTH = 6


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@functools.cache
def shown() -> tuple[bytes, str]:
    """A simulated ECG, and a question on which the model is not certain: the first of its own probes."""
    probes = read_canaries(NANO)
    assert probes is not None and probes.probes[0].request is not None
    media, text = probes.probes[0].request["messages"][0]["content"]
    return (NANO / media["image_url"]["url"]).read_bytes(), text["text"]


def about(url: str) -> dict[str, Any]:
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": shown()[1]}]
    return {"messages": [{"role": "user", "content": content}]}


SHOWN = about(f"data:image/png;base64,{base64.b64encode(shown()[0]).decode()}")


def same(one: Continuation, other: Continuation) -> bool:
    return one.ids == other.ids and bool(np.allclose(one.logprobs, other.logprobs, atol=TOLERANCE, rtol=0))


def different(one: Continuation, other: Continuation) -> bool:
    return one.ids != other.ids or bool(np.abs(np.subtract(one.logprobs, other.logprobs)).max() > 10 * TOLERANCE)


def greedy(model: Any, prompt: list[int], length: int = LENGTH) -> Continuation:
    """By transformers, without a cache."""
    ids, logprobs = list(prompt), []
    for _ in range(length):
        with torch.no_grad():
            told = model(input_ids=torch.tensor([ids])).logits[0, -1].log_softmax(-1)
        ids.append(int(told.argmax()))
        logprobs.append(float(told.max()))
    return Continuation(ids[len(prompt) :], logprobs)


def test_tied_embeddings_are_changed_on_both_sides(runner: asyncio.Runner, tmp_path: Path) -> None:
    from transformers import Qwen2_5_VLForConditionalGeneration  # after chordae has mended torchvision

    tokenizer = build_tokenizer(["What is the rhythm? Sinus rhythm. Atrial fibrillation. 0 1 2 3 4 5 6 7 8 9"])
    config = build_config(tokenizer, NanoShape(depth=2, width=64, heads=2, mlp=128))
    config.tie_word_embeddings = config.text_config.tie_word_embeddings = True
    for seed in (0, 1):
        torch.manual_seed(seed)
        model = Qwen2_5_VLForConditionalGeneration(config)
        with torch.no_grad():
            for layer in model.model.language_model.layers:  # or each token would be followed by itself
                layer.mlp.down_proj.weight.mul_(30)
                layer.mlp.up_proj.weight.mul_(30)
            model.model.language_model.embed_tokens.weight.mul_(5)
        save_checkpoint(model, tokenizer, tmp_path / str(seed))
        assert "lm_head.weight" not in load_file(tmp_path / str(seed) / "model.safetensors")
    prompt = tokenizer("What is the rhythm?", add_special_tokens=False)["input_ids"]
    expected = [greedy(checkpoint.load_model(tmp_path / str(seed)).eval(), prompt) for seed in (0, 1)]
    assert not same(*expected)
    engine = Engine(tmp_path / "0", "tied", KNOBS, tmp_path)
    try:
        runner.run(engine.start())
        assert same(runner.run(engine.replay(prompt, LENGTH)), expected[0])
        for version in (1, 0, 1):
            runner.run(engine.reload(tmp_path / str(version)))
            assert same(runner.run(engine.replay(prompt, LENGTH)), expected[version]), version
    finally:
        engine.stop()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("swap")
    perturbed(NANO, root / "0", 0, vision=False, language=False)
    perturbed(NANO, root / "1", 1, vision=False, language=True)
    perturbed(NANO, root / "2", 2, vision=True, language=False)
    perturbed(NANO, root / "3", 3, vision=True, language=True)
    return root


def half_broken(source: Path, target: Path) -> Path:
    """The same weights in two files, of which the second is cut off: a load of it fails halfway."""
    copied(source, target)
    weights = load_file(source / "model.safetensors")
    (target / "model.safetensors").unlink()
    names = sorted(weights)
    first = {name: weights[name] * 0.5 for name in names[: len(names) // 2 + 1]}  # ends within a layer
    save_file(first, target / "model-00001-of-00002.safetensors", {"format": "pt"})
    (target / "model-00002-of-00002.safetensors").write_bytes((source / "model.safetensors").read_bytes()[:5000])
    return target


@pytest.fixture(scope="module")
def fresh(root: Path, runner: asyncio.Runner) -> dict[str, Continuation]:
    """What an engine says that was started with version 3; and what it says of version 0, after a load that failed."""
    engine = Engine(root / "3", "ecg-nano", KNOBS, root)
    try:
        runner.run(engine.start())
        found = {"3": runner.run(engine.replay(SHOWN, 12))}
        with pytest.raises(BadSettings, match="cannot load"):
            runner.run(engine.reload(half_broken(root / "3", root / "broken")))
        runner.run(engine.reload(root / "0"))
        return found | {"0": runner.run(engine.replay(SHOWN, 12))}
    finally:
        engine.stop()


@pytest.fixture(scope="module")
def wanted(root: Path) -> dict[str, Wanted]:
    """All of them with the probes that training's code computes, pictures among them."""
    found = {}
    for number in "0123":
        assert checkpoint.add_probes(root / number)
        probes = read_canaries(root / number)
        assert probes is not None and any(one.request is not None for one in probes.probes)
        found[number] = register(root / number, "ecg-nano", number, probes.probes)
    return found


def test_swapped_under_questions_it_says_what_a_fresh_engine_says_and_mixes_nothing(
    runner: asyncio.Runner, root: Path, wanted: dict[str, Wanted], fresh: dict[str, Continuation], tmp_path: Path
) -> None:
    experts = {"ecg": {"model": str(root / "0"), "port": 8020, "engine": KNOBS.model_dump(), "max_answer_tokens": 12}}
    settings = make_settings(tmp_path, root / "0", experts=experts, swap={"poll_s": 0.05})
    media = MediaStore(settings.media_dir).put(shown()[0], "ecg", "v").id
    desired = InMemoryDesired(wanted["0"])
    expert = Expert("ecg", settings, desired=desired)
    request = about(f"media:{media}") | {"logprobs": True, "max_completion_tokens": 12}
    answers: list[list[tuple[str, str, list[float]]]] = []
    asking = True

    async def ask(number: int) -> None:
        while asking:
            together = expert.chat_together([request, request], f"r{number}")
            told = [answer async for _, answer in together]
            alone = await expert.chat(request, f"s{number}")
            answers.append([said(one) for one in told])
            answers.append([said(alone)])

    def said(answer: dict[str, Any]) -> tuple[str, str, list[float]]:
        (weights,), choice = answer["chordae"]["weights"], answer["choices"][0]
        logprobs = [one["logprob"] for one in (choice.get("logprobs") or {}).get("content", [])]
        return weights["version"], choice["message"]["content"], logprobs

    async def changed(number: str) -> Continuation:
        desired.want(wanted[number])
        while (expert._versions.state()["last_swap"] or {"new": {"version": ""}})["new"]["version"] != number:
            state = expert._versions.state()
            assert not state["refused"], state
            await asyncio.sleep(0.02)
        return await expert._engine.replay(SHOWN, 12)

    async def run() -> dict[str, Continuation]:
        nonlocal asking
        await expert.start()
        found = {"start": await expert._engine.replay(SHOWN, 12)}
        callers = [asyncio.create_task(ask(number)) for number in range(3)]
        await asyncio.sleep(2)
        for number in "1230":
            found[number] = await changed(number)
            await asyncio.sleep(0.5)
        asking = False
        await asyncio.gather(*callers)
        return found

    try:
        found = runner.run(run())
        card = runner.run(expert.readiness())
    finally:
        expert.stop()
    assert same(found["start"], fresh["0"])
    assert same(found["3"], fresh["3"]), "both parts changed, in place and by a fresh engine"
    assert same(found["0"], fresh["0"])
    for one, other in ("01", "02", "03", "12", "23"):  # 2 differs from 0 in the vision weights alone
        assert different(found[one], found[other]), (one, other)
    assert card["last_swap"]["outcome"] == "swapped"
    assert {version for together in answers for version, _, _ in together} == set("0123")
    reference: dict[str, list[float]] = {}
    for together in answers:
        assert len({version for version, _, _ in together}) == 1, "an answer and its probes are of one version"
        for version, _, logprobs in together:
            if logprobs:
                first = reference.setdefault(version, logprobs)
                np.testing.assert_allclose(logprobs[:1], first[:1], atol=1e-3)
    print(f"{len(answers)} answers; {card['last_swap']}")  # noqa: T201
