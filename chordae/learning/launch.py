"""`chordae train ...` and `chordae learn pcrl`: a configuration's run on Ray Train, stopped and resumed at will.

Everything that can be wrong with the input is looked at before a worker starts. Checkpoints and losses lie in a work
directory beside the output; the same command again goes on where a killed run stopped. With several workers it must lie
on storage that all of them see, as Ray Train's own storage path must.
"""

import os
import shlex
import shutil
import sys
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import ray
import ray.train
import torch
from ray.train.torch import TorchTrainer, get_device

from chordae.learning import checkpoint, reasoner
from chordae.learning.config import MaGrpoConfig, SftConfig, load_config, parse_config
from chordae.learning.foreign import Foreign
from chordae.learning.lineage import manifest
from chordae.learning.media_cache import View
from chordae.learning.pcrl.config import PcrlConfig
from chordae.learning.pcrl.mcq_config import McqPcrlConfig
from chordae.learning.pcrl.state import LABELS
from chordae.learning.pcrl.unlabelled import read_unlabelled
from chordae.learning.reasoner_lessons import open_cases, refuse_shared
from chordae.learning.run_config import Run
from chordae.learning.studies import Media, Studies, load_samples, refuse_held_out
from chordae.learning.tracking import LOSSES, LossLog
from chordae.learning.tracking_callback import Say
from chordae.platform.errors import BadInput, BadSettings, LearningHalted
from chordae.platform.files import write_atomically
from chordae.platform.registry.client import tracking_uri
from chordae.platform.registry.tracking import TrackedRun

WORKER_ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**34),
    "MALLOC_TOP_PAD_": str(2**28),
}
"""Threads that spin while they wait made a step five times slower on two busy cores (8 s against 1.8 s). A tensor that
glibc takes from the kernel and gives back at every use is cleared every time: half of an encoder's step (3.5 s against
1.9 s); so memory once taken is kept."""
HALTED = "halted.txt"
"""In the work directory of a run that a brake stopped: why."""
LOOPS = {
    "pretrain": "chordae.learning.pretrain",
    "sft": "chordae.learning.sft",
    "grpo": "chordae.learning.grpo",
    "ma-grpo": "chordae.learning.ma_grpo",
    "pcrl": "chordae.learning.pcrl.training",
    "pcrl-mcq": "chordae.learning.pcrl.mcq_training",
}
"""Modules with `run(session) -> metrics`, by the configuration's type; imported in the worker."""


@dataclass
class Session:
    """What a loop works with, in each worker."""

    config: Any
    work: Path
    """Where its checkpoints lie."""
    say: Say
    first: bool
    """This worker writes the checkpoint and the log."""
    device: torch.device
    tracked: TrackedRun | None

    def studies(self) -> Studies:
        """The training and validation studies; their media are cached already."""
        return open_studies(self.config)

    def foreign(self) -> Foreign | None:
        """Media that the expert cannot read, where the configuration asks about such."""
        return open_foreign(self.config)

    def losses(self, step: int) -> LossLog | None:
        """The log of losses, from `step` on; the first worker's alone."""
        return LossLog(self.work, self.tracked, step) if self.first else None


