"""The verbs that judge: evaluation and calibration. One an intent; no logic."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from chordae.console import err, out, progress, show_counts, show_reading
from chordae.platform.errors import BadInput
from chordae.platform.schemas import Modality
from chordae.platform.settings import ExpertSettings, load_settings

evaluate = typer.Typer(no_args_is_help=True, help="Judge an expert.")

Config = Annotated[Path, typer.Option("--config", envvar="CHORDAE_CONFIG", help="Settings file.")]
LAPTOP = Path("configs/laptop.yaml")
Model = Annotated[str, typer.Option(help="ecg, echo or cmr of the settings, or the directory of a checkpoint.")]
SplitName = Annotated[str, typer.Option("--split", help="A dataset with questions, below --datasets.")]
Datasets = Annotated[Path, typer.Option(help="Where the datasets lie.")]
Results = Annotated[
    Path | None, typer.Option("-o", "--output", help="Directory for the report; default: var/evaluation/<model>.")
]
SiteName = Annotated[str | None, typer.Option(help="Only questions from this site.")]
Most = Annotated[int | None, typer.Option("-n", min=1, help="At most so many questions.")]


@evaluate.command("mcq")
def evaluate_mcq(
    model: Model,
    split: SplitName = "test",
    datasets: Datasets = Path("var/datasets"),
    output: Results = None,
    site: SiteName = None,
    most: Most = None,
    config: Config = LAPTOP,
) -> None:
    """Multiple choice: accuracy by category and site, beside chance, the text-only floor and the ceiling."""
    _evaluate("mcq", model, split, datasets, output, site, most, config)


@evaluate.command("vqa")
def evaluate_vqa(
    model: Model,
    split: SplitName = "test",
    datasets: Datasets = Path("var/datasets"),
    output: Results = None,
    site: SiteName = None,
    most: Most = None,
    judge: Annotated[
        str, typer.Option(help="claims (offline), or the URL of an OpenAI-compatible endpoint; key: CHORDAE_JUDGE_KEY.")
    ] = "claims",
    judge_model: Annotated[str, typer.Option(help="The judge's name at its endpoint.")] = "default",
    config: Config = LAPTOP,
) -> None:
    """Open questions: Likert 1 to 5 by a judge over the reference answer's claims."""
    _evaluate("vqa", model, split, datasets, output, site, most, config, judge, judge_model)


@evaluate.command("blind")
def evaluate_blind(
    model: Model,
    split: SplitName = "test",
    datasets: Datasets = Path("var/datasets"),
    output: Results = None,
    site: SiteName = None,
    most: Most = None,
    config: Config = LAPTOP,
) -> None:
    """The same questions, the media withheld: who declines, who guesses, who sees what is not there."""
    _evaluate("blind", model, split, datasets, output, site, most, config)


@evaluate.command("cod")
def evaluate_cod(
    model: Annotated[str, typer.Option(help="reasoner of the settings, or the directory of a checkpoint.")],
    split: Annotated[str, typer.Option(help="A dataset of CMR records, below --datasets.")] = "cmr-r-test",
    datasets: Datasets = Path("var/datasets"),
    output: Results = None,
    most: Annotated[int | None, typer.Option("-n", min=1, help="At most so many records.")] = None,
    language: Annotated[Literal["en", "zh"], typer.Option(help="Of prompts and chains.")] = "en",
    config: Config = LAPTOP,
) -> None:
    """The reasoner's chain of diagnosis: category, probabilities, faithfulness, beside floors and ceiling."""
    from chordae.learning.diagnosis_evaluation import evaluate_diagnoses
    from chordae.learning.diagnosis_evaluation_report import tables

    settings = _reasoner(model, config)
    folder = _folder(model, output, None, most)
    with progress() as tell:
        report = evaluate_diagnoses(settings, datasets, split, folder, language, most, tell)
    out.print(*tables(report), sep="\n")
    err.print(f"report and plots in {folder}", markup=False)


