"""`chordae train sft`: a nano expert from nothing, on Ray Train.

First to see, by linear heads, since next-token loss alone teaches the text and not the picture; then to answer. Each
stage leaves checkpoints in the work directory; the same command again goes on where a killed run stopped. With several
workers the work directory must lie on storage that all of them see, as Ray Train's own storage path must.
"""

import io
import json
import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import ray
import ray.train
import torch
from ray.train.torch import TorchTrainer, get_device

from chordae.cohort.questions import corpus
from chordae.learning.answering import transformers_choose, transformers_generate
from chordae.learning.config import SftConfig, load_config
from chordae.learning.encoder import Progress, train_encoder
from chordae.learning.evaluation import evaluate_mcq
from chordae.learning.language import train_language
from chordae.learning.nano import build_model, build_tokenizer, save_checkpoint
from chordae.platform.errors import BadSettings
from chordae.platform.files import write_atomically

TOKENIZER_ROUNDS = 2000
WAIT_QUIETLY = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Threads that spin while they wait made a step five times slower on two busy cores (8 s against 1.8 s)."""
Say = Callable[[str], None]


def train(config_path: Path, output: Path | None = None, resume: bool = True) -> Path:
    """Train the expert that a file of `configs/train` describes.

    Args:
        config_path: the YAML file.
        output: directory of the checkpoint; none: `var/models/<name>`.
        resume: go on with a run of the same configuration that was stopped; otherwise start anew.

    Returns:
        The checkpoint's directory: a Hugging Face checkpoint with `manifest.json`.

    Raises:
        BadSettings: the file is wrong, or the work directory holds a run of another configuration.
    """
    config = load_config(config_path)
    command = ["chordae", "train", "sft", "--config", str(config_path), *(["--output", str(output)] if output else [])]
    output = (output or Path("var/models") / config.name).resolve()
    work = output.parent / f".{output.name}.training"
    _recover(output)
    _claim(work, config, resume)
    gpu = torch.cuda.is_available() if config.use_gpu is None else config.use_gpu
    trainer = TorchTrainer(
        train_loop,
        train_loop_config={
            "config": config.model_dump(mode="json"),
            "command": shlex.join(command),
            "gpu": gpu,
            "output": str(output),
            "work": str(work),
        },
        scaling_config=ray.train.ScalingConfig(num_workers=config.workers, use_gpu=gpu),
        run_config=ray.train.RunConfig(name=config.name, storage_path=str(work / "ray")),
    )
    started = config.workers > 0 and not ray.is_initialized()
    if started:  # a job of a cluster has RAY_ADDRESS; a cluster that merely runs on this machine is left alone
        address = os.environ.get("RAY_ADDRESS", "local")
        local = {"object_store_memory": 2**28} if address == "local" else {}
        ray.init(address=address, runtime_env={"env_vars": WAIT_QUIETLY}, **local)
    try:
        trainer.fit()
    finally:
        if started:
            ray.shutdown()
    shutil.rmtree(work)
    return output


def train_loop(told: dict[str, Any]) -> None:
    """What every worker runs; the first one writes the checkpoint."""
    config, work, output = SftConfig.model_validate(told["config"]), Path(told["work"]), Path(told["output"])
    first = ray.train.get_context().get_world_rank() == 0
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // max(1, config.workers)))  # Ray gives a worker one
    say = _printer() if first else lambda line: None
    tokenizer = build_tokenizer(corpus(np.random.default_rng(config.seed), TOKENIZER_ROUNDS), config.vocabulary)
    torch.manual_seed(config.seed)
    device = get_device() if told["gpu"] else torch.device("cpu")
    model = build_model(tokenizer).to(device)
    size = sum(parameter.numel() for parameter in model.parameters())
    say(f"{config.name}: {size / 1e6:.2f} M parameters, {len(tokenizer)} tokens, on {device}")
    report = partial(_progress, say, time.monotonic())
    _encoder(model, config, work, first, partial(report, "encoder", config.encoder.steps))
    for number, stage in enumerate(config.stages):
        done = work / f"{stage.name}.pt"
        if done.is_file():
            model.load_state_dict(torch.load(done, map_location=device))
            continue
        progress = partial(report, stage.name, stage.steps)
        train_language(model, tokenizer, stage, number, config, work / stage.name, progress)
        if first:
            _store(model.state_dict(), done)
            shutil.rmtree(work / stage.name, ignore_errors=True)
    metrics: dict[str, Any] = {}
    if first:
        model.eval()
        metrics = _evaluate(model, tokenizer, config, say) if config.evaluate else {}
        _write(model, tokenizer, config, output, told["command"], metrics)
    ray.train.report({"mcq_accuracy": metrics.get("mcq", {}).get("accuracy", float("nan"))})


def _encoder(model: Any, config: SftConfig, work: Path, first: bool, progress: Progress) -> None:
    path = work / "encoder.pt"
    state = torch.load(path, map_location=model.device) if path.is_file() else None
    # Every worker trains the same encoder on the same pictures: at this size that is cheaper than sharing gradients.
    train_encoder(
        model,
        config.encoder,
        config.seed,
        config.picture,
        config.loader_workers,
        progress,
        state,
        partial(_store, path=path) if first else None,
    )


def _evaluate(model: Any, tokenizer: Any, config: SftConfig, say: Say) -> dict[str, Any]:
    generate, choose = transformers_generate(model, tokenizer), transformers_choose(model, tokenizer)
    say(f"evaluation: {config.evaluate} questions with the picture")
    seen = evaluate_mcq(generate, config.evaluate, size=config.picture)
    say(f"evaluation: {seen.accuracy:.3f}, chance {seen.chance:.3f}; now without the picture")
    blind = evaluate_mcq(generate, config.evaluate, with_picture=False, choose=choose, size=config.picture)
    say(f"evaluation: {blind.excluded} of {blind.asked} declined, forced choice {blind.forced:.3f}")
    return {"mcq": seen.summary(), "mcq_picture_withheld": blind.summary()}


def _write(model: Any, tokenizer: Any, config: SftConfig, output: Path, command: str, metrics: dict[str, Any]) -> None:
    """The whole directory at once, so that no reader ever sees half of it."""
    staged = output.with_name(f".{output.name}.staged")
    shutil.rmtree(staged, ignore_errors=True)
    save_checkpoint(model, tokenizer, staged, config.picture)
    manifest = {
        "name": config.name,
        "version": config.version,
        "modality": "ecg",
        "layout": "marcus",
        "picture": list(config.picture),
        "command": command,
        "created_from": config.digest(),
        "metrics": metrics,
    }
    write_atomically(staged / "manifest.json", (json.dumps(manifest, indent=2) + "\n").encode())
    (staged / "manifest.json").chmod(0o644)
    if (output / "README.md").is_file():
        shutil.copy(output / "README.md", staged / "README.md")
    if output.exists():
        output.rename(_previous(output))
    staged.rename(output)
    shutil.rmtree(_previous(output), ignore_errors=True)


def _previous(output: Path) -> Path:
    return output.with_name(f".{output.name}.previous")


def _recover(output: Path) -> None:
    """What `_write` left if it was killed: the checkpoint that it had moved aside goes back, or is not needed."""
    if _previous(output).is_dir():
        if output.exists():
            shutil.rmtree(_previous(output))
        else:
            _previous(output).rename(output)


def _claim(work: Path, config: SftConfig, resume: bool) -> None:
    mark = work / "config.sha256"
    if work.is_dir() and not resume:
        shutil.rmtree(work)
    if mark.is_file() and mark.read_text() != config.digest():
        raise BadSettings(
            f"{work} holds a stopped run of another configuration", "start anew with --no-resume or delete it"
        )
    work.mkdir(parents=True, exist_ok=True)
    write_atomically(mark, config.digest().encode())


def _store(state: Any, path: Path) -> None:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(path, buffer.getvalue())


def _printer() -> Say:
    def say(line: str) -> None:
        sys.stdout.write(f"{time.strftime('%H:%M:%S')} {line}\n")
        sys.stdout.flush()

    return say


def _progress(say: Say, start: float, stage: str, steps: int, step: int, values: dict[str, float]) -> None:
    if step % 10 == 0 or step == steps:
        shown = ", ".join(f"{name} {value:.3f}" for name, value in values.items())
        say(f"{stage} {step}/{steps}, {(time.monotonic() - start) / 60:.1f} min: {shown}")