def train(
    kind: str, config_path: Path, output: Path | None = None, resume: bool = True, data_dir: Path = Path("var")
) -> Path:
    """Run what a file of `configs/train` describes.

    Args:
        kind: the type that the file must have: pretrain, sft, grpo, ma-grpo, pcrl, pcrl-mcq.
        config_path: the YAML file.
        output: directory of the checkpoint; none: `<data_dir>/models/<name>`.
        resume: go on with a run of the same configuration that was stopped; otherwise start anew.
        data_dir: where models and the record of runs lie.

    Returns:
        The checkpoint's directory: a Hugging Face checkpoint with `manifest.json`, and `losses.jsonl` beside it.

    Raises:
        BadSettings: the file is wrong, or the work directory holds a run of another configuration.
        BadInput: a checkpoint, dataset or split that cannot be used; see `prepare`.
        LearningHalted: a brake stopped the run (pcrl); no checkpoint was written.
    """
    config = load_config(config_path)
    if config.type != kind:
        raise BadSettings(f"{config_path.name} has the type {config.type}", _command(config.type))
    command = [_command(kind), "--config", str(config_path), *(["--output", str(output)] if output else [])]
    output = (output or data_dir / "models" / config.name).resolve()
    prepare(config)
    work = output.parent / f".{output.name}.training"
    checkpoint.recover(output)
    key = _claim(work, output, config, resume)
    _refuse_halted(work)
    gpu = torch.cuda.is_available() if config.use_gpu is None else config.use_gpu
    told: dict[str, Any] = {
        "config": config.model_dump(mode="json"),
        "directory": str(Path.cwd()),
        "command": " ".join([command[0], shlex.join(command[1:])]),
        "gpu": gpu,
        "key": key,
        "output": str(output),
        "work": str(work),
        "tracking": tracking_uri(data_dir),
    }
    TrackedRun(told["tracking"], config.name, key, _parameters(config))  # a server that is down shows now
    trainer = TorchTrainer(
        train_loop,
        train_loop_config=told,
        scaling_config=ray.train.ScalingConfig(num_workers=config.workers, use_gpu=gpu),
        run_config=ray.train.RunConfig(name=config.name, storage_path=str(work / "ray")),
    )
    started = config.workers > 0 and not ray.is_initialized()
    if started:  # a job of a cluster has RAY_ADDRESS; a cluster that merely runs on this machine is left alone
        address = os.environ.get("RAY_ADDRESS", "local")
        local = {"object_store_memory": 2**28} if address == "local" else {}
        ray.init(address=address, runtime_env={"env_vars": WORKER_ENVIRONMENT}, **local)
    try:
        trainer.fit()
    finally:
        if started:
            ray.shutdown()
    _refuse_halted(work)
    for kept in (LOSSES, LABELS):
        if (work / kept).is_file():
            (work / kept).replace(output.with_name(f"{output.name}.{kept}"))
    shutil.rmtree(work)
    return output


def _command(kind: str) -> str:
    return "chordae learn pcrl" if kind.startswith("pcrl") else f"chordae train {kind}"


def prepare(config: Run) -> None:
    """Look at all input before work begins; media are read and cached.

    Raises:
        BadInput: a corrupt or partial checkpoint, one for another architecture, modality or size, a tokenizer that does
            not fit, an empty dataset or split, unreadable media, a held-out patient among those to be trained on.
        BadSettings: a checkpoint or a server that is not there.
    """
    if config.start:
        family = reasoner.ARCHITECTURE if config.cases else checkpoint.ARCHITECTURE
        checkpoint.verify(config.start, config.modality, config.size, config.frames, family)
    if config.cases:
        refuse_shared(open_cases(config.cases), open_cases((*config.held_out, *_assessed_on(config))))
    if isinstance(config, PcrlConfig):
        read_unlabelled(config.unlabelled)
    if config.language:
        checkpoint.verify(config.language)
    if config.datasets:
        open_studies(config)
        open_foreign(config)
    if isinstance(config, McqPcrlConfig):
        modality = _view(config).modality
        refuse_held_out(load_samples(config.unlabelled, modality), (*config.held_out, *config.sentinels))
        refuse_held_out(load_samples(config.datasets, modality), (*config.unlabelled, *config.sentinels))
        for apart in (config.unlabelled, config.sentinels):
            open_media(config, apart)


def _assessed_on(config: Run) -> tuple[Path, ...]:
    """Directories of the labelled cases that a run looks at while it trains."""
    if isinstance(config, MaGrpoConfig):
        return config.development
    return config.sentinels if isinstance(config, PcrlConfig) else ()


def open_studies(config: Run) -> Studies:
    """The studies that a configuration names, their media cached.

    Raises:
        BadInput: as `prepare`.
    """
    view = _view(config)
    samples = load_samples(config.datasets, view.modality)
    refuse_held_out(samples, config.held_out)
    return Studies(samples, view, config.validation)


