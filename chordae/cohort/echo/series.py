"""A whole echo study of one simulated patient, as the archive that the machine exports."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from chordae.cohort.dicom_files import write_tgz
from chordae.cohort.echo.clips import FINE_BEAMS, FINE_RANGES, Timing, draw_timing, render
from chordae.cohort.echo.objects import burned_in, loop_object, still_object
from chordae.cohort.echo.plan import ClipSpec, ClipTruth, plan_study
from chordae.cohort.echo.speckle import Array, speckle_bank
from chordae.cohort.echo.stills import doppler_spectrum, measured_frame
from chordae.cohort.identity import Identity
from chordae.cohort.patient import Patient
from chordae.cohort.sites import EchoMachine


def write_echo(
    patient: Patient, machine: EchoMachine, identity: Identity, rng: np.random.Generator, path: Path
) -> list[ClipTruth]:
    """Write the study as a .tgz of DICOM objects; the same arguments give the same bytes.

    Returns which object shows which view, and whether it is junk, in the study's order: it is written nowhere in it.
    """
    bank = speckle_bank(FINE_RANGES, FINE_BEAMS, rng)
    specs = plan_study(patient, machine, rng)
    files = (
        (f"IM{number:04d}.dcm", _object(patient, spec, number, bank, machine, identity, rng))
        for number, spec in enumerate(specs, start=1)
    )
    write_tgz(path, files)
    return [ClipTruth(number, spec.view, spec.junk) for number, spec in enumerate(specs, start=1)]


def _object(
    patient: Patient,
    spec: ClipSpec,
    number: int,
    bank: Array,
    machine: EchoMachine,
    identity: Identity,
    rng: np.random.Generator,
) -> bytes:
    ecg = patient.truth.ecg
    if spec.kind == "spectral":
        picture, box = doppler_spectrum(machine, ecg.rate_bpm, rng)
        return still_object(picture, box, number, machine, identity)
    timing = draw_timing(ecg.rate_bpm, ecg.rhythm == "atrial fibrillation", machine, rng)
    if spec.kind == "measurement":
        timing = Timing(timing.frame, timing.beat, 0.0, 1)
    loop = render(patient, spec, timing, machine, bank, rng, burned_in(machine, identity))
    if spec.kind == "measurement":
        return still_object(measured_frame(loop, rng), None, number, machine, identity)
    return loop_object(loop, number, ecg.rate_bpm, machine, identity)
