"""The command line: one verb an intent."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import MofNCompleteColumn, Progress
from typer.core import TyperGroup

from chordae.console import IngestView, err, out, show_answer, show_counts, show_reading, show_score, show_settings
from chordae.platform.errors import ChordaeError
from chordae.platform.schemas import Answer, Media
from chordae.platform.settings import Settings, load_settings
from chordae.platform.weights import fetch_checkpoint

DEMO_QUESTION = "What is the rhythm, and is there any conduction or ST-segment abnormality?"


class _OneLineErrors(TyperGroup):
    """The project's errors end a command with one line and their exit status, not with a traceback."""

    def invoke(self, context: Any) -> Any:
        try:
            return super().invoke(context)
        except ChordaeError as error:
            err.print(f"chordae: {error}", style="red", soft_wrap=True, markup=False)
            raise typer.Exit(error.exit_code) from None


app = typer.Typer(cls=_OneLineErrors, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
preprocess = typer.Typer(no_args_is_help=True, help="Turn recordings into pictures, without a platform.")
train = typer.Typer(no_args_is_help=True, help="Make an expert.")
evaluate = typer.Typer(no_args_is_help=True, help="Judge an expert.")
cohort = typer.Typer(no_args_is_help=True, help="Simulated patients with known truth.")
app.add_typer(preprocess, name="preprocess")
app.add_typer(cohort, name="cohort")
app.add_typer(train, name="train")
app.add_typer(evaluate, name="evaluate")

Config = Annotated[Path, typer.Option("--config", envvar="CHORDAE_CONFIG", help="Settings file.")]
LAPTOP = Path("configs/laptop.yaml")


@app.command()
def up(config: Config = LAPTOP, detach: Annotated[bool, typer.Option(help="Return once it is ready.")] = False) -> None:
    """Start the platform and keep it running until Ctrl-C (or `chordae down`)."""
    from chordae.deployments import supervisor

    if detach:
        with _progress() as tell:
            supervisor.start_detached(config, tell)
        out.print(f"ready: {supervisor.base_url(load_settings(config))}/v1 (model chordae); `chordae down` stops it")
    else:
        supervisor.run(load_settings(config), lambda stage: out.print(f"chordae: {stage}"))


@app.command()
def down(config: Config = LAPTOP) -> None:
    """Stop the platform; running answers finish first."""
    from chordae.deployments import supervisor

    out.print("stopped" if supervisor.stop_running(load_settings(config)) else "no platform was running here")


@app.command()
def status(config: Config = LAPTOP) -> None:
    """Is it running, does it answer, on which ports, with which weights?"""
    from chordae.deployments import client, supervisor

    settings = load_settings(config)
    state = supervisor.read_state(settings)
    out.print(f"process: {'none' if state is None else f'''{state['pid']}, {state['stage']}'''}")
    for name, port in settings.outer_ports().items():
        out.print(f"{name}: port {port}")
    for card in client.models(settings):
        out.print(f"model: {card['id']} {card.get('chordae', {}).get('weights', {}).get('digest', '')}")


@app.command()
def ask(
    question: str,
    ecg: Annotated[Path, typer.Option(help="The recording: DICOM, WFDB header or .npy.")],
    config: Config = LAPTOP,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole answer as JSON.")] = False,
    probe: Annotated[bool, typer.Option(help="Ask again in other words and without the picture.")] = True,
) -> None:
    """Ask one question about a recording."""
    settings = load_settings(config)
    stages: dict[str, float] = {}
    with _progress() as tell:
        answer, media = _ask(settings, ecg, question, probe, stages, tell)
    if as_json:
        print(json.dumps(answer.model_dump(mode="json") | {"stages": stages, "picture": media.model_dump(mode="json")}))  # noqa: T201
    else:
        show_answer(answer, media, settings, stages)


def _ask(
    settings: Settings, ecg: Path, question: str, probe: bool, stages: dict[str, float], tell: Any
) -> tuple[Answer, Media]:
    from chordae.deployments import client

    def finished(stage: str, seconds: float) -> None:
        stages[stage] = seconds
        tell(f"{stage} done in {seconds:.2f} s")

    tell("preprocessing the recording")
    media = client.timed_upload(settings, ecg, finished)
    return client.ask(settings, media, question, probe, finished), media


@preprocess.command("ecg")
def preprocess_ecg(
    file: Path,
    output: Annotated[Path, typer.Option("-o", "--output", help="PNG to write.")],
    layout: Annotated[str, typer.Option(help="clinical (for people) or marcus (for the model).")] = "clinical",
) -> None:
    """Read, filter and render one ECG; prints what is known about it."""
    from chordae.preprocessing.ecg.output import write_picture

    out.print_json(data=write_picture(file, output, layout))


Study = Annotated[Path, typer.Argument(help="A .tgz, .zip, folder or DICOM file.")]
Video = Annotated[Path, typer.Option("-o", "--output", help="MP4 to write.")]
About = Annotated[str, typer.Option("--question", help="What will be asked: it steers which clips are shown first.")]


@preprocess.command("echo")
def preprocess_echo(study: Study, output: Video, question: About = "") -> None:
    """Choose an echo study's best clips and write them as one grid video; prints what each tile shows."""
    from chordae.preprocessing.study import write_video

    out.print_json(data=write_video(study, output, "echo", question))


@preprocess.command("cmr")
def preprocess_cmr(study: Study, output: Video, question: About = "") -> None:
    """Sort a cardiac MR study's sequences and write them as one grid video; prints what each tile shows."""
    from chordae.preprocessing.study import write_video

    out.print_json(data=write_video(study, output, "cmr", question))


@app.command()
def ingest(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders with studies: ECG, echo, cardiac MR.")],
    site: Annotated[str, typer.Option(help="Where they come from; each site has its own key for identifiers.")],
    config: Config = LAPTOP,
    watch: Annotated[bool, typer.Option("--watch", help="Go on with what arrives, until Ctrl-C or SIGTERM.")] = False,
) -> None:
    """Take studies in: prepare each once, keep its media, record its outcome; what is known already is skipped.

    Killed at any point, it goes on where it was when it is started again. Exit status 0: every study has its outcome,
    also where that is a refusal, listed with its reason; 1: stopped or failed before that; 2: nothing could start.
    """
    from chordae.platform.cluster import stop_on_signals
    from chordae.preprocessing.pipeline import ingest as run_ingest

    settings, stop = load_settings(config), threading.Event()
    stop_on_signals(stop)
    with IngestView() as view:
        left = run_ingest(paths, site, settings, view, stop, watch)
    view.summary()
    if left:
        out.print(f"{left} studies are left for the next run")
    if left and not watch:
        raise typer.Exit(1)


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

    with _counting("patients", patients) as tell:
        make_cohort(load_site(site), patients, seed, output, tell=lambda done: tell(done, patients))
    out.print(f"{patients} patients of {site} in {output}", markup=False)


@cohort.command("dataset")
def cohort_dataset(
    config: Annotated[Path, typer.Argument(help="A file of configs/datasets.")],
    output: Directory,
) -> None:
    """Simulated patients' files through the hospital's preprocessing: what training and evaluation read."""
    from chordae.learning.datasets import load_dataset_config, make_dataset

    wanted = load_dataset_config(config)
    with _counting("patients", sum(one.patients for one in wanted.members)) as tell:
        out.print_json(data=make_dataset(wanted, output, tell))


@contextmanager
def _counting(what: str, of: int) -> Iterator[Any]:
    """A progress bar on standard error; a line every tenth where that is no terminal."""
    if err.is_terminal:
        with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=err) as bar:
            task = bar.add_task(what, total=of)
            yield lambda done, total: bar.update(task, completed=done, total=total)
        return

    told = 0

    def tell(done: int, total: int) -> None:
        nonlocal told
        if done * 10 // max(total, 1) > told:
            told = done * 10 // max(total, 1)
            err.print(f"{what}: {done} of {total}", markup=False)

    yield tell


