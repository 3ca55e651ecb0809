"""How much slower the candidate is than the champion on the same cases, and how much of that chance explains."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chordae.learning.gate.calibration import RESAMPLES, SEED
from chordae.learning.gate.outcome import RuleOutcome
from chordae.platform.learning_settings import GateSettings

Seconds = NDArray[np.float64]
QUANTILES = {"p50": 0.5, "p90": 0.9}


def not_slower(name: str, seconds: Seconds, settings: GateSettings) -> RuleOutcome:
    """A rule over (n, 2) seconds of champion and candidate: no quantile's ratio is above `settings.slower`.

    It fails where the ratio is above that beyond chance (one-sided bootstrap over cases), and is open where it may be
    by chance.
    """
    if not len(seconds):
        return RuleOutcome(name=name, passed=None, numbers={}, sentence="Nothing that both answered was timed.")
    drawn = np.random.default_rng(SEED).integers(0, len(seconds), (RESAMPLES, len(seconds)))
    ratios = {at: _ratio(seconds, share, drawn, settings.alpha) for at, share in QUANTILES.items()}
    worst = max(ratios, key=lambda at: ratios[at][0])
    ratio, low = ratios[worst]
    passed = True if ratio <= settings.slower else (False if low > settings.slower else None)
    sentence = f"{worst} takes {ratio:.2f} times the champion's time, of {settings.slower:g} allowed"
    sentence += f" ({len(seconds)} timed)." if passed is not None else f" ({len(seconds)} timed), maybe by chance."
    numbers: dict[str, float] = {"timed": len(seconds)}
    for at, pair in ratios.items():
        numbers |= {f"{at} ratio": pair[0], f"{at} low": pair[1]}
    return RuleOutcome(name=name, passed=passed, numbers=numbers, sentence=sentence)


def _ratio(seconds: Seconds, share: float, drawn: NDArray[np.int64], alpha: float) -> tuple[float, float]:
    """Candidate's quantile over the champion's, and how low chance may have it."""
    was, now = np.quantile(seconds, share, axis=0)
    lots = np.quantile(seconds[drawn], share, axis=1)
    return float(now / was), float(np.quantile(lots[:, 1] / lots[:, 0], alpha))
