"""Cases as the reasoner's reinforcement uses them: prompts by id, what answers are worth, how a set is answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sklearn.metrics import f1_score

from chordae.cohort.chinese import record_in
from chordae.learning.curriculum.rewards.combine import Reward, RewardWeights, reward
from chordae.learning.nano import IMAGE_PAD, VIDEO_PAD, VISION_END, VISION_START
from chordae.learning.reasoner import prompt_ids
from chordae.learning.reasoner_lessons import case_id, open_cases
from chordae.learning.reasoner_rollouts import Rollouts
from chordae.learning.reasoner_run import ReasonerRun
from chordae.learning.rollout import Sampled, Sampling
from chordae.platform.diagnosis.category import CATEGORIES, Category, Language
from chordae.platform.diagnosis.parsing import parse
from chordae.platform.diagnosis.prompts import messages
from chordae.platform.diagnosis.record import CmrRecord
from chordae.platform.errors import BadInput, BadSettings


@dataclass(frozen=True)
class Group:
    """Several answers to one prompt."""

    example: str
    category: Category
    prompt: list[int]
    answers: list[Sampled]
    worth: list[Reward]

    @property
    def rewards(self) -> list[float]:
        """One an answer: the weighted sum of its parts."""
        return [one.total for one in self.worth]


class Asked:
    """Records that the reasoner is asked about in one language, and the categories by which answers are judged.

    Raises:
        BadSettings: when asked for: a prompt longer than `limit` tokens.
    """

    def __init__(self, records: Mapping[str, CmrRecord], tokenizer: Any, language: Language, limit: int) -> None:
        self.records = dict(records)
        self.categories: dict[str, Category] = {}
        """Known or believed, by example."""
        self.tokenizer, self.language, self.limit = tokenizer, language, limit

    def prompt(self, example: str) -> list[int]:
        """Token ids up to where the answer starts."""
        return self.prompt_of(self.records[example])

    def prompt_of(self, record: CmrRecord) -> list[int]:
        """The same of any record."""
        ids = self._ids(record)
        if len(ids) > self.limit:
            raise BadSettings(f"a prompt has {len(ids)} tokens, more than {self.limit}", "raise prompt_tokens")
        return ids

    def fits(self, record: CmrRecord) -> bool:
        """Whether its prompt is not too long."""
        return len(self._ids(record)) <= self.limit

    def told(self, record: CmrRecord) -> CmrRecord:
        """The record as the prompt has it."""
        return record_in(record, self.language)

    def _ids(self, record: CmrRecord) -> list[int]:
        return prompt_ids(self.tokenizer, messages(self.told(record), self.language))

    def sampling(self, config: ReasonerRun) -> Sampling:
        """How answers are drawn: never a picture's tokens."""
        picture = (VISION_START, VISION_END, IMAGE_PAD, VIDEO_PAD)
        never = tuple(self.tokenizer.convert_tokens_to_ids(token) for token in picture)
        return Sampling(config.answer_tokens, config.temperature, (self.tokenizer.eos_token_id,), never)

    def groups(
        self, examples: Sequence[str], answers: Sequence[Sampled], copies: int, weights: RewardWeights
    ) -> list[Group]:
        """`copies` answers to each example, with what they are worth by its category."""
        made = []
        for place, example in enumerate(examples):
            said = list(answers[place * copies : (place + 1) * copies])
            category = self.categories[example]
            record = self.told(self.records[example])
            worth = [reward(self.text(answer.ids), category, record, weights) for answer in said]
            made.append(Group(example, category, self.prompt(example), said, worth))
        return made

    def text(self, ids: Sequence[int]) -> str:
        """What the model wrote."""
        text: str = self.tokenizer.decode(ids, skip_special_tokens=True)
        return text


class Cases(Asked):
    """Labelled records of datasets.

    Raises:
        BadInput: a dataset that cannot be read, or a case that is there twice.
    """

    def __init__(self, datasets: Sequence[Path], tokenizer: Any, language: Language, limit: int) -> None:
        found = open_cases(datasets)
        cases = {case_id(case): case for case in found}
        if len(cases) < len(found):
            raise BadInput("a case is there twice", "name every dataset once")
        super().__init__({name: case.record for name, case in cases.items()}, tokenizer, language, limit)
        self.categories = {name: case.category for name, case in cases.items()}

    def ids_by_class(self) -> dict[str, list[str]]:
        """Of the categories that occur, in the seed's order."""
        ids: dict[str, list[str]] = {name: [] for name in CATEGORIES}
        for example, category in self.categories.items():
            ids[category].append(example)
        return {name: examples for name, examples in ids.items() if examples}

    def refuse_unknown(self, development: "Cases") -> None:
        """See that every category of the development set is trained on.

        Raises:
            BadInput: one is not.
        """
        unknown = development.ids_by_class().keys() - self.ids_by_class().keys()
        if unknown:
            raise BadInput(f"assessed, but never trained on: {', '.join(sorted(unknown))}", "train on more cases")


@dataclass(frozen=True)
class Assessed:
    """How a set was answered."""

    counts: dict[str, tuple[int, int]]
    """(correct, total) by class."""
    macro_f1: float
    """Over the classes that the set holds; an answer without a category is wrong and no class's."""


def assess(rollouts: Rollouts, development: Cases) -> Assessed:
    """Each case answered greedily, right if exactly its category is answered."""
    ids = development.ids_by_class()
    examples = [example for those in ids.values() for example in those]
    answers = rollouts.greedy([development.prompt(example) for example in examples])
    chosen = dict(zip(examples, (parse(development.text(answer)).category for answer in answers), strict=True))
    counts = {name: (sum(chosen[example] == name for example in those), len(those)) for name, those in ids.items()}
    truth = [development.categories[example] for example in examples]
    given = [chosen[example] or "" for example in examples]
    return Assessed(counts, float(f1_score(truth, given, labels=list(ids), average="macro", zero_division=0)))
