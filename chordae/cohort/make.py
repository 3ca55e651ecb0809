"""`chordae cohort make`: a site's patients as the files that its machines and doctors write.

A patient's directory is complete when it has `truth.json`, which is written last: a stopped run goes on where it was.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from chordae.cohort.cmr import write_cmr
from chordae.cohort.ecg import simulate_ecg
from chordae.cohort.ecg_files import write_ecg
from chordae.cohort.echo import write_echo
from chordae.cohort.identity import Identity
from chordae.cohort.patient import Patient, draw_patient, patient_rng
from chordae.cohort.record import make_record
from chordae.cohort.report import write_report
from chordae.cohort.sites import SiteProfile
from chordae.platform.errors import BadInput
from chordae.platform.files import write_atomically
from chordae.platform.schemas import Modality

GENERATOR_VERSION = "hearts-1"
"""Raise it whenever the same site, seed and number would give another patient or other files."""
MODALITIES: tuple[Modality, ...] = ("ecg", "echo", "cmr")
TRUTH, COHORT, VIEWS = "truth.json", "cohort.json", "echo-views.json"
JUNK = "junk"
"""In VIEWS: a clip that shows nothing that helps."""


def make_cohort(
    site: SiteProfile,
    patients: int,
    seed: int,
    directory: Path,
    only: Sequence[Modality] = MODALITIES,
    tell: Callable[[int], None] = lambda done: None,
) -> None:
    """Write `patients` of a site below `directory`; `tell` hears how many there are.

    Raises:
        BadInput: the directory holds another cohort.
    """
    profile = site.model_dump(mode="json")
    about = {"site": site.name, "seed": seed, "only": sorted(only), "generator": GENERATOR_VERSION, "profile": profile}
    mark = directory / COHORT
    if mark.is_file() and {k: v for k, v in json.loads(mark.read_text()).items() if k in about} != about:
        raise BadInput(f"{directory} holds another cohort", "name another directory, or delete it")
    directory.mkdir(parents=True, exist_ok=True)
    write_atomically(mark, json.dumps(about | {"patients": patients}, indent=1).encode())
    wanted = [
        number for number in range(1, patients + 1) if not (patient_directory(directory, number) / TRUTH).is_file()
    ]
    done = patients - len(wanted)
    tell(done)
    for more in in_processes(make_patient, [(site, seed, number, directory, tuple(only)) for number in wanted]):
        tell(done + more)


def in_processes(work: Callable[..., object], tasks: Sequence[tuple[Any, ...]]) -> Iterator[int]:
    """Do the tasks, one process a core; yields how many are done. The first that fails ends all, with its error."""
    pool = ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("spawn"))
    try:
        for done, finished in enumerate(as_completed([pool.submit(work, *task) for task in tasks]), start=1):
            finished.result()
            yield done
    finally:
        pool.shutdown(cancel_futures=True)


def patient_directory(cohort: Path, number: int) -> Path:
    """Where a patient's files lie."""
    return cohort / "patients" / f"{number:06d}"


def make_patient(site: SiteProfile, seed: int, number: int, cohort: Path, only: Sequence[Modality]) -> None:
    """Write one patient."""
    patient = draw_patient(site, seed, number)
    directory = patient_directory(cohort, number)
    directory.mkdir(parents=True, exist_ok=True)
    identity = _identity(patient, site, seed, number)
    if "ecg" in only:
        rng = patient_rng(site, seed, number, "ecg")
        signal = simulate_ecg(patient.truth.ecg, rng, noise=site.ecg.noise, mains_hz=site.ecg.mains_hz)
        write_ecg(signal, site.ecg, identity, directory)
    if "cmr" in only:
        write_cmr(patient, site.cmr, identity, patient_rng(site, seed, number, "cmr"), directory / "cmr.tgz")
    if "echo" in only:
        rng = patient_rng(site, seed, number, "echo")
        clips = write_echo(patient, site.echo, identity, rng, directory / "echo.tgz")
        views = {clip.instance: JUNK if clip.junk else clip.view for clip in clips}
        write_atomically(directory / VIEWS, json.dumps(views).encode())
    rng = patient_rng(site, seed, number, "report")
    record = make_record(patient.truth, site, rng)
    write_atomically(directory / "record.json", record.model_dump_json(indent=1).encode())
    write_atomically(directory / "report.txt", write_report(patient.truth, record, site, rng).encode())
    write_atomically(directory / TRUTH, patient.truth.model_dump_json(indent=1).encode())


def _identity(patient: Patient, site: SiteProfile, seed: int, number: int) -> Identity:
    """An invented person: the files carry one, so that nothing downstream can rely on there being none."""
    rng = patient_rng(site, seed, number, "identity")
    truth = patient.truth
    when = datetime(2026, 1, 5, 8) + timedelta(minutes=int(rng.integers(0, 300 * 24 * 60)))
    born = when - timedelta(days=365.25 * truth.age + int(rng.integers(0, 300)))
    return Identity(
        patient_id=f"SIM{truth.patient[-16:].upper()}",
        name=f"SIMULATED^{_NAMES[int(rng.integers(len(_NAMES)))]}",
        birth_date=f"{born:%Y%m%d}",
        sex="F" if truth.sex == "female" else "M",
        study=truth.patient,
        when=when,
    )


_NAMES = ("ADA", "BRUNO", "CARLA", "DIEGO", "ELENA", "FARID", "GRETA", "HUGO", "INES", "JONAS", "KIRA", "LUCA")