@train.command("sft")
def train_sft(
    config: Annotated[Path, typer.Option(help="Training file, for example configs/train/ecg-nano.yaml.")],
    output: Annotated[
        Path | None, typer.Option(help="Directory of the checkpoint; default: the one in the file.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on with a run that was stopped, or start anew.")] = True,
) -> None:
    """Supervised training; started again after a kill, it goes on from its last checkpoint."""
    from chordae.learning.sft import train as run_sft

    run_sft(config, output, resume)


@evaluate.command("mcq")
def evaluate_mcq(
    config: Config = LAPTOP,
    questions: Annotated[int, typer.Option("-n", help="How many, evenly over the categories.")] = 1000,
    picture: Annotated[bool, typer.Option(help="Show the picture, or withhold it.")] = True,
) -> None:
    """Multiple-choice accuracy of the configured ECG expert on simulated ECGs that training never saw."""
    from chordae.learning.engine_answering import engine_expert
    from chordae.learning.evaluation import evaluate_mcq as judge

    settings = load_settings(config).experts["ecg"]
    with _progress() as tell:
        tell("loading the engine")
        with engine_expert(fetch_checkpoint(settings.model, settings.revision), settings) as expert:
            tell(f"asking {questions} questions {'with' if picture else 'without'} the picture")
            forced = None if picture else expert.choose
            score = judge(expert.generate, questions, with_picture=picture, choose=forced, size=expert.size)
    show_score(score.summary())