@evaluate.command("records")
def evaluate_records(
    file: Annotated[Path, typer.Argument(help="A spreadsheet of real patients, one a row: .csv, .tsv or .xlsx.")],
    mapping: Annotated[Path, typer.Option(help="What its columns hold, the diagnosis among them.")],
    model: Annotated[str, typer.Option(help="reasoner of the settings, or the directory of a checkpoint.")],
    output: Results = None,
    language: Annotated[Literal["en", "zh"], typer.Option(help="Of prompts and chains.")] = "en",
    config: Config = LAPTOP,
) -> None:
    """Real patients whose diagnosis is known: what the reasoner makes of their records, never trained on them."""
    from chordae.learning.diagnosis_evaluation_report import tables
    from chordae.learning.real_records import evaluate_records

    settings, folder = _reasoner(model, config), output or Path("var/evaluation") / f"{Path(model).name}-{mapping.stem}"
    with progress() as tell:
        report = evaluate_records(settings, file, mapping, folder, language, tell)
    out.print(*tables(report), sep="\n")
    err.print(f"report and plots in {folder}", markup=False)


def _evaluate(
    kind: Literal["mcq", "vqa", "blind"],
    model: str,
    split: str,
    datasets: Path,
    output: Path | None,
    site: str | None,
    most: int | None,
    config: Path,
    judge: str = "claims",
    judge_model: str = "default",
) -> None:
    from chordae.learning.evaluate_served import Split, evaluate_served
    from chordae.learning.judge import ClaimJudge, EndpointJudge
    from chordae.learning.score_report import table

    settings, modality = _expert(model, config)
    grader = (
        ClaimJudge()
        if judge == "claims"
        else EndpointJudge(judge, judge_model, os.environ.get("CHORDAE_JUDGE_KEY", "none"))
    )
    wanted = Split(datasets, split, site, most)
    folder = _folder(model, output, site, most)
    with progress() as tell:
        report = evaluate_served(kind, settings, modality, wanted, folder, grader, tell)
    out.print(table(report))
    err.print(f"report and plots in {folder}", markup=False)


@evaluate.command("mirage")
def evaluate_mirage(
    model: Model,
    split: SplitName = "test",
    datasets: Datasets = Path("var/datasets"),
    output: Results = None,
    site: SiteName = None,
    most: Most = None,
    config: Config = LAPTOP,
) -> None:
    """Pictures absent, blank, of others: is what was made up flagged, and what was read off the picture kept?"""
    from chordae.cli_rephrasing import rephraser
    from chordae.learning.evaluate_served import Split
    from chordae.learning.mirage import mirage_served
    from chordae.learning.mirage_report import tables, write
    from chordae.platform.embedding import load_embedding

    settings, modality = _expert(model, config)
    whole, folder = load_settings(config), _folder(model, output, site, most)
    wanted, embed = Split(datasets, split, site, most), load_embedding()
    with progress() as tell, rephraser(whole, embed) as rephrase:
        report = mirage_served(settings, whole.orchestrator, modality, wanted, folder, rephrase, embed, tell)
        write(report, folder)
    out.print(*tables(report), sep="\n")
    err.print(f"report and plots in {folder}", markup=False)


def calibrate(
    model: Model,
    split: Annotated[
        str | None, typer.Option(help="Below --datasets; default: calibration, of a reasoner cmr-r-dev.")
    ] = None,
    datasets: Datasets = Path("var/datasets"),
    output: Results = None,
    most: Most = None,
    config: Config = LAPTOP,
) -> None:
    """Fit alpha and threshold to an expert's weights: no mirage passes, most correct answers do. Kept beside them.

    Of a reasoner the temperature of its probabilities.
    """
    from chordae import cli_diagnosis
    from chordae.cli_rephrasing import rephraser
    from chordae.learning.calibrate import calibrate_served
    from chordae.learning.evaluate_served import Split
    from chordae.learning.mirage_report import calibration_table
    from chordae.learning.results import note
    from chordae.platform.embedding import load_embedding
    from chordae.platform.weights import fetch_checkpoint, read_manifest

    if cli_diagnosis.is_reasoner(model):
        cli_diagnosis.calibrate(_reasoner(model, config), split or "cmr-r-dev", datasets, most)
        return
    settings, modality = _expert(model, config)
    folder, embed = _folder(model, output, None, most), load_embedding()
    wanted = Split(datasets, split or "calibration", None, most)
    with progress() as tell, rephraser(load_settings(config), embed) as rephrase:
        found = calibrate_served(settings, modality, wanted, folder, rephrase, embed, tell)
    name = read_manifest(fetch_checkpoint(settings.model, settings.revision)).name
    out.print(calibration_table(found, name, note(name)))
    err.print(f"stored beside the weights; answers and plots in {folder}", markup=False)


