"""`make bench-learning`: seven ways of stage 2 from one stage-1 checkpoint, three seeds and as many answers each.

Hours. Runs go side by side, each on a core of its own; what has a result in --results is not run again, and a run that
was stopped goes on. A subset: --arms naive thompson --seeds 1 --rounds 2.
"""

import argparse
import json
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from os import environ, sched_getaffinity
from pathlib import Path
from queue import SimpleQueue

import psutil
from rich.console import Console

from chordae.learning.arms import (
    ARMS,
    NAIVE,
    RunResult,
    config_of,
    load_base,
    read_result,
    result_of,
    run_arm,
    seeds_of,
)
from chordae.learning.arms_results import summarise, table
from chordae.learning.launch import WORKER_ENVIRONMENT
from chordae.platform.errors import BadSettings
from chordae.platform.settings import ExpertSettings, load_settings

RESULTS = Path(__file__).parent / "results" / "learning"
ONE = "import sys; from benchmarks.learning import main_of_one; main_of_one(sys.argv[1:])"
"""Not `-m`: the engine's process, which is spawned, would import all of this again."""
BASE = Path("configs/train/cmr-r-arms/base.yaml")


def main(words: list[str] | None = None) -> int:
    """Run what is wanted and not there yet, then say what it comes to; 1 if a run failed."""
    told = _arguments().parse_args(words)
    base = load_base(told.base)
    runs = [(arm, seed) for seed in told.seeds for arm in told.arms if seed in seeds_of(arm, told.seeds)]
    _settings(told)  # what is wrong with them shows now
    failed = _side_by_side(told, runs)
    found: list[RunResult] = []
    for arm, seed in runs:
        config = config_of(arm, seed, base, told.rounds)
        result = read_result(result_of(told.results, arm, seed, config), config)
        found += [] if result is None else [result]
    lines = summarise(found)
    machine = f"{platform.machine()}, {psutil.cpu_count()} cores, {psutil.virtual_memory().total / 1024**3:.0f} GiB"
    content = {
        "machine": machine,
        "start": found[0].start,
        "records": len(found[0].outcomes),
        "rarest": found[0].rarest,
        "naive": config_of(NAIVE, told.seeds[0], base, told.rounds).model_dump(mode="json"),
        "arms": [line.model_dump(mode="json") for line in lines],
        "curves": [{"arm": run.arm, "seed": run.seed, "curve": run.model_dump()["curve"]} for run in found],
    }
    (told.results / "summary.json").write_text(json.dumps(content, indent=1) + "\n")
    Console(width=200).print(table(lines))
    return int(bool(failed))


def main_of_one(words: list[str]) -> None:
    """Run one arm with one seed, in this process."""
    told = _arguments().parse_args(words)
    settings = _settings(told)
    places = (told.directory, told.results)
    run_arm(told.arms[0], told.seeds[0], told.base, told.rounds, told.test, settings, *places, told.most)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning", description=__doc__)
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--rounds", type=int, help="of an arm without replacements; default: the base's")
    parser.add_argument("--base", type=Path, default=BASE, help="what all arms share")
    parser.add_argument("--test", type=Path, default=Path("var/datasets/cmr-r-test"))
    parser.add_argument("--most", type=int, default=0, help="of the test set's records; 0: all")
    parser.add_argument("--settings", type=Path, default=Path("configs/laptop.yaml"), help="with the reasoner's engine")
    parser.add_argument("--directory", type=Path, default=Path("var/arms"), help="where runs lie")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where their results are kept")
    parser.add_argument("--at-once", type=int, default=2, help="runs side by side, as far as there are cores")
    return parser


def _settings(told: argparse.Namespace) -> ExpertSettings:
    settings = load_settings(told.settings).reasoner
    if settings is None:
        raise BadSettings(f"{told.settings} has no reasoner", "name settings that have one")
    return settings


def _side_by_side(told: argparse.Namespace, runs: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Each run in a process and on a core of its own, its output in `<run>.log`; returns those that failed."""
    available = sorted(sched_getaffinity(0))[: told.at_once]
    cores: SimpleQueue[int] = SimpleQueue()
    for core in available:
        cores.put(core)
    told.directory.mkdir(parents=True, exist_ok=True)

    def one(run: tuple[str, int]) -> bool:
        (arm, seed), core = run, cores.get()
        log = told.directory / f"{arm}-seed{seed}.log"
        rounds = [] if told.rounds is None else ["--rounds", str(told.rounds)]
        command = ["taskset", "-c", str(core), sys.executable, "-c", ONE]
        command += ["--arms", arm, "--seeds", str(seed), *rounds, "--most", str(told.most)]
        for name in ("base", "test", "settings", "directory", "results"):
            command += [f"--{name}", str(getattr(told, name))]
        try:
            with log.open("a") as file:
                given = environ | WORKER_ENVIRONMENT | {"OMP_NUM_THREADS": "1"}
                code = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, env=given, check=False).returncode
        finally:
            cores.put(core)
        print(f"{arm}, seed {seed}: {'done' if code == 0 else f'failed, see {log}'}", flush=True)
        return code == 0

    with ThreadPoolExecutor(len(available)) as pool:
        return [run for run, fine in zip(runs, pool.map(one, runs), strict=True) if not fine]


if __name__ == "__main__":
    sys.exit(main())
