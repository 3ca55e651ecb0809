"""A full-size model changes its weights in place: `make rehearse-3b`, by hand, with about 16 GiB free.

Random weights in the exact shape of Qwen2.5-VL-3B, tied embeddings, bfloat16: time and memory do not depend
on what they were trained on. Tokenizer and processor are the ECG nano expert's, so the special tokens are its own.
Load one set, answer with a picture, take the other set in place, and say what a fresh engine says that was
started with it.
"""

import asyncio
import base64
import json
import math
import os
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from rich.console import Console
from rich.table import Table
from safetensors.torch import save_file

from chordae.platform.canaries import read_canaries
from chordae.platform.engine import Continuation, Engine
from chordae.platform.errors import BadSettings
from chordae.platform.settings import EngineSettings
from chordae.platform.torch_libs import mend_torchvision

mend_torchvision()  # transformers imports torchvision

from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration  # noqa: E402

GiB = 1024**3
NANO = Path("models/ecg-nano")
# https://huggingface.co/Qwen/Qwen2.5-VL-3B-Instruct/blob/main/config.json, and 3.75 billion parameters
TEXT = {
    "hidden_size": 2048,
    "intermediate_size": 11008,
    "num_hidden_layers": 36,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "vocab_size": 151936,
    "tie_word_embeddings": True,
    "rope_parameters": {"mrope_section": [16, 24, 24], "rope_theta": 1_000_000.0, "rope_type": "default"},
    "layer_types": ["full_attention"] * 36,
    "max_position_embeddings": 128000,
}
VISION = {
    "depth": 32,
    "hidden_size": 1280,
    "intermediate_size": 3420,
    "num_heads": 16,
    "out_hidden_size": 2048,
    "fullatt_block_indexes": [7, 15, 23, 31],
}
ENGINE = EngineSettings(
    dtype="bfloat16",
    enforce_eager=True,
    max_model_len=1024,
    max_num_seqs=4,
    block_size=32,
    kv_cache_bytes=256 * 2**20,
    processor_cache_gib=0.05,
)
TOKENS = 16
SHARD = 2 * GiB
NEEDED_MEMORY, NEEDED_DISK = 13 * GiB, 16 * GiB
RESULT = Path(__file__).parent / "results" / "rehearsal.json"
# transformers' names within the model, and those of a checkpoint
PREFIXES = {"model.visual.": "visual.", "model.language_model.": "model."}


@dataclass(frozen=True)
class Rehearsed:
    """What was found."""

    parameters: int
    load_s: float
    swap_s: float
    fresh_s: float
    peak_bytes: int
    first: Continuation
    swapped: Continuation
    fresh: Continuation

    @property
    def same(self) -> bool:
        """Whether the swapped engine says what a fresh one says, and neither what the first set said."""
        alike = self.swapped.ids == self.fresh.ids and np.allclose(
            self.swapped.logprobs, self.fresh.logprobs, atol=1e-3
        )
        return bool(alike) and self.first.ids != self.fresh.ids


def write_random(directory: Path, seed: int, text: Mapping[str, Any], vision: Mapping[str, Any]) -> int:
    """A checkpoint of random bfloat16 weights in that shape, shard by shard; returns how many numbers it has."""
    directory.mkdir(parents=True)
    for path in NANO.iterdir():
        if path.is_file() and path.name != "model.safetensors":
            shutil.copy(path, directory / path.name)
    config = config_of(text, vision)
    config.save_pretrained(directory)
    tensors = shapes_of(config)
    generator, shard, held, files = torch.Generator().manual_seed(seed), dict[str, torch.Tensor](), 0, dict[str, str]()

    def flush() -> None:
        file = f"model-{len(set(files.values())) + 1:05d}.safetensors"
        save_file(shard, directory / file, {"format": "pt"})
        files.update(dict.fromkeys(shard, file))
        shard.clear()

    for name, shape in tensors.items():
        drawn = torch.empty(shape, dtype=torch.bfloat16).normal_(0.0, 0.02, generator=generator)
        stored = next((new + name.removeprefix(old) for old, new in PREFIXES.items() if name.startswith(old)), name)
        shard[stored] = drawn + 1 if "norm" in name or "ln_q" in name else drawn
        held += drawn.nbytes
        if held > SHARD:
            flush()
            held = 0
    flush()
    count = sum(map(math.prod, tensors.values()))
    index = {"metadata": {"total_size": 2 * count}, "weight_map": files}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    return count


