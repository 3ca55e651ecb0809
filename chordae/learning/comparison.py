"""Whether two experts differ on the questions that both were asked."""

from collections.abc import Sequence

from chordae.learning.results import McqReport, VqaReport
from chordae.learning.statistics import Comparison, compare_likert_scores, compare_right
from chordae.platform.errors import BadInput


def compare(reports: Sequence[McqReport]) -> list[Comparison]:
    """McNemar's test, with Bonferroni's correction, of every two models on the questions that both were asked.

    Raises:
        BadInput: two reports of one model, or two without a question in common.
    """
    _refuse_incomparable(reports)
    return compare_right({one.model: {o.id: o.expert == o.correct for o in one.outcomes} for one in reports})


def compare_likert(reports: Sequence[VqaReport]) -> list[Comparison]:
    """The Mann-Whitney U test, with Bonferroni's correction, of every two models' Likert scores on the same questions.

    Raises:
        BadInput: two reports of one model, without a question in common, or by different judges.
    """
    _refuse_incomparable(reports)
    if len({one.judge for one in reports}) > 1:
        raise BadInput("the reports are by different judges", "compare scores that one judge gave")
    graded = [{o.id: o.likert for o in one.outcomes if o.likert is not None} for one in reports]
    shared = set.intersection(*(set(one) for one in graded))
    return compare_likert_scores(
        {report.model: [one[key] for key in sorted(shared)] for report, one in zip(reports, graded, strict=True)}
    )


def _refuse_incomparable(reports: Sequence[McqReport] | Sequence[VqaReport]) -> None:
    if len({one.model for one in reports}) < max(2, len(reports)):
        raise BadInput("a comparison needs reports of two or more different models", "name one report a model")
    asked = [{outcome.id for outcome in one.outcomes} for one in reports]
    if not set.intersection(*asked):
        raise BadInput("the reports have no question in common", "evaluate all models on the same split")
