"""Who is asked what in an evaluation: experts, questions of a split, and what is refused before any work is done."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

from pydantic import BaseModel, TypeAdapter

from chordae.cohort.dataset import QUESTIONS, Item, Sample, read_rows
from chordae.cohort.items import refuse_leak
from chordae.platform.errors import BadInput
from chordae.platform.files import write_atomically

Kind = Literal["mcq", "vqa"]


class Expert(Protocol):
    """A model that answers questions about media."""

    @property
    def name(self) -> str:
        """Shown in tables; "nano" in it marks a demonstrator."""

    def ask(self, items: Sequence[Item], with_media: bool) -> list[str]:
        """(items,) greedy answers to `item.question`, with the item's media or without any."""

    def choose(self, items: Sequence[Item], with_media: bool) -> list[int]:
        """(items,) the option taken, an index, when one of `grading.candidates(item)` must be."""


class StoredAnswer(BaseModel):
    """One answer as it is kept on disk."""

    id: str
    with_media: bool
    answer: str


_STORED = TypeAdapter(list[StoredAnswer])


def load_items(root: Path, split: str, kind: Kind | None = None, site: str | None = None) -> list[Item]:
    """The questions of `root/split`, of one kind and site or of all.

    Raises:
        BadInput: no such split or site (those there are named), or no questions of that kind.
    """
    splits = sorted(path.parent.name for path in root.glob(f"*/{QUESTIONS}"))
    if split not in splits:
        known = ", ".join(splits) or "none there"
        raise BadInput(f"no split {split!r} in {root}", f"splits with questions: {known}")
    items = read_rows(root / split / QUESTIONS, Item)
    sites = sorted({item.site for item in items})
    if site is not None and site not in sites:
        raise BadInput(f"no questions from site {site!r} in split {split!r}", f"sites: {', '.join(sites)}")
    kept = [item for item in items if kind in (None, item.kind) and site in (None, item.site)]
    if not kept:
        raise BadInput(f"split {split!r} holds no {kind} questions", "make the dataset again, with such questions")
    return kept


def refuse_unusable(items: Sequence[Item], training: Sequence[Sample], kind: Kind | None) -> None:
    """Refuse what would make an evaluation worthless.

    Raises:
        BadInput: nothing to ask, questions of another kind, without their right option, or asked twice, or of patients
            that training saw.
    """
    if not items:
        raise BadInput("the split is empty", "make the dataset again, or name another split")
    if kind and any(item.kind != kind for item in items):
        raise BadInput(f"not all questions are {kind}", "choose the questions of one kind")
    if any(item.kind == "mcq" and (item.correct is None or not item.options) for item in items):
        raise BadInput("a multiple-choice question has no right option", "make the dataset again")
    twice = len(items) - len({item.id for item in items})
    if twice:
        raise BadInput(f"{twice} questions have the id of another", "make the dataset again")
    refuse_leak(training, items)


def ask_and_keep(expert: Expert, items: Sequence[Item], with_media: bool, keep: Path | None) -> list[str]:
    """The expert's answers, written to `keep` before anything is done with them."""
    answers = expert.ask(items, with_media=with_media)
    if keep is not None:
        given = zip(items, answers, strict=True)
        rows = [StoredAnswer(id=item.id, with_media=with_media, answer=answer) for item, answer in given]
        keep.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(keep, _STORED.dump_json(rows, indent=1))
    return answers
