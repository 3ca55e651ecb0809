"""The gate's rules over a trial on real questions: champion and candidate were asked the same, nobody knows the truth.

So these ask for what needs none: that the candidate answers, that as few of its chains are flagged, that it is as fast.
Where clinicians have said since what a study shows, accuracy counts here too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from pydantic import Field

from chordae.learning.gate.outcome import RuleOutcome
from chordae.learning.gate.paired import Right
from chordae.learning.gate.rules import strata
from chordae.learning.gate.slower import not_slower
from chordae.platform.learning_settings import GateSettings, TrialSettings
from chordae.platform.ledger_trials import TrialAnswer
from chordae.platform.noun import Noun


class LiveQuestion(Noun):
    """One question that was put to both."""

    shown: str = Field(description="Whose answer was given: champion or candidate")
    categories: tuple[str | None, str | None] = Field(description="The champion's and the candidate's")
    relied: tuple[bool, bool] = Field(description="Whether the answer was not flagged; False where there was none")
    answered: tuple[bool, bool]
    seconds: tuple[float, float]
    truth: str | None = Field(None, description="What a clinician has said since")


class LiveTrial(Noun):
    """All of them."""

    questions: tuple[LiveQuestion, ...]
    settings: TrialSettings
    problem: str = Field("", description="Why no replica of the candidate could be started")

    @property
    def both(self) -> tuple[LiveQuestion, ...]:
        """Those that both answered."""
        return tuple(one for one in self.questions if all(one.answered))


def live_trial(
    answers: Sequence[TrialAnswer], labels: Mapping[str, str], settings: TrialSettings, problem: str = ""
) -> LiveTrial:
    """What the ledger keeps of a trial, as the rules read it. `labels`: what clinicians said, by request."""
    return LiveTrial(
        questions=tuple(
            LiveQuestion(
                shown=one.shown,
                categories=(_of(one.champion, "category"), _of(one.candidate, "category")),
                relied=(_of(one.champion, "flagged") is False, _of(one.candidate, "flagged") is False),
                answered=(one.champion is not None, one.candidate is not None),
                seconds=(one.champion_s, one.candidate_s),
                truth=labels.get(one.request),
            )
            for one in answers
        ),
        settings=settings,
        problem=problem,
    )


LiveRule = Callable[[LiveTrial, GateSettings], RuleOutcome]


def enough(live: LiveTrial, settings: GateSettings) -> RuleOutcome:
    """It was asked as much as the settings want, in the shadow and aloud."""
    wanted = (live.settings.shadow_answers, live.settings.canary_answers)
    asked = (len(live.both), sum(one.shown == "candidate" for one in live.questions))
    passed = True if asked[0] >= sum(wanted) and asked[1] >= wanted[1] else None
    sentence = f"{asked[0]} questions were answered by both, {asked[1]} of them by the candidate aloud; "
    sentence += f"{sum(wanted)} and {wanted[1]} are needed."
    sentence += f" Its replica cannot be started: {live.problem}" if live.problem else ""
    numbers = {"answered by both": asked[0], "given by the candidate": asked[1]}
    return RuleOutcome(name="live questions", passed=passed, numbers=numbers, sentence=sentence)


def answers(live: LiveTrial, settings: GateSettings) -> RuleOutcome:
    """It answers; where it does not, that is as likely its replica's fault, so that it is held and not sent back."""
    due = [one for one in live.questions if one.answered[0]]
    missing = sum(not one.answered[1] for one in due)
    share = missing / len(due) if due else 0.0
    sentence = (
        f"{missing} of {len(due)} questions were left to the champion, {live.settings.unanswered:g} of all may be."
    )
    numbers = {"asked": len(due), "unanswered": missing}
    return RuleOutcome(
        name="live answers",
        passed=True if share <= live.settings.unanswered else None,
        numbers=numbers,
        sentence=sentence,
    )


def relied_on(live: LiveTrial, settings: GateSettings) -> RuleOutcome:
    """No more of its answers are flagged."""
    pair = _pair([one.relied for one in live.both])
    what = ("live flags", "share not flagged")
    return strata(*what, pair, 1, settings.accuracy_drop, settings.alpha, "questions")


def latency(live: LiveTrial, settings: GateSettings) -> RuleOutcome:
    """It is not much slower."""
    seconds = np.array([one.seconds for one in live.both], dtype=float).reshape(-1, 2)
    return not_slower("live latency", seconds, settings)


def labelled(live: LiveTrial, settings: GateSettings) -> RuleOutcome:
    """It is not less accurate where a clinician has said what the study shows; too few of those decide nothing."""
    known = [one for one in live.both if one.truth is not None]
    rights = [(one.categories[0] == one.truth, one.categories[1] == one.truth) for one in known]
    if len(known) < settings.least_per_site:
        sentence = (
            f"Clinicians have labelled {len(known)} of these studies; from {settings.least_per_site} on it counts."
        )
        numbers = {"labelled": float(len(known))}
        return RuleOutcome(name="live accuracy", passed=True, numbers=numbers, sentence=sentence)
    return strata("live accuracy", "accuracy", _pair(rights), 1, settings.site_drop, settings.alpha, "questions")


def agreement(live: LiveTrial, settings: GateSettings) -> RuleOutcome:
    """How often both name the same category: told, and no ground to refuse, for to differ is what was learned."""
    same = sum(one.categories[0] == one.categories[1] for one in live.both)
    sentence = f"Both named the same category in {same} of {len(live.both)} questions."
    numbers = {"same": same, "answered by both": len(live.both)}
    return RuleOutcome(name="live agreement", passed=True, numbers=numbers, sentence=sentence)


LIVE_RULES: tuple[LiveRule, ...] = (enough, answers, relied_on, latency, labelled, agreement)


def _pair(both: Sequence[tuple[bool, bool]]) -> dict[str, tuple[Right, Right]]:
    found = np.array(both, dtype=bool).reshape(-1, 2)
    return {"all": (found[:, 0], found[:, 1])}


def _of(diagnosis: Mapping[str, object] | None, name: str) -> object:
    return None if diagnosis is None else diagnosis[name]