def open_media(config: Run, datasets: Sequence[Path]) -> Media:
    """Studies of these directories as the expert of a configuration sees them.

    Raises:
        BadInput: as `prepare`, or a study is there twice.
    """
    view = _view(config)
    samples = load_samples(datasets, view.modality)
    if twice := [name for name, count in Counter(Path(one.media).name for _, one in samples).items() if count > 1]:
        raise BadInput(f"{len(twice)} studies are there twice, {min(twice)} first", "name every directory once")
    return Media(samples, view)


def open_foreign(config: Run) -> Foreign | None:
    """Media of other modalities that a configuration names, if its phases ask about what the expert cannot read.

    Raises:
        BadInput: as `prepare`.
    """
    if not isinstance(config, SftConfig) or not any(phase.foreign for phase in config.phases):
        return None
    return Foreign(config.foreign, config.held_out, _view(config))


def _view(config: Run) -> View:
    """How the expert of a configuration sees its media."""
    if config.modality is None or config.size is None:
        raise BadSettings("no datasets are named", "set modality, size and datasets")
    return View(config.modality, config.size, config.frames)


def train_loop(told: dict[str, Any]) -> None:
    """What every worker runs; the first one writes the checkpoint."""
    os.chdir(told["directory"])  # Ray starts workers elsewhere; a configuration's paths start where the command did
    config, work, output = parse_config(told["config"]), Path(told["work"]), Path(told["output"])
    first = ray.train.get_context().get_world_rank() == 0
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // max(1, config.workers)))  # Ray gives a worker one
    device = get_device() if told["gpu"] else torch.device("cpu")
    tracked = TrackedRun(told["tracking"], config.name, told["key"]) if first else None
    session = Session(config, work, _printer(config.name) if first else lambda line: None, first, device, tracked)
    try:
        model, tokenizer, metrics = import_module(LOOPS[config.type]).run(session)
    except LearningHalted as halt:  # an outcome, not a failure, which Ray would try again
        if first:
            write_atomically(work / HALTED, halt.problem.encode())
        return
    if first:
        checkpoint.write(model, tokenizer, config, output, manifest(config, told["command"], metrics))
    if tracked is not None:
        tracked.log([(config.steps, _flat(metrics))])
        tracked.finish()
    ray.train.report({"loss": float(metrics.get("loss", float("nan")))})


def _claim(work: Path, output: Path, config: Run, resume: bool) -> str:
    """Make or take over the work directory; returns the key under which its run is tracked."""
    mark, key = work / "config.sha256", work / "run.key"
    if work.is_dir() and not resume:
        shutil.rmtree(work)
    if mark.is_file() and mark.read_text() != config.digest():
        raise BadSettings(
            f"{work} holds a stopped run of another configuration", "start anew with --no-resume or delete it"
        )
    made_by = checkpoint.manifest_of(output).get("name") if output.is_dir() else None
    if output.is_dir() and made_by != config.name:
        raise BadSettings(f"{output} holds {made_by or 'something else'}, not {config.name}", "name another --output")
    work.mkdir(parents=True, exist_ok=True)
    if not key.is_file():
        write_atomically(key, uuid.uuid4().hex.encode())
    write_atomically(mark, config.digest().encode())
    return key.read_text()


def _refuse_halted(work: Path) -> None:
    if (work / HALTED).is_file():
        raise LearningHalted((work / HALTED).read_text(), "no weights were made; --no-resume begins anew")


def _parameters(config: Run) -> dict[str, str]:
    return {name: str(value) for name, value in config.model_dump(mode="json").items()}


def _flat(metrics: dict[str, Any], prefix: str = "") -> dict[str, float]:
    flat: dict[str, float] = {}
    for name, value in metrics.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        elif isinstance(value, int | float):
            flat[f"final.{prefix}{name}"] = float(value)
    return flat


def _printer(name: str) -> Say:
    def say(line: str) -> None:
        sys.stdout.write(f"{time.strftime('%H:%M:%S')} {name} {line}\n")
        sys.stdout.flush()

    return say
