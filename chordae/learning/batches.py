"""Conversations as tensors, made when they are needed: nothing is drawn or tokenised ahead of time.

A row of a stage is only its number. The collator, which runs in the loader's processes, turns numbers into patients,
pictures, questions and padded tensors; the same seed and number give the same row, so a resumed run sees what an
unbroken one would have seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chordae.cohort.ecg import sample_latents
from chordae.cohort.questions import (
    Conversation,
    blind_conversation,
    listing_conversation,
    matching_conversation,
    question_conversation,
    report_conversation,
)
from chordae.learning.config import LanguageStage
from chordae.learning.nano import (
    END,
    IMAGE_PAD,
    MERGE,
    START,
    SYSTEM_PROMPT,
    VISION_END,
    VISION_START,
    picture_patches,
)
from chordae.learning.pictures import simulated_picture

IGNORED = -100  # label of a token that is not an answer's
LENGTH_STEP = 32


@dataclass(frozen=True)
class Row:
    """One conversation: token ids and labels of (L,), the picture's patches (P, 1176) and grid where there is one."""

    ids: list[int]
    labels: list[int]
    patches: NDArray[np.float32] | None
    grid: tuple[int, int, int] | None


def encode(
    tokenizer: Any,
    conversation: Conversation,
    picture: NDArray[np.uint8] | None,
    system: str = SYSTEM_PROMPT,
) -> Row:
    """Tokens of a conversation as the chat template lays it out; only answers and their ends are learned."""
    patches, grid, media = None, None, ""
    if picture is not None:
        patches, grid = picture_patches(picture)
        media = VISION_START + IMAGE_PAD * (grid[1] * grid[2] // MERGE**2) + VISION_END
    ids = tokenizer.encode(f"{START}system\n{system}{END}\n", add_special_tokens=False)
    labels = [IGNORED] * len(ids)
    for number, turn in enumerate(conversation.turns):
        shown = media if number == 0 else ""
        asked = f"{START}user\n{shown}{turn.question}{END}\n{START}assistant\n"
        question = tokenizer.encode(asked, add_special_tokens=False)
        answer = tokenizer.encode(turn.answer + END, add_special_tokens=False)
        newline = tokenizer.encode("\n", add_special_tokens=False)
        ids += question + answer + newline
        labels += [IGNORED] * len(question) + answer + [IGNORED] * len(newline)
    return Row(ids, labels, patches, grid)


def pad_rows(rows: Sequence[Row], pad: int, image_token: int) -> dict[str, Tensor]:
    """Rows -> the model's inputs, padded at the end to the longest, rounded up.

    Few distinct lengths keep oneDNN's cache of prepared kernels, and so the memory of a long run on a CPU, small.
    """
    length = -(-max(len(row.ids) for row in rows) // LENGTH_STEP) * LENGTH_STEP
    ids = torch.full((len(rows), length), pad)
    labels = torch.full((len(rows), length), IGNORED)
    attention = torch.zeros((len(rows), length), dtype=torch.long)
    for number, row in enumerate(rows):
        ids[number, : len(row.ids)] = torch.tensor(row.ids)
        labels[number, : len(row.labels)] = torch.tensor(row.labels)
        attention[number, : len(row.ids)] = 1
    batch = {
        "input_ids": ids,
        "attention_mask": attention,
        "labels": labels,
        "mm_token_type_ids": (ids == image_token).long(),
    }
    seen = [row for row in rows if row.patches is not None]
    if seen:
        patches = [row.patches for row in seen if row.patches is not None]
        batch["pixel_values"] = torch.from_numpy(np.concatenate(patches))
        batch["image_grid_thw"] = torch.tensor([row.grid for row in seen])
    return batch


class ConversationCollator:
    """Row numbers of one stage -> a batch."""

    def __init__(self, tokenizer: Any, stage: LanguageStage, seed: Sequence[int], size: tuple[int, int]) -> None:
        self.tokenizer, self.seed, self.size = tokenizer, tuple(seed), size
        weights = np.array([stage.reports, stage.questions, stage.matching, stage.listing, stage.blind])
        self.shares = weights / weights.sum()
        self.image_token = tokenizer.convert_tokens_to_ids(IMAGE_PAD)

    def __call__(self, rows: Sequence[dict[str, int]]) -> dict[str, Tensor]:
        return pad_rows([self.row(row["row"]) for row in rows], self.tokenizer.pad_token_id, self.image_token)

    def row(self, number: int) -> Row:
        """The row of that number: a function of the seed and the number."""
        rng = np.random.default_rng([*self.seed, number])
        kind = int(rng.choice(5, p=self.shares))
        if kind >= 2:
            talk = (matching_conversation, listing_conversation, blind_conversation)[kind - 2](rng)
            return encode(self.tokenizer, talk, None)
        latents = sample_latents(rng)
        talk = report_conversation(latents, rng) if kind == 0 else question_conversation(latents, rng)
        return encode(self.tokenizer, talk, simulated_picture(latents, rng, self.size))