def shapes_of(config: Qwen2_5_VLConfig) -> dict[str, tuple[int, ...]]:
    """The tensors of such a model, by transformers' names; embeddings are tied."""
    with torch.device("meta"):
        model = Qwen2_5_VLForConditionalGeneration(config)
    return {name: tuple(one.shape) for name, one in model.state_dict().items() if name != "lm_head.weight"}


def config_of(text: Mapping[str, Any], vision: Mapping[str, Any]) -> Qwen2_5_VLConfig:
    """The nano expert's, with its special tokens, in another shape."""
    told = json.loads((NANO / "config.json").read_text()) | {"tie_word_embeddings": True, "dtype": "bfloat16"}
    told["text_config"] |= {**text, "dtype": "bfloat16"}
    told["vision_config"] |= {**vision, "dtype": "bfloat16"}
    return Qwen2_5_VLConfig.from_dict(told)


async def rehearse(place: Path, text: Mapping[str, Any], vision: Mapping[str, Any]) -> Rehearsed:
    """Both sets below `place`, one engine that changes from one to the other, and a fresh one."""
    parameters = write_random(place / "0", 0, text, vision)
    write_random(place / "1", 1, text, vision)
    question = picture_question()
    with peak_memory() as peak:
        engine, load_s = await _started(place / "0", place)
        try:
            first = await engine.replay(question, TOKENS)
            began = time.monotonic()
            await engine.reload(place / "1")
            swap_s = time.monotonic() - began
            swapped = await engine.replay(question, TOKENS)
        finally:
            engine.stop()
        other, fresh_s = await _started(place / "1", place)
        try:
            fresh = await other.replay(question, TOKENS)
        finally:
            other.stop()
    return Rehearsed(parameters, load_s, swap_s, fresh_s, peak[0], first, swapped, fresh)


async def _started(checkpoint: Path, media: Path) -> tuple[Engine, float]:
    began, engine = time.monotonic(), Engine(checkpoint, checkpoint.name, ENGINE, media)
    await engine.start()
    return engine, time.monotonic() - began


def picture_question() -> dict[str, Any]:
    """A simulated ECG with a question: one of the nano expert's own probes, the picture in the request itself."""
    canaries = read_canaries(NANO)
    request = next(one.request for one in canaries.probes if one.request is not None) if canaries else None
    if request is None:
        raise BadSettings(f"{NANO} has no canary probe with a picture", "`chordae train canaries` computes them")
    media, text = request["messages"][0]["content"]
    encoded = base64.b64encode((NANO / media["image_url"]["url"]).read_bytes()).decode()
    shown = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded}"}}
    return {"messages": [{"role": "user", "content": [shown, text]}]}


@contextmanager
def peak_memory() -> Iterator[list[int]]:
    """The largest sum of what this process and those below it held for themselves, in a list of one, bytes."""
    found, over = [0], threading.Event()

    def look() -> None:
        while not over.wait(0.5):
            held = 0
            for one in (psutil.Process(), *psutil.Process().children(recursive=True)):
                try:
                    held += one.memory_full_info().uss
                except psutil.Error:
                    continue  # it has ended
            found[0] = max(found[0], held)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def main() -> None:
    """Rehearse at full size, show and keep what was found; exits with 1 where the engines differ."""
    place = Path("var/rehearsal")
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for what, free, needed in (
        ("memory", psutil.virtual_memory().available, NEEDED_MEMORY),
        ("disk", shutil.disk_usage(place).free, NEEDED_DISK),
    ):
        if free < needed:
            problem = f"{free / GiB:.0f} GiB of {what} available, {needed / GiB:.0f} GiB needed"
            raise BadSettings(problem, "close other programs, or take another machine")
    try:
        found = asyncio.run(rehearse(place, TEXT, VISION))
    finally:
        shutil.rmtree(place)
    told = {
        "parameters": found.parameters,
        "load_s": round(found.load_s, 1),
        "swap_s": round(found.swap_s, 1),
        "fresh_s": round(found.fresh_s, 1),
        "peak_gib": round(found.peak_bytes / GiB, 2),
        "cores": os.cpu_count(),
        "same": found.same,
    }
    table = Table("figure", "value", title="Rehearsal at full size")
    for name, value in told.items():
        table.add_row(name, str(value))
    Console().print(table)
    RESULT.write_text(json.dumps(told, indent=2) + "\n")
    raise SystemExit(0 if found.same else 1)


if __name__ == "__main__":
    main()