def _folder(model: str, output: Path | None, site: str | None, most: int | None) -> Path:
    """Where a report goes: one on some of the questions never over the one on all."""
    part = [*([site] if site else []), *([f"{most}"] if most else [])]
    return output or Path("var/evaluation") / "-".join([Path(model).name, *part])


def _reasoner(model: str, config: Path) -> ExpertSettings:
    """The settings of the reasoner, of another checkpoint if one is named."""
    settings = load_settings(config).reasoner
    if settings is None:
        raise BadInput(f"{config} has no reasoner", "name settings that have one")
    return settings if model == "reasoner" else settings.model_copy(update={"model": model})


def _expert(model: str, config: Path) -> tuple[ExpertSettings, Modality]:
    """The settings of an expert, by its modality or by its checkpoint's directory."""
    from chordae.platform.weights import read_manifest

    experts = load_settings(config).experts
    for modality in get_args(Modality):
        if model == modality and modality in experts:
            return experts[modality], modality
    if not Path(model).is_dir():
        raise BadInput(f"no expert and no directory {model}", f"name one: {', '.join(experts)}, or a checkpoint")
    told = read_manifest(Path(model)).modality
    if told is None or told not in experts:
        raise BadInput(f"{model} is of no modality of {config}", f"name one of its experts: {', '.join(experts)}")
    return experts[told].model_copy(update={"model": model}), told


@evaluate.command("compare")
def evaluate_compare(
    reports: Annotated[list[Path], typer.Argument(help="mcq.json or vqa.json of two or more models on one split.")],
) -> None:
    """Do models differ? McNemar on the same questions, Mann-Whitney on Likert scores, with Bonferroni's correction."""
    from chordae.learning.comparison import compare, compare_likert
    from chordae.learning.results import McqReport, VqaReport
    from chordae.learning.score_report import comparison_table, read

    found = [read(path) for path in reports]
    mcq = [one for one in found if isinstance(one, McqReport)]
    vqa = [one for one in found if isinstance(one, VqaReport)]
    if len(mcq) not in (0, len(found)) or len(vqa) not in (0, len(found)):
        raise BadInput("reports of different kinds do not compare", "name mcq.json files, or vqa.json files")
    out.print(comparison_table(compare(mcq) if mcq else compare_likert(vqa)))


@evaluate.command("recordings")
def evaluate_recordings(
    folder: Annotated[
        Path,
        typer.Argument(
            exists=True, file_okay=False, help="WFDB records whose headers have #Dx lines of SNOMED CT codes."
        ),
    ],
    model: Model = "ecg",
    config: Config = LAPTOP,
) -> None:
    """What an ECG expert says of real recordings, beside the diagnoses in their headers and a beat detector's rate."""
    from chordae.learning.engine_answering import engine_expert
    from chordae.learning.recordings import counts, read_out
    from chordae.platform.weights import fetch_checkpoint

    settings, modality = _expert(model, config)
    readings = []
    with progress() as tell:
        tell("loading the engine")
        with engine_expert(fetch_checkpoint(settings.model, settings.revision), settings, modality) as expert:
            for reading in read_out(folder, expert.generate):
                show_reading(reading)
                readings.append(reading)
    show_counts(counts(readings))