@evaluate.command("recordings")
def evaluate_recordings(
    folder: Annotated[
        Path,
        typer.Argument(
            exists=True, file_okay=False, help="WFDB records whose headers have #Dx lines of SNOMED CT codes."
        ),
    ],
    config: Config = LAPTOP,
) -> None:
    """What the configured ECG expert says of real recordings, beside the diagnoses in their headers."""
    from chordae.learning.engine_answering import engine_expert
    from chordae.learning.recordings import counts, read_out

    settings = load_settings(config).experts["ecg"]
    readings = []
    with _progress() as tell:
        tell("loading the engine")
        with engine_expert(fetch_checkpoint(settings.model, settings.revision), settings) as expert:
            for reading in read_out(folder, expert.generate, expert.size):
                show_reading(reading)
                readings.append(reading)
    show_counts(counts(readings))


@app.command("config")
def show_config(config: Config = LAPTOP) -> None:
    """Print every knob with its meaning, default and current value."""
    show_settings(load_settings(config))


@app.command()
def demo(config: Config = LAPTOP) -> None:
    """The whole path once: start, ask about a real ECG, show what the answer rests on, stop."""
    from chordae.deployments import supervisor
    from chordae.preprocessing.dicom import bundled_ecg

    settings = load_settings(config)
    stages: dict[str, float] = {}
    with _progress() as tell:
        started = time.monotonic()
        supervisor.start_detached(config, tell)
        stages["start"] = time.monotonic() - started
        try:
            answer, media = _ask(settings, bundled_ecg(), DEMO_QUESTION, True, stages, tell)
        finally:
            tell("stopping")
            then = time.monotonic()
            supervisor.stop_running(settings)
            stages["stop"] = time.monotonic() - then
    out.print(
        f"[bold]Question[/bold]  {DEMO_QUESTION}\n[bold]Recording[/bold] pydicom's waveform_ecg.dcm, a real 12-lead ECG"
    )
    show_answer(answer, media, settings, stages)


@contextmanager
def _progress() -> Iterator[Any]:
    """A spinner with the current stage and the time, on standard error; plain lines where that is no terminal."""
    started = time.monotonic()
    if not err.is_terminal:
        yield lambda stage: err.print(f"[{time.monotonic() - started:6.1f} s] {stage}", markup=False)
        return
    with err.status("starting") as spinner:

        def tell(stage: str) -> None:
            err.print(f"[{time.monotonic() - started:6.1f} s] {stage}", style="dim", markup=False)
            spinner.update(stage)

        yield tell


if __name__ == "__main__":
    app()
