"""The gate's rules, a function each. A rule is passed, failed, or open: too little evidence, or perhaps chance.

A candidate fails where it is worse and chance hardly explains it (one-sided, divided by the rule's tests), so that an
equal one is seldom sent back. It passes where the drop that was seen is within the limit. In between the rule is open.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from chordae.learning.gate.calibration import calibration_change
from chordae.learning.gate.measured import Measured, Trial
from chordae.learning.gate.outcome import RuleOutcome
from chordae.learning.gate.paired import Difference, Right, difference
from chordae.learning.gate.slower import not_slower
from chordae.platform.learning_settings import GateSettings

OTHER_SITES = "all sites with few sentinels"
Rule = Callable[[Trial, GateSettings], RuleOutcome]


def accuracy(trial: Trial, settings: GateSettings) -> RuleOutcome:
    """The candidate is not less accurate."""
    pair = {"all": (_right(trial.champion), _right(trial.candidate))}
    return strata("accuracy", "accuracy", pair, 1, settings.accuracy_drop, settings.alpha)


def class_recall(trial: Trial, settings: GateSettings) -> RuleOutcome:
    """No class is found less often."""
    pairs = _by(trial, [one.truth for one in trial.champion.outcomes])
    return strata("class recall", "recall", pairs, settings.least_per_class, settings.recall_drop, settings.alpha)


def sites(trial: Trial, settings: GateSettings) -> RuleOutcome:
    """No site gets worse answers. Sites with too few sentinels are judged as one: a new one stops nothing."""
    named = [one.site for one in trial.champion.outcomes]
    few = {site for site, count in Counter(named).items() if count < settings.least_per_site}
    pairs = _by(trial, [OTHER_SITES if site in few else site for site in named])
    if len(pairs) > 1 and len(pairs.get(OTHER_SITES, ((),))[0]) < settings.least_per_site:
        pairs.pop(OTHER_SITES, None)  # accuracy counts them
    return strata("sites", "accuracy", pairs, settings.least_per_site, settings.site_drop, settings.alpha)


def mirages(trial: Trial, settings: GateSettings) -> RuleOutcome:
    """The candidate has no mirage at all, on enough records with nothing to see."""
    seen, asked = trial.candidate.mirages, trial.candidate.mirage_questions
    passed = False if seen else (True if asked >= settings.least_mirage_questions else None)
    sentence = f"{seen} mirages on {asked} records with nothing to see; none is allowed"
    sentence += "." if passed is not None else f", and {settings.least_mirage_questions} are needed."
    numbers = {"mirages": seen, "questions": asked, "champion mirages": trial.champion.mirages}
    return RuleOutcome(name="mirages", passed=passed, numbers=numbers, sentence=sentence)


def calibration(trial: Trial, settings: GateSettings) -> RuleOutcome:
    """Confidence is not further from accuracy than it was."""
    both = (trial.champion.outcomes, trial.candidate.outcomes)
    if not both[0] or any(one.confidence is None for some in both for one in some):
        sentence = "Not every answer has a confidence, so calibration is not known."
        return RuleOutcome(name="calibration", passed=None, numbers={}, sentence=sentence)
    was, now, changes = calibration_change(*both)
    low, high = (float(one) for one in np.quantile(changes, [settings.alpha / 2, 1 - settings.alpha / 2]))
    passed = True if now - was <= settings.calibration_rise else (False if low > 0 else None)
    sentence = f"The calibration error went from {was:.3f} to {now:.3f}; it may rise by {settings.calibration_rise:g}."
    numbers = {"champion": was, "candidate": now, "change low": low, "change high": high}
    return RuleOutcome(name="calibration", passed=passed, numbers=numbers, sentence=sentence)


def latency(trial: Trial, settings: GateSettings) -> RuleOutcome:
    """It is not much slower."""
    seconds = np.array([trial.champion.seconds, trial.candidate.seconds], dtype=float).T
    return not_slower("latency", seconds, settings)


RULES: tuple[Rule, ...] = (accuracy, class_recall, mirages, calibration, sites, latency)


def _right(measured: Measured) -> Right:
    return np.array([one.right for one in measured.outcomes], dtype=bool)


def _by(trial: Trial, groups: Sequence[str]) -> dict[str, tuple[Right, Right]]:
    named, first, second = np.array(groups, dtype=object), _right(trial.champion), _right(trial.candidate)
    return {name: (first[named == name], second[named == name]) for name in sorted(set(groups))}


def strata(
    name: str,
    what: str,
    pairs: Mapping[str, tuple[Right, Right]],
    least: int,
    limit: float,
    alpha: float,
    cases: str = "sentinels",
) -> RuleOutcome:
    """A rule over paired answers, by group: what it is called, what is compared, how few cases say nothing of a group,
    what drop is borne, the chance to fail an equal candidate, and what the cases are."""
    found = {group: difference(*pair) for group, pair in pairs.items() if len(pair[0])}
    level = alpha / max(1, len(found))
    failed = [group for group, one in found.items() if one.change < 0 and one.p_worse < level]
    few = [group for group, one in found.items() if one.cases < least]
    unsure = [group for group, one in found.items() if group not in failed and -one.change > limit]
    if failed:
        passed, said = False, "; ".join(_told(what, group, found[group], cases) for group in failed)
    elif few or not found:
        passed, said = None, f"Fewer than {least} {cases} of " + (", ".join(few) or "any kind")
    elif unsure:
        passed, said = (
            None,
            "; ".join(_told(what, group, found[group], cases) + ", maybe by chance" for group in unsure),
        )
    else:
        worst = min(found, key=lambda group: found[group].change)
        passed, said = (
            True,
            _told(what, worst, found[worst], cases) + ("" if len(found) == 1 else ", the worst change of all"),
        )
    numbers = {f"{group}: {key}": value for group, one in found.items() for key, value in _numbers(one).items()}
    return RuleOutcome(name=name, passed=passed, numbers=numbers, sentence=said + ".")


def _told(what: str, group: str, one: Difference, cases: str) -> str:
    low, high = one.interval
    where = "" if group == "all" else f" of {group}"
    moved = f"{what.capitalize()}{where} went from {one.champion:.3f} to {one.candidate:.3f}"
    return f"{moved} (change {low:+.3f} to {high:+.3f}, {one.cases} {cases})"


def _numbers(one: Difference) -> dict[str, float]:
    return {
        "cases": one.cases,
        "champion": one.champion,
        "candidate": one.candidate,
        "change low": one.interval[0],
        "change high": one.interval[1],
        "p worse": one.p_worse,
    }
