"""What a reader with a ruler says of a QRS complex: axis, bundle branch block, voltage, hypertrophy, Q waves.

Between what counts as present and as absent lies a gap, as a label at the limit would be a coin toss. Limits: axis and
voltage after AHA/ACCF/HRS 2009 part III and V (Surawicz et al., Circulation 2009;119:e235; Hancock et al., Circulation
2009;119:e251), left hypertrophy after Sokolow and Lyon (Am Heart J 1949;37:161), right by R/S in V1 and S in V5-V6
(Hancock et al.), Q waves of 40 ms and a quarter of R. All take twelve leads in the usual order at 500 Hz.
"""

import numpy as np
from numpy.typing import NDArray

from chordae.cohort.latents import EcgLatents

Array = NDArray[np.float64]

AXIS_MARGIN = 4.0
"""Degrees by which a drawn axis stays inside its class."""
AXES = {"normal": (-30.0, 90.0), "left": (-80.0, -35.0), "right": (98.0, 156.0)}
SOKOLOW_PRESENT, SOKOLOW_ABSENT = 3.8, 3.2
"""S in V1 plus R in V5 or V6, mV; the criterion is 3.5."""
LOW_LIMB, LOW_CHEST = 0.5, 1.0
"""Peak to peak, mV: low voltage below both."""


def shows(latents: EcgLatents, qrs: Array) -> bool:
    """Whether a (12, N) QRS complex at 500 Hz, baseline at 0 mV, says of all four topics what the latents say."""
    return (
        _axis_shown(latents, qrs)
        and _block_shown(latents, qrs)
        and _voltage_shown(latents, qrs)
        and _hypertrophy_shown(latents, qrs)
        and _q_waves_shown(latents, qrs)
    )


def axis_degrees(one: float, avf: float) -> float:
    """Frontal axis from net areas in I and aVF; Goldberger's leads are smaller by 2 / sqrt(3)."""
    return float(np.degrees(np.arctan2(avf * 2 / 3**0.5, one)))


def sokolow_lyon(qrs: Array) -> float:
    """S in V1 plus the larger R of V5 and V6, mV."""
    return float(-min(qrs[6].min(), 0.0) + max(qrs[10].max(), qrs[11].max()))


def pathological_q(lead: Array) -> bool:
    """Whether a lead of N samples at 500 Hz begins with a Q wave of 40 ms and a quarter of R, or is QS."""
    beyond = np.flatnonzero(np.abs(lead) > 0.03)
    if not len(beyond) or lead[beyond[0]] > 0:
        return False
    start = int(beyond[0])
    up = np.flatnonzero(lead[start:] > 0.03)
    end = start + int(up[0]) if len(up) else len(lead)
    depth, r_wave = -lead[start:end].min(), max(float(lead[end:].max(initial=0.0)), 0.0)
    below = int((lead[start:end] < -0.02).sum())
    return bool(depth > 0.1 and depth >= r_wave / 4 and below >= 18)


def _axis_shown(latents: EcgLatents, qrs: Array) -> bool:
    one, avf = qrs[0].sum(), qrs[5].sum()
    low, high = AXES[latents.axis]
    determinate = np.hypot(one, avf) > 0.3 * np.hypot(np.abs(qrs[0]).sum(), np.abs(qrs[5]).sum())
    # By the plain areas too, without Goldberger's factor: who measures either way finds the same class.
    both = (axis_degrees(one, avf), float(np.degrees(np.arctan2(avf, one))))
    return bool(determinate and all(low + AXIS_MARGIN < degrees < high - AXIS_MARGIN for degrees in both))


def _block_shown(latents: EcgLatents, qrs: Array) -> bool:
    if latents.conduction == "LBBB":
        return bool(qrs[6].mean() < -0.2 and qrs[11].mean() > 0.2 and qrs[11].min() > -0.1)
    if latents.conduction == "RBBB":
        late = qrs[:, qrs.shape[1] // 2 :]
        return bool(late[6].max() > 0.25 and late[11].min() < -0.12 and late[0].min() < -0.05)
    return True


def _voltage_shown(latents: EcgLatents, qrs: Array) -> bool:
    swings = np.ptp(qrs, axis=1)
    low = swings[:6].max() < 0.95 * LOW_LIMB and swings[6:].max() < 0.97 * LOW_CHEST
    present = latents.morphology == "low voltage"
    return bool(low) if present else bool(swings[:6].max() > 1.2 * LOW_LIMB and swings[6:].max() > 1.2 * LOW_CHEST)


def _hypertrophy_shown(latents: EcgLatents, qrs: Array) -> bool:
    if latents.conduction in ("LBBB", "RBBB"):  # the block makes these voltages
        return True
    r_over_s = qrs[6].max() / max(-qrs[6].min(), 0.01)
    if latents.hypertrophy == "right":
        deep_s = max(-qrs[10].min(), -qrs[11].min())
        return bool(r_over_s > 1.2 and qrs[6].max() > 0.5 and deep_s > 0.5)
    if latents.hypertrophy == "left":
        return bool(sokolow_lyon(qrs) > SOKOLOW_PRESENT and r_over_s < 0.7)
    return bool(sokolow_lyon(qrs) < SOKOLOW_ABSENT and r_over_s < 0.75)


def _q_waves_shown(latents: EcgLatents, qrs: Array) -> bool:
    if latents.conduction == "LBBB":  # QS complexes in V1-V3 belong to it
        return True
    chest = [pathological_q(lead) for lead in qrs[6:10]]
    inferior = [pathological_q(qrs[row]) for row in (1, 2, 5)]
    if latents.morphology == "anterior Q":
        return sum(chest) >= 3 and all(chest[1:3]) and not all(inferior[1:])
    if latents.morphology == "inferior Q":
        return all(inferior) and not any(chest[1:])
    return not any(chest[1:]) and sum(inferior) <= 1
