"""The verbs that make: simulated patients and training. One an intent; no logic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from chordae.console import DEMONSTRATOR, counting, out

cohort = typer.Typer(no_args_is_help=True, help="Simulated patients with known truth.")
train = typer.Typer(no_args_is_help=True, help="Make an expert.")

Config = Annotated[Path, typer.Option("--config", envvar="CHORDAE_CONFIG", help="Settings file.")]
LAPTOP = Path("configs/laptop.yaml")
Directory = Annotated[Path, typer.Option("-o", "--output", help="Directory to write; a stopped run goes on there.")]


@cohort.command("make")
def cohort_make(
    patients: Annotated[int, typer.Option(min=1, help="How many.")],
    output: Directory,
    site: Annotated[str, typer.Option(help="A profile of configs/sites, or the path of one.")] = "university",
    seed: Annotated[int, typer.Option(help="The same site, seed and number are the same patient.")] = 1,
) -> None:
    """Write simulated patients as a hospital's files: ECG, echo, cardiac MR, record, report, and the truth."""
    from chordae.cohort.make import make_cohort
    from chordae.cohort.sites import load_site

    with counting("patients", patients) as tell:
        make_cohort(load_site(site), patients, seed, output, tell=tell)
    out.print(f"{patients} patients of {site} in {output}", markup=False)


@cohort.command("dataset")
def cohort_dataset(
    config: Annotated[Path, typer.Argument(help="A file of configs/datasets.")],
    output: Directory,
) -> None:
    """Simulated patients' files through the hospital's preprocessing: what training and evaluation read."""
    from chordae.learning.datasets import load_dataset_config, make_dataset

    wanted = load_dataset_config(config)
    with counting("patients", sum(one.patients for one in wanted.members)) as tell:
        summary = make_dataset(wanted, output, tell)
    out.print_json(data=summary)


@cohort.command("records")
def cohort_records(
    config: Annotated[Path, typer.Argument(help="A file configs/datasets/cmr-r-*.yaml.")],
    output: Directory,
) -> None:
    """Simulated patients' CMR records, without pictures: what the CMR reasoner is trained and judged on."""
    from chordae.cohort.record_cases import load_cases_config, make_cases

    wanted = load_cases_config(config)
    with counting("patients", sum(one.patients for one in wanted.members)) as tell:
        summary = make_cases(wanted, output, tell)
    out.print_json(data=summary)


Recipe = Annotated[Path, typer.Option("--config", help="A file of configs/train.")]
Checkpoint = Annotated[Path | None, typer.Option(help="Directory of the checkpoint; default: var/models/<name>.")]
Resume = Annotated[bool, typer.Option(help="Go on with a run that was stopped, or start anew.")]


@train.command("pretrain")
def train_pretrain(config: Recipe, output: Checkpoint = None, resume: Resume = True) -> None:
    """Stage 1: the vision encoder, the language model frozen."""
    from chordae.learning.launch import train as run

    run("pretrain", config, output, resume)


@train.command("sft")
def train_sft(config: Recipe, output: Checkpoint = None, resume: Resume = True) -> None:
    """Stage 2: everything, on reports and questions. Started again after a kill, it goes on from its checkpoint."""
    from chordae.learning.launch import train as run

    run("sft", config, output, resume)


@train.command("grpo")
def train_grpo(config: Recipe, output: Checkpoint = None, resume: Resume = True) -> None:
    """Stage 3: reinforcement by whether the right option was chosen."""
    from chordae.learning.launch import train as run

    run("grpo", config, output, resume)


@train.command("ma-grpo")
def train_ma_grpo(config: Recipe, output: Checkpoint = None, resume: Resume = True) -> None:
    """The CMR reasoner's reinforcement: rounds that ask most about the diseases it knows least."""
    from chordae.learning.launch import train as run

    run("ma-grpo", config, output, resume)


@train.command("canaries")
def train_canaries(
    checkpoints: Annotated[list[Path], typer.Argument(exists=True, file_okay=False, help="Directories of ours.")],
) -> None:
    """Compute a checkpoint's canary probes with training's own code: what whoever serves it must get from it."""
    from chordae.learning.checkpoint import add_probes

    for directory in checkpoints:
        out.print(f"{add_probes(directory)} canary probes beside {directory}", markup=False)


@train.command("plan")
def train_plan(config: Recipe) -> None:
    """What a run of a large model needs of each GPU, counted on the meta device; refused where it does not fit."""
    from chordae.learning.memory_plan import plan, rows

    table = Table("what", "how much", "how it is counted", title=config.name)
    for row in rows(plan(config)):
        table.add_row(*row)
    out.print(table)


@train.command("views")
def train_views(
    dataset: Annotated[Path, typer.Option(help="A dataset with echo studies.")] = Path("var/datasets/echo-train"),
    output: Annotated[Path | None, typer.Option(help="Where the weights go; default: into the package.")] = None,
) -> None:
    """The view selector of echo studies: which clips hold the evidence, learned from labels of whole studies."""
    from chordae.learning.view_selector import train_selector
    from chordae.preprocessing.echo.attention import WEIGHTS

    out.print_json(data=train_selector(dataset, output or WEIGHTS))
    out.print(DEMONSTRATOR, style="yellow")
