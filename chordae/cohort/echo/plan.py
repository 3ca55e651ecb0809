"""Which recordings a study has, in the order in which a sonographer makes them, and which of them are junk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from chordae.cohort.echo.windows import APICAL, VIEWS, View
from chordae.cohort.patient import Patient
from chordae.cohort.sites import EchoMachine

Kind = Literal["standard", "off-axis", "colour", "noisy", "zoomed", "spectral", "measurement"]
JUNK: tuple[Kind, ...] = ("colour", "off-axis", "noisy", "zoomed")
STILLS: tuple[Kind, ...] = ("spectral", "measurement")


@dataclass(frozen=True)
class ClipSpec:
    """One recording: the view it was meant to be, what became of it, and its quality, 0 to 1."""

    view: View
    kind: Kind
    quality: float

    @property
    def junk(self) -> bool:
        """Whether it does not show the view as it should be shown, or is a still."""
        return self.kind != "standard"


class ClipTruth(NamedTuple):
    """What an object of a study is: for people who ask whether a view selector looks where the evidence is."""

    instance: int
    view: str
    junk: bool


MISSING = {"PSAX apex": 0.10, "SUBCOSTAL": 0.12, "A2C": 0.06, "PSAX mitral": 0.05, "PLAX": 0.03, "A3C": 0.45}
"""How often a study has no such view. Those not named are never missing."""
REPEATED: dict[View, float] = {"A4C": 0.34, "PLAX": 0.22, "PSAX papillary": 0.20, "A2C": 0.16, "SUBCOSTAL": 0.08}
COLOURED: tuple[View, ...] = ("PLAX", "A4C", "A2C", "A3C")
"""Where one looks at valves."""
JUNK_SHARE = (0.20, 0.38)
"""Of the cine loops."""


def plan_study(patient: Patient, machine: EchoMachine, rng: np.random.Generator) -> list[ClipSpec]:
    """The recordings of one study, in their order: `machine.clips` cine loops, and a few stills.

    The window is the patient's: it is worse in large people, and differs by where one looks through it.
    """
    truth = patient.truth
    bmi = truth.weight_kg / (truth.height_cm / 100) ** 2
    window = rng.beta(5, 2.2) - 0.012 * max(0.0, bmi - 27)
    apical, parasternal = rng.normal(0, 0.08, 2)

    def quality(view: View) -> float:
        where = apical if view in APICAL else parasternal
        return float(np.clip(window + where + rng.normal(0, 0.07) - (0.06 if view == "SUBCOSTAL" else 0), 0.08, 1))

    count = int(rng.integers(machine.clips[0], machine.clips[1] + 1))
    shown = [view for view in VIEWS if rng.random() >= MISSING.get(view, 0.0)][:count]
    junk = min(round(rng.uniform(*JUNK_SHARE) * count), count - len(shown))
    again = rng.choice(len(REPEATED), count - len(shown) - junk, p=list(REPEATED.values()))
    repeated = [list(REPEATED)[number] for number in again]
    clips = [ClipSpec(view, "standard", quality(view)) for view in (*shown, *(v for v in repeated if v in shown))]
    for _ in range(count - len(clips)):
        kind = JUNK[int(rng.choice(len(JUNK), p=(0.45, 0.25, 0.15, 0.15)))]
        among = [view for view in shown if kind != "colour" or view in COLOURED]
        view = among[int(rng.integers(len(among)))]
        worse = {"off-axis": 0.75, "noisy": 0.1, "colour": 0.9, "zoomed": 1.0}[kind]
        clips.append(ClipSpec(view, kind, quality(view) * worse))
    for _ in range(int(rng.integers(1, 4))):
        kind = STILLS[int(rng.integers(len(STILLS)))]
        clips.append(ClipSpec("A4C" if kind == "spectral" else shown[int(rng.integers(len(shown)))], kind, window))
    place = np.array([VIEWS.index(clip.view) for clip in clips]) + rng.uniform(0, 1, len(clips))
    return [clips[index] for index in np.argsort(place, kind="stable")]
