"""The verbs of learning while serving. No logic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

learn = typer.Typer(no_args_is_help=True, help="Learn from what comes in, labelled or not.")


@learn.command("pcrl")
def learn_pcrl(
    config: Annotated[Path, typer.Option("--config", help="A file of type pcrl, as configs/train/cmr-r-pcrl.yaml.")],
    output: Annotated[Path | None, typer.Option(help="Directory of the checkpoint; default: var/models/<name>.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on with a run that was stopped, or start anew.")] = True,
) -> None:
    """Learn from unlabelled CMR records: answers vote, doubtful cases are left out, a brake stops what drifts."""
    from chordae.learning.launch import train

    train("pcrl", config, output, resume)
