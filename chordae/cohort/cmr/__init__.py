"""Cardiac MR of simulated hearts: planned, rendered, disturbed, and written as a scanner writes it.

`write_cmr` makes a study: localisers, cines of the long axes and the short-axis stack, T1 and T2 maps, T2-weighted,
late enhancement.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from chordae.cohort.cmr import planes
from chordae.cohort.cmr.protocols import Kind, protocol
from chordae.cohort.cmr.render import Renderer
from chordae.cohort.cmr.series import Slice, series_files
from chordae.cohort.dicom_files import write_tgz
from chordae.cohort.identity import Identity
from chordae.cohort.patient import Patient
from chordae.cohort.sites import CmrScanner

__all__ = ["write_cmr"]

LATE_SLICES, MAP_SLICES, STIR_SLICES = (4, 6), 3, 3
DISTURBED = 0.6
"""Share of the slices of a stack that breathing disturbs, where it does: each is a breath-hold of its own."""


def write_cmr(patient: Patient, scanner: CmrScanner, identity: Identity, rng: np.random.Generator, path: Path) -> None:
    """Write the patient's CMR study as a .tgz of DICOM files; the same arguments give the same bytes."""
    write_tgz(path, _files(patient, scanner, identity, rng))


def _files(
    patient: Patient, scanner: CmrScanner, identity: Identity, rng: np.random.Generator
) -> Iterator[tuple[str, bytes]]:
    rate = float(patient.truth.ecg.rate_bpm)
    for number, (kind, view, slices) in enumerate(_study(patient, scanner, rng), 1):
        yield from series_files(identity, scanner, protocol(kind, view, scanner), number, slices, rate)


def _study(patient: Patient, scanner: CmrScanner, rng: np.random.Generator) -> Iterator[tuple[Kind, str, list[Slice]]]:
    """The series in the order of an examination: what each is, which view, and its slices."""
    scouts = planes.localisers(patient.pose, scanner)
    scout = Renderer(patient, scanner, scouts, rng)
    yield "localiser", "", [(plane, scout.still("cine", index, False)) for index, plane in enumerate(scouts)]

    stack = planes.short_axis(patient.pose, patient.heart.shape, scanner)
    along = planes.long_axis(patient.pose, patient.heart.shape, scanner)
    every = [*stack, *along]
    renderer = Renderer(patient, scanner, every, rng)

    def series(kind: Kind, which: Sequence[int]) -> tuple[Kind, str, list[Slice]]:
        """A series of these planes, breathing in some."""
        disturbed = rng.random() < scanner.breathing
        slices = []
        for index in which:
            if kind in ("t1", "t2"):
                frames = renderer.map_ms(kind, index)
            else:
                breathing = disturbed and (len(which) == 1 or rng.random() < DISTURBED)
                frames = renderer.cine(index, breathing) if kind == "cine" else renderer.still(kind, index, breathing)
            slices.append((every[index], frames))
        return kind, every[which[0]].view, slices

    for index in range(len(along)):
        yield series("cine", [len(stack) + index])
    yield series("cine", range(len(stack)))
    yield series("t1", _spread(len(stack), MAP_SLICES))
    yield series("t2", _spread(len(stack), MAP_SLICES))
    yield series("stir", _spread(len(stack), STIR_SLICES))
    yield series("late", _spread(len(stack), int(rng.integers(*LATE_SLICES, endpoint=True))))
    yield series("late", [len(every) - 1])


def _spread(count: int, wanted: int) -> list[int]:
    """So many of the stack's slices, evenly, without the one above the base and those at the tip."""
    return [round(index) for index in np.linspace(2, count - 3, wanted)]
