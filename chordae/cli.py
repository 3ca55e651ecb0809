"""The command line: one verb an intent."""

from __future__ import annotations

import errno
import json
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from rich.markup import escape
from typer.core import TyperGroup

from chordae.cli_diagnosis import diagnose, only_record
from chordae.cli_evaluation import calibrate, evaluate
from chordae.cli_learning import cohort, train
from chordae.cli_loop import learn
from chordae.cli_models import models
from chordae.console import DEMONSTRATOR, IngestView, err, out, progress, show_settings
from chordae.console_answer import show_answer
from chordae.console_facts import show_facts
from chordae.platform.errors import BadInput, ChordaeError
from chordae.platform.schemas import Answer, Media, Modality
from chordae.platform.settings import Settings, load_settings
from chordae.preprocessing.records import ReadRecord

DEMO_QUESTION = "What is the rhythm, and is there any conduction or ST-segment abnormality?"
DEMO_STUDY_QUESTION = "What is the diagnosis?"
DEMO_SITE, DEMO_SEED, DEMO_PATIENT = "university", 2026, 2


class _OneLineErrors(TyperGroup):
    """The project's errors end a command with one line and their exit status, not with a traceback."""

    def invoke(self, context: Any) -> Any:
        try:
            return super().invoke(context)
        except ChordaeError as error:
            err.print(f"chordae: {error}", style="red", soft_wrap=True, markup=False)
            raise typer.Exit(error.exit_code) from None
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
                raise
            said = f"this machine cannot go on ({os.strerror(error.errno)})"  # without the file's name
            err.print(f"chordae: {said}: put that right and run it again", style="red", soft_wrap=True, markup=False)
            raise typer.Exit(1) from None


