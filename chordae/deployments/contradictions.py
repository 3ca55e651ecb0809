"""Where two experts cannot both be right: a table of rules over what their answers clearly say.

Each rule looks at one matter of two modalities and is silent unless both speak of it. What a cardiologist expects to
differ is no contradiction: EF within the agreement of the methods, neighbouring grades, and a normal ECG voltage over
a thick wall (the ECG misses most hypertrophy: sensitivity 11 to 21 % at the median; Pewsner et al., BMJ 2007;335:711).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from chordae.deployments.clinical_facts import NO_DISEASE, Fact, Facts, read_facts
from chordae.platform.schemas import Modality

METHODS_AGREE = 10.0
"""LV ejection fraction by echo against CMR on the same day, percentage points: 95 % limits of agreement -10.5 to +9.3
(Esenboga et al., Anatol J Cardiol 2022;26:127)."""


@dataclass(frozen=True)
class Clash:
    """What the first and the second modality say that cannot both be true."""

    quotes: tuple[str, str]
    by: str = ""
    """How far apart, or what must be known to judge it."""


@dataclass(frozen=True)
class Rule:
    """One matter of two modalities. `check` gets the facts of the first and of the second."""

    matter: str
    first: Modality
    second: Modality
    check: Callable[[Facts, Facts], Clash | None]


@dataclass(frozen=True)
class Contradiction:
    """A clash of two experts' answers; the quotes are their own words."""

    matter: str
    between: tuple[Modality, Modality]
    clash: Clash


def contradictions(answers: Mapping[Modality, str]) -> list[Contradiction]:
    """Every contradiction between answers, in the order of the rules; of any text."""
    told = {modality: read_facts(text) for modality, text in answers.items()}
    found = []
    for rule in RULES:
        if rule.first in told and rule.second in told:
            clash = rule.check(told[rule.first], told[rule.second])
            if clash is not None:
                found.append(Contradiction(rule.matter, (rule.first, rule.second), clash))
    return found


def ejection_fraction(echo: Facts, cmr: Facts) -> Clash | None:
    """Further apart than the methods are, whatever number of its grade is meant."""
    if echo.ef is None or cmr.ef is None:
        return None
    apart = max(cmr.ef.value[0] - echo.ef.value[1], echo.ef.value[0] - cmr.ef.value[1])
    if apart <= METHODS_AGREE:
        return None
    exact = all(low == high for low, high in (echo.ef.value, cmr.ef.value))
    by = f"{'' if exact else 'at least '}{apart:.0f} percentage points apart, where the methods agree within"
    return Clash((echo.ef.quote, cmr.ef.quote), f"{by} {METHODS_AGREE:.0f}")


def rhythm(first: Facts, second: Facts) -> Clash | None:
    """Atrial fibrillation against sinus or a regular rhythm."""
    return _opposite(first.fibrillation, second.fibrillation, "unless it changed between the recordings")


def voltage_against_wall(ecg: Facts, imaging: Facts) -> Clash | None:
    """Hypertrophy by voltage over a wall that is said to be of normal thickness; not the other way round."""
    if ecg.lvh is None or imaging.thick is None or not ecg.lvh.value or imaging.thick.value:
        return None
    return Clash((ecg.lvh.quote, imaging.thick.quote), "by voltage and by wall thickness")


def low_voltage_against_mass(ecg: Facts, imaging: Facts) -> Clash | None:
    """Low voltage over a hypertrophic heart without effusion, which points to infiltration instead.

    A warning sign of amyloidosis: Garcia-Pavia et al., Eur Heart J 2021;42:1554.
    """
    low, thick, fluid = ecg.low_voltage, imaging.hypertrophic, imaging.effusion
    if low is None or thick is None or not (low.value and thick.value) or fluid is None or fluid.value != {0}:
        return None
    return Clash((low.quote, thick.quote), "low voltage without effusion points to infiltration, not hypertrophy")


def hypertrophy(echo: Facts, cmr: Facts) -> Clash | None:
    """Thick walls against walls of normal thickness."""
    return _opposite(echo.thick, cmr.thick)


