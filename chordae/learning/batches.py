"""Conversations as tensors, made when they are needed: nothing is drawn or tokenised ahead of time.

A row of a run is only its number. The collator turns numbers into studies, questions and padded tensors; the same seed
and number give the same row, so a resumed run sees what an unbroken one would have seen.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chordae.cohort import language_tasks, questions
from chordae.cohort.conversation import Conversation
from chordae.learning.config import SEEN, Phase
from chordae.learning.foreign import Foreign
from chordae.learning.media_cache import Seen
from chordae.learning.nano import END, IMAGE_PAD, MERGE, START, SYSTEM_PROMPTS, VIDEO_PAD, VISION_END, VISION_START
from chordae.learning.studies import Studies
from chordae.platform.errors import BadSettings
from chordae.platform.schemas import KIND_OF, Modality

IGNORED = -100  # label of a token that is not an answer's
LENGTH_STEP = 32
TASKS = (
    language_tasks.decompose_conversation,
    language_tasks.rephrase_conversation,
    language_tasks.summarise_conversation,
)


@dataclass(frozen=True)
class Row:
    """One conversation: token ids and labels of (L,); patches (P, 1176), grid and seconds where something is seen."""

    ids: list[int]
    labels: list[int]
    patches: NDArray[np.float32] | None = None
    grid: tuple[int, int, int] = (0, 0, 0)
    seconds: float = 0.0
    video: bool = False


def vision_tokens(grid: tuple[int, int, int], video: bool) -> str:
    """The placeholder of a picture or video, one token for four patches."""
    return VISION_START + (VIDEO_PAD if video else IMAGE_PAD) * (grid[0] * grid[1] * grid[2] // MERGE**2) + VISION_END


def encode(tokenizer: Any, conversation: Conversation, modality: Modality, seen: Seen | None = None) -> Row:
    """Tokens of a conversation as the chat template lays it out; only answers and their ends are learned."""
    patches, grid, media, video = None, (0, 0, 0), "", KIND_OF[modality] == "video"
    if seen is not None:
        patches, grid = seen.patches()
        media = vision_tokens(grid, video)
    pieces = [_system(modality)]
    for number, turn in enumerate(conversation.turns):
        pieces += [_asked((media if number == 0 else "") + turn.question), (turn.answer + END, True), ("\n", False)]
    ids, labels = tokenised(tokenizer, pieces)
    return Row(ids, labels, patches, grid, 0.0 if seen is None else seen.seconds, video and seen is not None)


def _system(modality: Modality) -> tuple[str, bool]:
    return f"{START}system\n{SYSTEM_PROMPTS[modality]}{END}\n", False


def _asked(question: str) -> tuple[str, bool]:
    return f"{START}user\n{question}{END}\n{START}assistant\n", False


def tokenised(tokenizer: Any, pieces: Sequence[tuple[str, bool]]) -> tuple[list[int], list[int]]:
    """Ids and labels of pieces of text, each learned or not."""
    ids: list[int] = []
    labels: list[int] = []
    encoded = tokenizer([text for text, _ in pieces], add_special_tokens=False)["input_ids"]
    for tokens, (_, learned) in zip(encoded, pieces, strict=True):
        ids += tokens
        labels += tokens if learned else [IGNORED] * len(tokens)
    return ids, labels


def pad_rows(rows: Sequence[Row], tokenizer: Any) -> dict[str, Tensor]:
    """Rows -> the model's inputs, padded at the end to the longest, rounded up.

    Few distinct lengths keep oneDNN's cache of prepared kernels, and so the memory of a long run on a CPU, small.
    """
    length = -(-max(len(row.ids) for row in rows) // LENGTH_STEP) * LENGTH_STEP
    ids = torch.full((len(rows), length), tokenizer.pad_token_id)
    labels = torch.full((len(rows), length), IGNORED)
    attention = torch.zeros((len(rows), length), dtype=torch.long)
    for number, row in enumerate(rows):
        ids[number, : len(row.ids)] = torch.tensor(row.ids)
        labels[number, : len(row.labels)] = torch.tensor(row.labels)
        attention[number, : len(row.ids)] = 1
    image, video = (tokenizer.convert_tokens_to_ids(token) for token in (IMAGE_PAD, VIDEO_PAD))
    batch = {
        "input_ids": ids,
        "attention_mask": attention,
        "labels": labels,
        "mm_token_type_ids": (ids == image).long() + 2 * (ids == video).long(),
    }
    stills = [row for row in rows if row.patches is not None and not row.video]
    videos = [row for row in rows if row.patches is not None and row.video]
    if stills:
        batch["pixel_values"] = _joined(stills)
        batch["image_grid_thw"] = torch.tensor([row.grid for row in stills])
    if videos:
        batch["pixel_values_videos"] = _joined(videos)
        batch["video_grid_thw"] = torch.tensor([row.grid for row in videos])
        batch["second_per_grid_ts"] = torch.tensor([row.seconds for row in videos])
    return batch


def _joined(rows: Sequence[Row]) -> Tensor:
    return torch.from_numpy(np.concatenate([row.patches for row in rows if row.patches is not None]))


class ConversationCollator:
    """Row numbers of a run -> a batch. `size` is how many rows all workers take in one step."""

    def __init__(
        self,
        tokenizer: Any,
        phases: Sequence[Phase],
        size: int,
        seed: int,
        studies: Studies | None,
        modality: Modality | None,
        augment: bool,
        foreign: Foreign | None = None,
    ) -> None:
        self.tokenizer, self.phases, self.size, self.seed = tokenizer, phases, size, seed
        self.studies, self.modality, self.augment, self.foreign = studies, modality, augment, foreign
        self.shares = {} if studies is None else studies.shares()

    def __call__(self, rows: Sequence[dict[str, int]]) -> dict[str, Tensor]:
        return pad_rows([self.row(row["row"]) for row in rows], self.tokenizer)

    def row(self, number: int) -> Row:
        """The row of that number: a function of the seed and the number."""
        rng = np.random.default_rng([self.seed, number])
        kind = draw_kind(self.phases, number // self.size, rng)
        modality = self.modality or cast(Modality, str(rng.choice(list(SYSTEM_PROMPTS))))
        if kind in SEEN and self.studies is not None:
            study, topic = self.studies.draw(rng)
            sample, seen = self.studies.samples[study], self.studies.seen(study, rng if self.augment else None)
            if kind == "foreign":
                if self.foreign is None:
                    raise BadSettings("foreign media are asked about, none are given", "open them with the studies")
                talk = questions.blind_conversation(modality, rng)
                return encode(self.tokenizer, talk, modality, self.foreign.draw(seen.seconds, rng))
            if kind == "reports":
                return encode(self.tokenizer, questions.report_conversation(sample, rng), modality, seen)
            talk = questions.question_conversation(sample, rng, topic, self.shares)
            return encode(self.tokenizer, talk, modality, seen)
        return encode(self.tokenizer, _TEXT[kind](modality, rng), modality)


def draw_kind(phases: Sequence[Phase], step: int, rng: np.random.Generator) -> str:
    """The kind of a conversation of that step, by the weights of the phase that the step is in."""
    for phase in phases:
        if step < phase.steps:
            break
        step -= phase.steps
    weights = phase.weights()
    return str(rng.choice(list(weights), p=np.array(list(weights.values())) / sum(weights.values())))


def _task(modality: Modality, rng: np.random.Generator) -> Conversation:
    return TASKS[int(rng.integers(len(TASKS)))](rng)


_TEXT: dict[str, Callable[[Modality, np.random.Generator], Conversation]] = {
    "matching": questions.matching_conversation,
    "blind": questions.blind_conversation,
    "tasks": _task,
}
