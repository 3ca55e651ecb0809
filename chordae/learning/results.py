"""What an evaluation found, as it is stored (JSON) and shown: every question's outcome, and scores by group.

Groups are all questions, the sites seen in training and the unseen ones, every category, every site.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from chordae.cohort.dataset import Item
from chordae.learning.statistics import Score

DEMONSTRATOR = "nano demonstrator, trained on simulated patients; not for clinical use"

GroupKind = Literal["all", "sites", "category", "site"]


class _Result(BaseModel):
    model_config = ConfigDict(frozen=True)


class Outcome(_Result):
    """One multiple-choice question, and the option (an index) that everybody took; none: none, or more than one."""

    id: str
    patient: str
    site: str
    category: str
    correct: int
    answer: str
    expert: int | None
    by_text: int | None
    by_letter: int | None
    withheld: int
    """The expert's forced choice without its media."""
    text_only: int
    ceiling: int
    chance: float
    uniform: float


class McqLine(_Result):
    """One group of questions."""

    kind: GroupKind
    name: str
    expert: Score
    by_text: Score
    by_letter: Score
    withheld: Score
    text_only: Score
    ceiling: Score
    chance: float
    """What the best guess reaches that knows topic and list only."""
    uniform: float
    """What picking any option reaches."""


class McqReport(_Result):
    """Multiple-choice accuracy of one expert on one split."""

    model: str
    split: str
    lines: tuple[McqLine, ...]
    outcomes: tuple[Outcome, ...]

    @property
    def accuracy(self) -> float:
        """Of all questions; 0 where every answer was excluded."""
        return self.lines[0].expert.accuracy or 0.0

    @property
    def note(self) -> str:
        """What must stand beside every figure; empty for a model that is no demonstrator."""
        return note(self.model)

    def summary(self) -> dict[str, object]:
        """Plain numbers for a manifest: by group, what the table shows."""
        return {f"{line.kind}: {line.name}": _plain(line) for line in self.lines}


class VqaLine(_Result):
    """Likert scores of one group of questions."""

    kind: GroupKind
    name: str
    asked: int
    ungraded: int
    mean: float | None
    interval: tuple[float, float] | None
    counts: tuple[int, int, int, int, int]
    """How many answers scored 1, 2, 3, 4, 5."""
    constant: float | None
    """Mean score, by the same judge, of saying the topic's commonest reference answer to every question."""


class VqaOutcome(_Result):
    """One open question; `likert` is none where the judge gave no score that can be read."""

    id: str
    patient: str
    site: str
    category: str
    answer: str
    likert: int | None
    constant: int | None


class VqaReport(_Result):
    """Likert scores of one expert on one split."""

    model: str
    split: str
    judge: str
    agreement: str
    lines: tuple[VqaLine, ...]
    outcomes: tuple[VqaOutcome, ...]

    @property
    def note(self) -> str:
        """What must stand beside every figure; empty for a model that is no demonstrator."""
        return note(self.model)


class BlindReport(_Result):
    """What an expert does when its media are withheld."""

    model: str
    split: str
    free: Score | None
    """Of the answers it gives by itself to multiple-choice questions; those that decline are excluded."""
    forced: Score | None
    """Of the option that it takes when it must take one."""
    chance: float | None
    mirages: Score
    """Over the questions whose truth is negative: `correct` counts mirages, `accuracy` is their rate."""
    false_positives: Score
    """Over the same questions, positive findings with the media there."""

    @property
    def note(self) -> str:
        """What must stand beside every figure; empty for a model that is no demonstrator."""
        return note(self.model)


Report = McqReport | VqaReport | BlindReport


def note(model: str) -> str:
    """The note that demonstrators carry wherever they show."""
    return DEMONSTRATOR if "nano" in model.lower() else ""


def groups(items: Sequence[Item], unseen: Sequence[str]) -> list[tuple[GroupKind, str, list[int]]]:
    """All groups that hold questions: kind, name, indices.

    Args:
        items: the questions.
        unseen: sites that training never saw.
    """

    def where(keep: Callable[[Item], bool]) -> list[int]:
        return [index for index, item in enumerate(items) if keep(item)]

    found: list[tuple[GroupKind, str, list[int]]] = [
        ("all", "all", where(lambda _: True)),
        ("sites", "seen sites", where(lambda item: item.site not in unseen)),
        ("sites", "unseen sites", where(lambda item: item.site in unseen)),
    ]
    for name in dict.fromkeys(item.category for item in items):
        found.append(("category", name, where(lambda item, name=name: item.category == name)))  # type: ignore[misc]
    for name in sorted({item.site for item in items}):
        found.append(("site", name, where(lambda item, name=name: item.site == name)))  # type: ignore[misc]
    return [group for group in found if group[2]]


def _plain(line: McqLine) -> dict[str, object]:
    scored = ("expert", "by_text", "by_letter", "withheld", "text_only", "ceiling")
    scores: dict[str, Score] = {name: getattr(line, name) for name in scored}
    result: dict[str, object] = {
        "asked": line.expert.asked,
        "excluded": line.expert.excluded,
        "chance": round(line.chance, 4),
    }
    for name, one in scores.items():
        result[name] = None if one.accuracy is None else round(one.accuracy, 4)
    if line.expert.interval:
        result["interval"] = [round(value, 4) for value in line.expert.interval]
    return result
