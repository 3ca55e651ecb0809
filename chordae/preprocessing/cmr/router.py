"""Which sequence a stack is and what it shows: by its name, else by its physics, else by its timing and geometry.

Every rule that decides leaves its name behind, so that a tile can be traced to the reason it was chosen for.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from chordae.platform.errors import UnreadableRecording
from chordae.preprocessing.cmr import dialects, geometry
from chordae.preprocessing.cmr.dialects import Sequence as Label
from chordae.preprocessing.cmr.geometry import Vector
from chordae.preprocessing.cmr.series import Stack, Values, number, words

Basis = Literal["name", "physics", "geometry"]

MIN_CINE_PHASES = 6
LONGEST_BEAT_MS = 2500.0


@dataclass(frozen=True)
class Routed:
    """A stack, what it is, how that was found out, and which view it shows."""

    stack: Stack
    label: Label
    basis: Basis
    rule: str
    view: str = ""
    view_basis: Basis | Literal[""] = ""


def route(stacks: Sequence[Stack]) -> list[Routed]:
    """Label every stack; views that no name tells come from the geometry of all of them together.

    Raises:
        UnreadableRecording: scouts only, or nothing that speaks of a heart.
    """
    routed = [_labelled(stack) for stack in stacks]
    if routed and all(one.label in _NO_PICTURE for one in routed):
        raise UnreadableRecording("The study holds scouts only: nothing diagnostic", "send its cines", "scouts_only")
    cardiac = [one for one in routed if _is_cardiac(one)]
    if not any(one.label not in _NO_PICTURE for one in cardiac):
        raise UnreadableRecording(
            "The MR study is not one of the heart: no heartbeat in its timing, no heart in its names",
            "send a cardiac MR study",
            "not_cardiac",
        )
    return _with_views([one for one in routed if not _is_elsewhere(one.stack)])


_NO_PICTURE = {Label.LOCALISER, Label.CALIBRATION, Label.TI_SCOUT}


def _labelled(stack: Stack) -> Routed:
    found = _by_name(stack) or _by_image_type(stack) or _by_physics(stack) or _by_timing(stack)
    if found is None:
        return Routed(stack, Label.UNKNOWN, "geometry", "no rule")
    return Routed(stack, *found)


Decision = tuple[Label, Basis, str]


def _by_name(stack: Stack) -> Decision | None:
    for keyword in ("SeriesDescription", "ProtocolName"):
        if keyword == "ProtocolName" and _maker(stack.values) == "ge":
            continue  # GE writes the whole examination's protocol there
        name = "\\".join(words(stack.values, keyword))
        label = dialects.sequence(name)
        if label is not Label.UNKNOWN:
            return _refined(label, stack), "name", keyword
        if dialects.is_ssfp(name):
            label = Label.CINE if stack.phases >= MIN_CINE_PHASES else Label.ANATOMY
            return label, "name", f"{keyword}: steady state"
    return None


def _refined(label: Label, stack: Stack) -> Label:
    """What the name leaves open: the phase of an LGE, the sources of a map, a cine that encodes velocity."""
    if stack.component in _MAPS and label in {*_MAPS.values(), Label.MAP_SOURCE, Label.T1W, Label.T2W}:
        return _MAPS[stack.component]
    if label in (Label.LGE, Label.PSIR):
        if stack.component in ("real", "phase"):
            return Label.PSIR
        tokens = words(stack.values, "ImageType", "FrameType")
        folded = dialects.fold(" ".join(words(stack.values, "SeriesDescription", "ProtocolName")))
        magnitude = "MAGNITUDE" in tokens or bool(re.search(r"\bmag(nitude)?\b", folded))
        return Label.LGE if magnitude and "PSIR" not in tokens else label
    if label in (Label.T1_MAP, Label.T2_MAP, Label.T2_STAR) and (stack.phases >= 3 or stack.echoes >= 3):
        return Label.MAP_SOURCE
    if label is Label.CINE and stack.component == "phase":
        return Label.PHASE_CONTRAST
    if label is Label.PERFUSION and stack.phases < MIN_CINE_PHASES:
        return Label.UNKNOWN
    return label


_MAPS = {"T1 map": Label.T1_MAP, "T2 map": Label.T2_MAP, "T2* map": Label.T2_STAR, "ECV map": Label.ECV_MAP}


def _by_image_type(stack: Stack) -> Decision | None:
    if stack.component in _MAPS:
        return _MAPS[stack.component], "physics", "ImageType: map"
    tokens = words(stack.values, "ImageType", "FrameType")
    if any("LOCALIZER" in token for token in tokens):
        return Label.LOCALISER, "physics", "ImageType: localizer"
    if any(token in ("PCA", "VELOCITY", "PHASE CONTRAST M", "PHASE CONTRAST P", "VELOCITY MAP") for token in tokens):
        return Label.PHASE_CONTRAST, "physics", "ImageType: velocity"
    return None


def _by_physics(stack: Stack) -> Decision | None:
    """Contrast from the way of exciting and reading (PS3.3 C.8.3.1); times in ms."""
    values, phases = stack.values, stack.phases
    name = "".join(words(values, "SequenceName", "PulseSequenceName")).lower()
    scanning = set(words(values, "ScanningSequence"))
    spin = "SE" in scanning or "SPIN" in words(values, "EchoPulseSequence")
    variant = words(values, "SequenceVariant")
    # GE calls its spoiled gradient echo SS too, but with SP
    steady = ("SS" in variant and "SP" not in variant) or bool(
        set(words(values, "SteadyStatePulseSequence")) & {"FREE_PRECESSION", "TRANSVERSE", "TIME_REVERSED"}
    )
    ti = number(values, "InversionTime", "InversionTimes") or 0.0
    inversion = "IR" in scanning or words(values, "InversionRecovery") == ("YES",) or 100.0 <= ti <= 1000.0
    volumetric = words(values, "MRAcquisitionType") == ("3D",)
    one_beat = _in_one_beat(stack)
    if _three_orientations(stack) and phases <= 3:
        return Label.LOCALISER, "geometry", "orthogonal orientations"
    if re.search(r"v\d+(in|rl|ap|fh|through)?\b", name) or words(values, "PhaseContrast") == ("YES",):
        if volumetric and phases >= MIN_CINE_PHASES:
            return Label.FLOW_4D, "physics", "velocity encoding in 3D"
        return Label.PHASE_CONTRAST, "physics", "velocity encoding"
    if stack.component == "phase" and phases >= MIN_CINE_PHASES and one_beat:
        return Label.PHASE_CONTRAST, "physics", "phase images over the heartbeat"
    if "tir" in name or "stir" in name or (spin and inversion):
        echo = number(values, "EchoTime", "EffectiveEchoTime") or 0.0
        return (Label.T2W if echo >= 35.0 else Label.T1W), "physics", "spin echo with inversion"
    if "tse" in name or "h2d" in name or spin:
        echo = number(values, "EchoTime", "EffectiveEchoTime") or 0.0
        return (Label.T2W if echo >= 40.0 else Label.T1W), "physics", "spin echo by echo time"
    if phases >= 20 and not one_beat and not steady and (ti > 0 or inversion or "tfl" in name or "epfi" in name):
        return Label.PERFUSION, "physics", "repeated saturation recovery"
    if inversion and 150.0 <= ti <= 500.0 and phases <= 2:
        return (Label.PSIR if stack.component in ("real", "phase") else Label.LGE), "physics", "inversion recovery"
    if inversion and phases >= MIN_CINE_PHASES and one_beat:
        return Label.TI_SCOUT, "physics", "inversion recovery over the heartbeat"
    if inversion and stack.component == "real" and phases <= 2:
        return Label.PSIR, "physics", "phase-sensitive inversion recovery"
    if (steady or "tfi" in name or dialects.is_ssfp(name)) and not inversion:
        if phases >= MIN_CINE_PHASES:
            return Label.CINE, "physics", "steady-state free precession over the heartbeat"
        return Label.ANATOMY, "physics", "steady-state free precession, still"
    return None


def _in_one_beat(stack: Stack) -> bool:
    return 0.0 < stack.trigger_span <= LONGEST_BEAT_MS and not stack.dynamic


def _by_timing(stack: Stack) -> Decision | None:
    if stack.phases >= MIN_CINE_PHASES and _in_one_beat(stack):
        return Label.CINE, "geometry", "phases over one heartbeat"
    if stack.phases >= 20 and _is_gated(stack.values) and words(stack.values, "ContrastBolusAgent"):
        return Label.PERFUSION, "geometry", "repetitions with contrast agent"
    return None


def _three_orientations(stack: Stack) -> bool:
    return stack.orientations >= 3 and stack.across is not None and bool(geometry.patient_plane(stack.across))


def _maker(values: Values) -> str:
    maker = " ".join(words(values, "Manufacturer"))
    return "ge" if maker.startswith("GE ") or maker == "GE" else maker.lower()


def _is_gated(values: Values) -> bool:
    """Whether the heartbeat took part in the acquisition. GE writes a heart rate without that, so it does not count."""
    options = set(words(values, "ScanOptions"))
    return bool(
        (number(values, "TriggerTime", "NominalCardiacTriggerDelayTime") or 0.0) > 0.0
        or (number(values, "CardiacNumberOfImages") or 0.0) > 1.0
        or (number(values, "NominalInterval", "RRIntervalTimeNominal") or 0.0) > 0.0
        or options & {"CG", "CC", "RG_CG", "CT", "CARDIAC_GATING"}
        or set(words(values, "CardiacSynchronizationTechnique")) & {"PROSPECTIVE", "RETROSPECTIVE", "REALTIME", "PACED"}
    )


_REGION = ("BodyPartExamined", "AnatomicRegionSequence", "CodeMeaning")
_TEXTS = ("StudyDescription", "RequestedProcedureDescription", "SeriesDescription", "ProtocolName")
_HEART_PARTS = {"HEART", "CARDIAC", "CORONARY", "MYOCARDIUM", "AORTA", "CARDIOVASCULAR", "GREATVESSEL"}


def _is_elsewhere(stack: Stack) -> bool:
    """Whether the header names another part of the body and nowhere the heart."""
    values = stack.values
    texts = [" ".join(words(values, keyword)) for keyword in (*_TEXTS, *_REGION, "PositionReferenceIndicator")]
    if any(map(dialects.names_heart, texts)) or set(words(values, "BodyPartExamined")) & _HEART_PARTS:
        return False
    return any(map(dialects.names_elsewhere, texts))


def _is_cardiac(one: Routed) -> bool:
    """Positive evidence: the heartbeat in the timing, or the heart in the names; and no other part of the body."""
    values = one.stack.values
    if _is_elsewhere(one.stack):
        return False
    named = any(dialects.names_heart(" ".join(words(values, keyword))) for keyword in (*_TEXTS, *_REGION))
    return named or _is_gated(values) or bool(set(words(values, "BodyPartExamined")) & _HEART_PARTS)


def _with_views(routed: list[Routed]) -> list[Routed]:
    named = [_named_view(one) for one in routed]
    axis = _axis(named)
    counts = _parallel_levels(named)
    found = []
    for index, one in enumerate(named):
        across = one.stack.across
        if one.view_basis != "name" and across is not None and one.label not in _NO_PICTURE:
            view = geometry.view(across, counts[index], axis)
            one = replace(one, view=view, view_basis="geometry" if view else "")
        found.append(one)
    return found


def _named_view(one: Routed) -> Routed:
    of_flow = one.label is Label.PHASE_CONTRAST
    for keyword in ("SeriesDescription", "ProtocolName"):
        view = dialects.view("\\".join(words(one.stack.values, keyword)), of_flow)
        # "LAX" leaves open which; then the geometry may say more
        if view and not (keyword == "ProtocolName" and _maker(one.stack.values) == "ge"):
            return replace(one, view=view, view_basis="name" if view != "long axis" else "")
    return one


def _parallel_levels(routed: Sequence[Routed]) -> list[int]:
    """For each stack, the levels that it and its like (often one series a slice) have together."""
    return [
        len(geometry.levels([s.depth(i) for s in _like(one, routed) for i in range(len(s.slices))])) for one in routed
    ]


def _like(one: Routed, routed: Sequence[Routed]) -> list[Stack]:
    across = one.stack.across
    if across is None:
        return [one.stack]
    return [
        other.stack
        for other in routed
        if other.label is one.label
        and other.stack.across is not None
        and geometry.degrees_between(other.stack.across, across) <= geometry.PARALLEL_DEGREES
    ]


def _axis(routed: Sequence[Routed]) -> Vector | None:
    """The normal of the study's short-axis slices: of those named so, else of the largest stack that looks like it."""
    found: dict[Vector, int] = defaultdict(int)
    named = Counter[Vector]()
    counts = _parallel_levels(routed)
    for one, count in zip(routed, counts, strict=True):
        across = one.stack.across
        if across is None or one.label in _NO_PICTURE:
            continue
        if one.view == "short axis" and one.view_basis == "name":
            named[across] += len(one.stack.slices)
        elif not one.view and count >= 3 and geometry.view(across, count, None) == "short axis":
            found[across] += count
    best = named or found
    return max(sorted(best), key=best.__getitem__) if best else None
