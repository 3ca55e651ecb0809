"""The verbs of CMR records: `chordae diagnose`, and `chordae calibrate` of a reasoner. No logic."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.table import Table

from chordae.console import err, out, progress
from chordae.console_diagnosis import show_diagnosis, show_many
from chordae.platform.diagnosis.diagnosis import Diagnosis
from chordae.platform.errors import BadInput, ChordaeError
from chordae.platform.settings import ExpertSettings, load_settings
from chordae.preprocessing.records import ReadRecord, load_mapping, read_records

Config = Annotated[Path, typer.Option("--config", envvar="CHORDAE_CONFIG", help="Settings file.")]
LAPTOP = Path("configs/laptop.yaml")
SHOWN_WHOLE = 3
"""So many diagnoses are shown with their chains; of more a line each."""


def diagnose(
    records: Annotated[list[Path], typer.Argument(help="Files of CMR records: .json, .csv, .tsv or .xlsx.")],
    mapping: Annotated[
        Path | None, typer.Option(help="What a spreadsheet's columns hold, as configs/records/acdc.yaml says it.")
    ] = None,
    language: Annotated[
        Literal["en", "zh"] | None, typer.Option(help="Of prompt and chain; default: the description's.")
    ] = None,
    offline: Annotated[bool, typer.Option(help="An engine of its own instead of the running platform.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON, a line a record.")] = False,
    config: Config = LAPTOP,
) -> None:
    """Diagnose CMR records: the chain, how likely each category is, and whether every citation holds.

    A record is named by its place in its file; a patient's key is neither sent nor shown.
    """
    settings = load_settings(config)
    named = _read(records, mapping)
    read = [one for _, one in named]
    with progress() as tell:
        if offline:
            from chordae.deployments.reasoner_batches import diagnose_all

            found = diagnose_all(settings, read, language, tell)
        else:
            from chordae.deployments.client import diagnose as ask

            found = ask(settings, read, language, tell)
    told = [(where, one) for (where, _), one in zip(named, found, strict=True)]
    if as_json:
        for where, one in told:
            print(json.dumps({"where": where, **_as_json(one)}, ensure_ascii=False))  # noqa: T201
    else:
        _show([(where, one) for where, one in told if isinstance(one, Diagnosis)], len(told))
    failed = [(where, one) for where, one in told if isinstance(one, ChordaeError)]
    for where, error in failed:
        err.print(f"chordae: {where}: {error}", style="red", soft_wrap=True, markup=False)
    if failed:
        raise typer.Exit(failed[0][1].exit_code)


def _read(files: list[Path], mapping: Path | None) -> list[tuple[str, ReadRecord]]:
    """Every record with its place, which says nothing of the patient: files' names may be patients' names."""
    columns = None if mapping is None else load_mapping(mapping)
    read = []
    for at, file in enumerate(files, start=1):
        before = f"file {at}, " if len(files) > 1 else ""
        for one in read_records(file, columns):
            nobodys = one.record.model_copy(update={"patient_key": None})
            read.append((f"{before}{one.where}", one.model_copy(update={"record": nobodys})))
    return read


def only_record(file: Path) -> ReadRecord:
    """The record of a file that holds one, without the patient's key.

    Raises:
        BadInput: it cannot be read, or holds several.
    """
    found = _read([file], None)
    if len(found) != 1:
        raise BadInput(f"{file.name} holds {len(found)} records", "name a file of one; `chordae diagnose` takes many")
    return found[0][1]


def _show(found: list[tuple[str, Diagnosis]], asked: int) -> None:
    if asked > SHOWN_WHOLE:
        show_many(found)
        return
    for where, one in found:
        show_diagnosis(one, where if asked > 1 else "")


def _as_json(one: Diagnosis | ChordaeError) -> dict[str, Any]:
    return one.model_dump(mode="json") if isinstance(one, Diagnosis) else {"error": str(one)}


def is_reasoner(model: str) -> bool:
    """Whether `--model` names the settings' reasoner, or the directory of one."""
    from chordae.platform.weights import read_manifest

    return model == "reasoner" or (Path(model).is_dir() and read_manifest(Path(model)).kind == "reasoner")


def calibrate(settings: ExpertSettings, split: str, datasets: Path, most: int | None) -> None:
    """Fit the temperature of a reasoner's probabilities; kept beside the weights."""
    from chordae.learning.calibrate_reasoner import calibrate_reasoner

    with progress() as tell:
        found = calibrate_reasoner(settings, datasets, split, most, tell)
    table = Table("", "at temperature 1", f"at {found.temperature:.3f}", title=f"{split}, {found.n} records")
    table.add_row("negative log-likelihood", *(f"{one:.4f}" for one in found.nll))
    table.add_row("expected calibration error", *(f"{one:.4f}" for one in found.ece))
    out.print(table)
    err.print("stored beside the weights", markup=False)
