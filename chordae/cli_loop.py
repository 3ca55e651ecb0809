"""The verbs of learning while serving. No logic."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from chordae.console import DEMONSTRATOR, err, out
from chordae.platform.settings import load_settings

learn = typer.Typer(no_args_is_help=True, help="Learn from what comes in, labelled or not.")
Config = Annotated[Path, typer.Option("--config", envvar="CHORDAE_CONFIG", help="Settings file.")]
LAPTOP = Path("configs/laptop.yaml")


@learn.command("offer")
def learn_offer(
    files: Annotated[list[Path], typer.Argument(help="Files of CMR records: .json, .csv, .tsv or .xlsx.")],
    site: Annotated[str, typer.Option(help="Where they come from; each site has its own key for identifiers.")],
    mapping: Annotated[
        Path | None, typer.Option(help="What a spreadsheet's columns hold, as configs/records/acdc.yaml says it.")
    ] = None,
    config: Config = LAPTOP,
) -> None:
    """Take in CMR records that nobody has judged: the next round learns from them. The same record comes in once."""
    from chordae.platform.ledger_records import RecordsLedger
    from chordae.preprocessing.identity import load_site
    from chordae.preprocessing.records import load_mapping
    from chordae.preprocessing.records.prospective import read_prospective

    settings = load_settings(config)
    columns = None if mapping is None else load_mapping(mapping)
    offered, refused = read_prospective(files, columns, load_site(site, settings.sites_dir))
    new = RecordsLedger(settings.ledger_url).take_in([one for _, one in offered])
    for where, one in offered:
        out.print(f"{where}: {one.id}", markup=False)
    for where, why in refused:
        err.print(f"{where}: not taken in: {why}", style="yellow", markup=False)
    out.print(f"{new} new, {len(offered) - new} known before, {len(refused)} not taken in", markup=False)


@learn.command("feedback")
def learn_feedback(
    study: Annotated[str, typer.Argument(help="Id of a record, a study or a diagnosis.")],
    category: Annotated[str, typer.Argument(help="What it shows: one of the eight categories.")],
    by: Annotated[str | None, typer.Option(help="Who says so; default: who is logged in.")] = None,
    config: Config = LAPTOP,
) -> None:
    """Say what a study shows. Its CMR record becomes a sentinel: it judges candidates, none learns from it."""
    from chordae.platform.diagnosis.category import CATEGORIES, category_of
    from chordae.platform.errors import BadInput
    from chordae.platform.ledger_gate import GateLedger

    known = category_of(category)
    if known is None:
        raise BadInput(f"{category!r} is none of the categories", f"use one of: {', '.join(CATEGORIES)}")
    ledger = GateLedger(load_settings(config).ledger_url)
    ledger.give_feedback(study, known, by or getpass.getuser())
    out.print(f"{study} shows {known}", markup=False)
    if not ledger.has_record(study):
        out.print("there is no record of it in the ledger: it judges a candidate that was on trial with it, no other")


@learn.command("pcrl")
def learn_pcrl(
    config: Annotated[Path, typer.Option("--config", help="A file of type pcrl, as configs/train/cmr-r-pcrl.yaml.")],
    output: Annotated[
        Path | None, typer.Option(help="Directory of the checkpoint; default: var/models/<name>.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on with a run that was stopped, or start anew.")] = True,
) -> None:
    """Learn from cases that nobody has judged: answers vote, doubtful ones are left out, a brake stops what drifts.

    Of type pcrl for records of the reasoner, of type pcrl-mcq for studies of an imaging expert.
    """
    from chordae.learning.config import load_config
    from chordae.learning.launch import train

    kind = "pcrl-mcq" if load_config(config).type == "pcrl-mcq" else "pcrl"
    train(kind, config, output, resume)


@learn.command("run")
def learn_run(
    once: Annotated[bool, typer.Option("--once", help="Stop when no round is open and none is due.")] = False,
    config: Config = LAPTOP,
) -> None:
    """Collect, train, evaluate, register, decide, and again; killed at any moment, it goes on where it was."""
    from chordae.learning.loop.actor import run_loop

    run_loop(load_settings(config), lambda line: out.print(line, markup=False), once)


@learn.command("status")
def learn_status(config: Config = LAPTOP) -> None:
    """What is waiting, and every round: how far it is, or how it ended."""
    from chordae.console_loop import rounds_table, trial_line
    from chordae.platform.ledger_learning import LearningLedger
    from chordae.platform.ledger_trials import TrialsLedger
    from chordae.platform.weights import fetch_checkpoint, read_manifest

    settings = load_settings(config)
    if settings.reasoner is None:
        out.print("there is no reasoner in the settings, so nothing is learned")
        return
    model = read_manifest(fetch_checkpoint(settings.reasoner.model, settings.reasoner.revision)).name
    ledger = LearningLedger(settings.ledger_url)
    waiting = ", ".join(f"{count} of {site}" for site, count in sorted(ledger.waiting(model).items()))
    out.print(f"{model}: records waiting: {waiting or 'none'}", markup=False)
    out.print(rounds_table(ledger.rounds(model)))
    trials = TrialsLedger(settings.ledger_url)
    if (trial := trials.open_trial(model)) is not None:
        out.print(trial_line(trial, trials.trial_counts(trial.id)), markup=False)
    out.print(DEMONSTRATOR, style="yellow")


@learn.command("report")
def learn_report(
    output: Annotated[Path, typer.Option("-o", "--output", help="The page.")] = Path("report.html"),
    config: Config = LAPTOP,
) -> None:
    """Everything that learning did, as one HTML page with plots, made from the ledger alone."""
    from chordae.learning.loop.history import read_history
    from chordae.learning.loop.report import report_page
    from chordae.platform.files import write_atomically

    output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(output, report_page(read_history(load_settings(config).ledger_url)).encode())
    out.print(f"written: {output}", markup=False)
    out.print(DEMONSTRATOR, style="yellow")


@learn.command("decide")
def learn_decide(
    name: Annotated[str, typer.Argument(help="The model's name, as `chordae models list` shows it.")],
    version: Annotated[str, typer.Argument(help="Its number; or candidate, champion.")],
    decision: Annotated[str, typer.Argument(help="promote, hold or rollback.")],
    reason: Annotated[str, typer.Option(help="Kept in the ledger.")] = "",
    config: Config = LAPTOP,
) -> None:
    """Decide about a version in the gate's place; the loop keeps to it."""
    from chordae.learning.loop.person import decide_by_person

    said = decide_by_person(load_settings(config), name, version, decision, getpass.getuser(), reason)
    out.print(said, markup=False)


@learn.command("abandon")
def learn_abandon(
    name: Annotated[str, typer.Argument(help="The model's name, as `chordae models list` shows it.")],
    reason: Annotated[str, typer.Option(help="Kept in the ledger.")] = "",
    config: Config = LAPTOP,
) -> None:
    """End the open round without a decision, where it cannot go on or shall not; the next one takes other records."""
    from chordae.learning.loop.person import abandon_round

    out.print(abandon_round(load_settings(config), name, getpass.getuser(), reason), markup=False)
