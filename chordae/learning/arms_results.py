"""What the arms' runs come to: each figure over seeds and patients, its difference to naive GRPO, and what it cost.

Intervals resample seeds and patients (the same patients for all runs). Three seeds are few: the spread between seeds is
known roughly, and an interval is as good as that.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict
from rich.table import Table

from chordae.learning.arms import ARMS, NAIVE, RunResult
from chordae.learning.diagnosis_evaluation import answers_of
from chordae.learning.diagnosis_evaluation_report import shown
from chordae.learning.diagnosis_evaluation_scores import (
    Estimate,
    Figure,
    Values,
    accuracy,
    auc,
    calibration_error,
    faithfulness,
    macro_f1,
    quantiles,
    recall_of,
    resampled,
)
from chordae.learning.statistics import SEED
from chordae.platform.diagnosis.category import CATEGORIES
from chordae.platform.errors import BadInput

RESAMPLES = 4000


class ArmLine(BaseModel):
    """One arm over its seeds."""

    model_config = ConfigDict(frozen=True)

    arm: str
    seeds: tuple[int, ...]
    figures: dict[str, Estimate]
    """On the test set: mean over seeds."""
    by_seed: dict[str, tuple[float, ...]]
    more_than_naive: dict[str, Estimate]
    """Differences of those that the comparison is about."""
    rollouts: tuple[int, ...]
    """Answers in all."""
    reached: tuple[int | None, ...]
    """Answers until the development set's macro-F1 was first that of naive GRPO in the end; none: never."""


def summarise(runs: Sequence[RunResult]) -> list[ArmLine]:
    """A line an arm, in the order of `ARMS`.

    Raises:
        BadInput: no runs, or runs on other cases or from another checkpoint.
    """
    if not runs:
        raise BadInput("no run is finished", "run some arms first")
    asked = {tuple((one.site, one.patient) for one in run.outcomes) for run in runs}
    if len(asked) > 1 or len({run.start for run in runs}) > 1:
        raise BadInput("the runs are of several checkpoints or test sets", "keep each comparison in its own directory")
    by_arm = {arm: [run for run in runs if run.arm == arm] for arm in ARMS}
    figures = figures_of(runs[0])
    drawn = {arm: {name: _seeds(some, one) for name, one in figures.items()} for arm, some in by_arm.items() if some}
    measured = {arm: {name: _measured(by_arm[arm], one) for name, one in figures.items()} for arm in drawn}
    goal = naive_goal(by_arm[NAIVE])
    return [_line(arm, by_arm[arm], drawn, measured, goal) for arm in drawn]


def figures_of(run: RunResult) -> dict[str, Figure]:
    """What is judged."""
    return {
        "accuracy": accuracy,
        "macro_f1": macro_f1,
        "auc": auc,
        "rare_recall": recall_of([CATEGORIES.index(name) for name in run.rarest]),
        "faithful": faithfulness,
        "calibration_error": calibration_error,
    }


COMPARED = ("macro_f1", "rare_recall")


def naive_goal(naive: Sequence[RunResult]) -> float | None:
    """Naive GRPO's final macro-F1 on the development set, mean over its seeds; none without such runs."""
    finals = [run.curve[-1].macro_f1 for run in naive if run.curve]
    return float(np.mean(finals)) if finals else None


def reached(run: RunResult, goal: float | None) -> int | None:
    """Answers until the first round that ended with at least that macro-F1."""
    if goal is None:
        return None
    return next((point.rollouts for point in run.curve if point.macro_f1 >= goal), None)


def _line(
    arm: str,
    runs: Sequence[RunResult],
    drawn: Mapping[str, Mapping[str, Values]],
    measured: Mapping[str, Mapping[str, tuple[float, ...]]],
    goal: float | None,
) -> ArmLine:
    by_seed, differences = measured[arm], dict[str, Estimate]()
    if NAIVE in drawn and arm != NAIVE:
        for name in COMPARED:
            more = float(np.mean(by_seed[name]) - np.mean(measured[NAIVE][name]))
            differences[name] = Estimate(value=more, interval=quantiles(drawn[arm][name] - drawn[NAIVE][name]))
    return ArmLine(
        arm=arm,
        seeds=tuple(run.seed for run in runs),
        figures={
            name: Estimate(value=float(np.mean(by_seed[name])), interval=quantiles(values))
            for name, values in drawn[arm].items()
        },
        by_seed=dict(by_seed),
        more_than_naive=differences,
        rollouts=tuple(run.rollouts for run in runs),
        reached=tuple(reached(run, goal) for run in runs),
    )


def _measured(runs: Sequence[RunResult], figure: Figure) -> tuple[float, ...]:
    """The figure of each run."""
    return tuple(float(figure(answers_of(run.outcomes), np.ones((1, len(run.outcomes))))[0]) for run in runs)


def _seeds(runs: Sequence[RunResult], figure: Figure) -> Values:
    """(RESAMPLES,) mean over seeds drawn anew, of the figure over patients drawn anew."""
    values = np.stack([resampled(answers_of(run.outcomes), figure, RESAMPLES) for run in runs])
    chance = np.random.default_rng(
        [SEED, *map(ord, runs[0].arm)]
    )  # arms' seeds are independent, their patients the same
    drawn = chance.integers(len(runs), size=(len(runs), RESAMPLES))
    return np.asarray(np.take_along_axis(values, drawn, axis=0).mean(axis=0))


def table(lines: Sequence[ArmLine]) -> Table:
    """Percent with 95 % intervals over seeds and patients."""
    title = "Arms on the test set, mean over seeds (95 % interval over seeds and patients)"
    columns = ("accuracy", "macro_f1", "auc", "rare_recall", "faithful", "calibration_error")
    result = Table("arm", "seeds", *columns, "macro-F1 - naive", "answers", "until naive's macro-F1", title=title)
    for line in lines:
        more = line.more_than_naive.get("macro_f1")
        until = ", ".join("never" if one is None else str(one) for one in line.reached)
        result.add_row(
            line.arm,
            str(len(line.seeds)),
            *(shown(line.figures[name]) for name in columns),
            "" if more is None else shown(more),
            f"{np.mean(line.rollouts):.0f}",
            until if any(line.rollouts) else "",
        )
    return result
