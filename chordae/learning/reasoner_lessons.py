"""What the reasoner learns in stage 1, made when it is needed: knowledge, dialogue on a record, chains, categories.

As for the experts, a row of a run is only its number: seed and number decide case, language and wording, seed and step
the kind. A step is all of one kind: the few tokens of a category would be lost in a mean over those of chains.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from chordae.cohort.chains import lesson, verdict
from chordae.cohort.knowledge import pairs
from chordae.cohort.record_cases import Case, read_cases
from chordae.cohort.record_dialogue import dialogue
from chordae.cohort.thinned_records import thinned
from chordae.learning.batches import IGNORED, Row, draw_kind, pad_rows, tokenised
from chordae.learning.config import Phase
from chordae.learning.reasoner import SYSTEM_PROMPT, pieces
from chordae.platform.diagnosis.category import Language
from chordae.platform.diagnosis.probabilities import OPEN
from chordae.platform.diagnosis.prompts import instructions
from chordae.platform.errors import BadInput

THINNED = 0.3
"""Of the records with chains: those with gaps."""
CHINESE_TEXTS = 0.3
"""Of the records that a new tokenizer is made of."""


class LessonCollator:
    """Row numbers of a run -> a batch. `size` is how many rows all workers take in one step."""

    def __init__(
        self, tokenizer: Any, phases: Sequence[Phase], size: int, seed: int, cases: Sequence[Case], chinese: float
    ) -> None:
        self.tokenizer, self.phases, self.size, self.seed = tokenizer, phases, size, seed
        self.cases, self.chinese, self.pairs = cases, chinese, pairs()

    def __call__(self, rows: Sequence[dict[str, int]]) -> dict[str, Tensor]:
        batch = pad_rows([self.row(row["row"]) for row in rows], self.tokenizer)
        del batch["mm_token_type_ids"]  # a model of text alone has none
        return batch

    def row(self, number: int) -> Row:
        """The row of that number: a function of the seed and the number."""
        messages = self.messages(number)
        ids, labels = tokenised(self.tokenizer, pieces(messages))
        if messages[-1]["content"].startswith(OPEN):  # given when probabilities are asked for; chains begin otherwise
            start = next(place for place, label in enumerate(labels) if label != IGNORED)
            opened = self.tokenizer(OPEN, add_special_tokens=False)["input_ids"]
            for place, token in enumerate(opened, start):
                labels[place] = IGNORED if labels[place] == token else labels[place]
        return Row(ids, labels)

    def messages(self, number: int) -> list[dict[str, str]]:
        """What it says, as OpenAI messages."""
        rng = np.random.default_rng([self.seed, number])
        step = number // self.size
        kind = draw_kind(self.phases, step, np.random.default_rng([self.seed, step, 1]))
        if kind == "knowledge":
            return self.pairs[int(rng.integers(len(self.pairs)))].messages
        case = self.cases[int(rng.integers(len(self.cases)))]
        language: Language = "zh" if rng.random() < self.chinese else "en"
        if kind == "dialogue":
            return dialogue(case, rng, language)
        case = thinned(case, rng) if rng.random() < THINNED else case
        return verdict(case, language) if kind == "verdicts" else lesson(case, rng, language)


def lesson_texts(cases: Sequence[Case], rng: np.random.Generator, records: int) -> list[str]:
    """What a new tokenizer is made of: all knowledge, and chains and dialogues of so many records."""
    said = [one.messages for one in pairs()]
    for place in rng.integers(len(cases), size=records).tolist():
        language: Language = "zh" if rng.random() < CHINESE_TEXTS else "en"
        said += [lesson(cases[place], rng, language)[1:], dialogue(cases[place], rng, language)]
    texts = [f"{one['role']}\n{one['content']}" for messages in said for one in messages]
    return [f"system\n{SYSTEM_PROMPT}", *(f"system\n{instructions(one)}" for one in ("en", "zh")), *texts]


def open_cases(datasets: Sequence[Path]) -> list[Case]:
    """The cases of all these directories.

    Raises:
        BadInput: none in one of them, or a line that is none.
    """
    return [case for dataset in datasets for case in read_cases(dataset)]


def case_id(case: Case) -> str:
    """What tells a case from all others."""
    return f"{case.site} {case.patient}"


def held_apart(*kinds: Sequence[Path]) -> None:
    """See that datasets of different kinds (trained on, judged by, calibrated on) share no patient.

    Raises:
        BadInput: they do, or one cannot be read.
    """
    read = [{case_id(case) for case in open_cases(datasets)} for datasets in kinds]
    for place, (some, datasets) in enumerate(zip(read, kinds, strict=True)):
        for more, others in zip(read[place + 1 :], kinds[place + 1 :], strict=True):
            if shared := len(some & more):
                first, second = (", ".join(one.name for one in each) for each in (datasets, others))
                raise BadInput(f"{first} and {second} share {shared} patients", "use disjoint datasets")


def refuse_shared(cases: Sequence[Case], others: Sequence[Case]) -> None:
    """See that no patient to be trained on is among those held out or assessed.

    Raises:
        BadInput: one is.
    """
    shared = {case_id(case) for case in cases} & {case_id(case) for case in others}
    if shared:
        raise BadInput(
            f"{len(shared)} patients are trained on and held out, {min(shared)} first", "use disjoint datasets"
        )