def effusion(echo: Facts, cmr: Facts) -> Clash | None:
    """None against some, or two grades apart."""
    if echo.effusion is None or cmr.effusion is None:
        return None
    one, other = echo.effusion.value, cmr.effusion.value
    if one & other:
        return None
    apart = min(abs(a - b) for a in one for b in other)
    return Clash((echo.effusion.quote, cmr.effusion.quote)) if {0} in (one, other) or apart > 1 else None


def rv_function(echo: Facts, cmr: Facts) -> Clash | None:
    """Reduced against normal."""
    return _opposite(echo.rv_reduced, cmr.rv_reduced)


def rv_size(echo: Facts, cmr: Facts) -> Clash | None:
    """Dilated against not dilated."""
    return _opposite(echo.rv_dilated, cmr.rv_dilated)


def wall_motion(echo: Facts, cmr: Facts) -> Clash | None:
    """Some against none, or territories that have no wall in common."""
    if echo.wall_motion is None or cmr.wall_motion is None:
        return None
    one, other = echo.wall_motion.value, cmr.wall_motion.value
    vague = {"global", "somewhere"}
    apart = not one & other and not ({"none", "not regional"} >= one | other)
    if "none" not in one | other:  # "not regional" leaves room for what is global, and that for any territory
        apart = apart and not (one | other) & vague
    return Clash((echo.wall_motion.quote, cmr.wall_motion.quote)) if apart else None


def scar_territory(echo: Facts, cmr: Facts) -> Clash | None:
    """A wall moves badly, and the infarct scar lies in another artery's territory.

    Scar without abnormal motion, and the reverse, are common: thin scars and stunned muscle.
    """
    if echo.wall_motion is None or cmr.scar is None:
        return None
    moving = echo.wall_motion.value
    if moving & {"none", "not regional", "global", "somewhere"} or moving & cmr.scar.value:
        return None
    return Clash((echo.wall_motion.quote, cmr.scar.quote), "wall motion and infarct scar in different territories")


def diagnosis(echo: Facts, cmr: Facts) -> Clash | None:
    """A diagnosis that the other denies, or no diagnosis in common; a normal heart is one."""
    for one, other, turned in ((echo, cmr, False), (cmr, echo, True)):
        for name in one.diseases:
            if name in other.denied and name != NO_DISEASE:
                quotes = one.diseases[name], other.denied[name]
                return Clash((quotes[1], quotes[0]) if turned else quotes)
    if echo.diseases and cmr.diseases and not echo.diseases.keys() & cmr.diseases.keys():
        return Clash((next(iter(echo.diseases.values())), next(iter(cmr.diseases.values()))))
    return None


def _opposite(first: Fact[bool] | None, second: Fact[bool] | None, by: str = "") -> Clash | None:
    if first is None or second is None or first.value == second.value:
        return None
    return Clash((first.quote, second.quote), by)


RULES = (
    Rule("LV ejection fraction", "echo", "cmr", ejection_fraction),
    Rule("rhythm", "ecg", "echo", rhythm),
    Rule("rhythm", "ecg", "cmr", rhythm),
    Rule("rhythm", "echo", "cmr", rhythm),
    Rule("LV hypertrophy", "ecg", "echo", voltage_against_wall),
    Rule("LV hypertrophy", "ecg", "cmr", voltage_against_wall),
    Rule("LV hypertrophy", "echo", "cmr", hypertrophy),
    Rule("voltage and mass", "ecg", "echo", low_voltage_against_mass),
    Rule("voltage and mass", "ecg", "cmr", low_voltage_against_mass),
    Rule("pericardial effusion", "echo", "cmr", effusion),
    Rule("RV function", "echo", "cmr", rv_function),
    Rule("RV size", "echo", "cmr", rv_size),
    Rule("wall motion", "echo", "cmr", wall_motion),
    Rule("ischaemic territory", "echo", "cmr", scar_territory),
    Rule("diagnosis", "echo", "cmr", diagnosis),
)