app = typer.Typer(cls=_OneLineErrors, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
preprocess = typer.Typer(no_args_is_help=True, help="Turn recordings into pictures, without a platform.")
app.add_typer(preprocess, name="preprocess")
app.add_typer(cohort, name="cohort")
app.add_typer(train, name="train")
app.add_typer(evaluate, name="evaluate")
app.add_typer(models, name="models")
app.add_typer(learn, name="learn")
app.command("calibrate")(calibrate)
app.command("diagnose")(diagnose)

Config = Annotated[Path, typer.Option("--config", envvar="CHORDAE_CONFIG", help="Settings file.")]
LAPTOP = Path("configs/laptop.yaml")


@app.command()
def up(config: Config = LAPTOP, detach: Annotated[bool, typer.Option(help="Return once it is ready.")] = False) -> None:
    """Start the platform and keep it running until Ctrl-C (or `chordae down`)."""
    from chordae.deployments import supervisor

    if detach:
        with progress() as tell:
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
    web_ports = settings.web_ports()
    for name, port in settings.outer_ports().items():
        out.print(f"{name}: port {port}" + (f", web API {web_ports[name]}" if name in web_ports else ""))
    for card in client.models(settings):
        out.print(f"model: {card['id']} {card.get('chordae', {}).get('weights', {}).get('digest', '')}")


Recording = Annotated[Path | None, typer.Option(help="An ECG: XML, DICOM, SCP, WFDB header, .mat or .npy.")]
StudyOf = Annotated[Path | None, typer.Option(help="A .tgz, .zip or DICOM file.")]


@app.command()
def ask(
    question: str,
    ecg: Recording = None,
    echo: StudyOf = None,
    cmr: StudyOf = None,
    record: Annotated[Path | None, typer.Option(help="A CMR record, for questions for a diagnosis: .json.")] = None,
    config: Config = LAPTOP,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole answer as JSON.")] = False,
    probe: Annotated[bool, typer.Option(help="Ask again in other words and without the media.")] = True,
) -> None:
    """Ask one question about a patient's recordings, any of ECG, echo and cardiac MR, and CMR record."""
    settings = load_settings(config)
    recordings = [path for path in (ecg, echo, cmr) if path is not None]
    if not recordings and record is None:
        raise BadInput("nothing to ask about", "name a recording, --ecg, --echo or --cmr, or a --record")
    read = None if record is None else only_record(record)
    stages: dict[str, float] = {}
    with progress() as tell:
        answer, media = _ask(settings, recordings, question, probe, stages, tell, read)
    if as_json:
        shown = [one.model_dump(mode="json") for one in media]
        print(json.dumps(answer.model_dump(mode="json") | {"stages": stages, "media": shown}))  # noqa: T201
    else:
        show_answer(answer, media, settings, stages)


def _ask(
    settings: Settings,
    recordings: list[Path],
    question: str,
    probe: bool,
    stages: dict[str, float],
    tell: Any,
    record: ReadRecord | None = None,
) -> tuple[Answer, list[Media]]:
    from chordae.deployments import client

    def finished(stage: str, seconds: float) -> None:
        stages[stage] = stages.get(stage, 0.0) + seconds
        tell(f"{stage} done in {seconds:.2f} s")

    tell("preprocessing")
    media = [client.timed_upload(settings, path, finished) for path in recordings]
    return client.ask(settings, media, question, probe, finished, record), media


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


@app.command("config")
def show_config(config: Config = LAPTOP) -> None:
    """Print every knob with its meaning, default and current value."""
    show_settings(load_settings(config))


@app.command()
def demo(config: Config = LAPTOP) -> None:
    """The whole path once: start, ask about a real ECG and a simulated patient, learn from a late site, stop."""
    from chordae import demonstration
    from chordae.deployments import supervisor
    from chordae.preprocessing.dicom import bundled_ecg

    own = demonstration.demo_config(config)
    settings = load_settings(own)
    start, real, simulated = {}, dict[str, float](), dict[str, float]()
    learned: demonstration.Learned | None = None
    with progress() as tell, tempfile.TemporaryDirectory() as directory:
        started = time.monotonic()
        supervisor.start_detached(own, tell)
        start["start"] = time.monotonic() - started
        try:
            first = _ask(settings, [bundled_ecg()], DEMO_QUESTION, True, real, tell)
            tell(f"simulating a patient of {DEMO_SITE}")
            truth, files = _simulated_patient(
                Path(directory), tuple(one for one in get_args(Modality) if one in settings.experts)
            )
            second = _ask(settings, files, DEMO_STUDY_QUESTION, True, simulated, tell)
            then = time.monotonic()
            if settings.reasoner is not None:
                learned = demonstration.learn_from_a_late_site(settings, tell)
            start["learn"] = time.monotonic() - then
        finally:
            tell("stopping")
            then = time.monotonic()
            supervisor.stop_running(settings)
            start["stop"] = time.monotonic() - then
    _headline(Question=DEMO_QUESTION, Recording="pydicom's waveform_ecg.dcm, a real 12-lead ECG")
    show_answer(*first, settings, real)
    names = ", ".join(path.name for path in files)
    _headline(Question=DEMO_STUDY_QUESTION, Recording=f"a simulated patient: {names}", Truth=truth)
    show_answer(*second, settings, simulated)
    if learned is not None:
        _headline(Learning=f"{demonstration.OFFERED} records of a site that nobody had seen, without a label")
        show_facts((label, escape(text)) for label, text in demonstration.facts(learned))
        out.print(f"\n{DEMONSTRATOR}", style="yellow")
    out.print(", ".join(f"{name} {seconds:.1f} s" for name, seconds in start.items()), style="dim")


def _headline(**facts: str) -> None:
    out.print()
    out.rule(style="bold")
    show_facts(facts.items())


def _simulated_patient(directory: Path, modalities: tuple[Modality, ...]) -> tuple[str, list[Path]]:
    """What is true of the demo's patient, in words, and the files of the modalities that have an expert."""
    from chordae.cohort.make import TRUTH, make_patient, patient_directory
    from chordae.cohort.sites import load_site
    from chordae.cohort.truth import Truth

    make_patient(load_site(DEMO_SITE), DEMO_SEED, DEMO_PATIENT, directory, modalities)
    files = patient_directory(directory, DEMO_PATIENT)
    truth = Truth.model_validate_json((files / TRUTH).read_text())
    ecg = truth.ecg
    tracing = f"{ecg.rhythm} rhythm at {ecg.rate_bpm} bpm, conduction {ecg.conduction}, ST elevation {ecg.st}"
    told = f"category {truth.category}; LV ejection fraction {truth.measured.lv_ef:.0f} %; {tracing}"
    return told, [next(files.glob(f"{modality}.*")) for modality in modalities]


if __name__ == "__main__":
    app()
