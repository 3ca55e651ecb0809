"""Greedy answers of a checkpoint in plain transformers: what evaluation during training uses instead of an engine."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chordae.cohort.questions import Conversation, Turn
from chordae.learning.batches import IGNORED, LENGTH_STEP, Row, encode, pad_rows
from chordae.learning.nano import END, IMAGE_PAD, MERGE, START, SYSTEM_PROMPT, VISION_END, VISION_START, picture_patches

Picture = NDArray[np.uint8]
Asked = tuple[str, Picture | None]
"""A question and what it is about: (height, width, 3) uint8 RGB at the model's size, or nothing."""
Generate = Callable[[Sequence[Asked]], list[str]]
Choose = Callable[[Sequence[Asked], Sequence[Sequence[str]]], list[int]]
"""Which of several answers, for each question, when one of them must be given."""


def transformers_generate(model: Any, tokenizer: Any, batch: int = 32, max_new_tokens: int = 48) -> Generate:
    """A function from questions to greedy answers."""

    def generate(asked: Sequence[Asked]) -> list[str]:
        answers: list[str] = []
        for first in range(0, len(asked), batch):
            inputs = _left_padded([_prompt(tokenizer, *one) for one in asked[first : first + batch]], tokenizer)
            inputs = {name: value.to(model.device) for name, value in inputs.items()}
            with torch.inference_mode():
                output = model.generate(
                    **inputs,
                    do_sample=False,
                    max_new_tokens=max_new_tokens,
                    eos_token_id=tokenizer.convert_tokens_to_ids(END),
                    pad_token_id=tokenizer.pad_token_id,
                )
            new = output[:, inputs["input_ids"].shape[1] :]
            answers += [text.strip() for text in tokenizer.batch_decode(new, skip_special_tokens=True)]
        return answers

    return generate


def transformers_choose(model: Any, tokenizer: Any) -> Choose:
    """A function that says which of several answers the model finds likeliest, however unlikely all are."""
    image_token = tokenizer.convert_tokens_to_ids(IMAGE_PAD)

    def choose(asked: Sequence[Asked], candidates: Sequence[Sequence[str]]) -> list[int]:
        chosen = []
        for (question, picture), answers in zip(asked, candidates, strict=True):
            talks = [Conversation((Turn(question, answer),), picture is not None) for answer in answers]
            rows = [encode(tokenizer, talk, picture) for talk in talks]
            batch = pad_rows(rows, tokenizer.pad_token_id, image_token)
            labels = batch.pop("labels")[:, 1:].to(model.device)
            with torch.inference_mode():
                logits = model(**{name: value.to(model.device) for name, value in batch.items()}).logits[:, :-1]
            logprobs = logits.float().log_softmax(-1).gather(-1, labels.clamp(min=0)[..., None])[..., 0]
            chosen.append(int((logprobs * (labels != IGNORED)).sum(1).argmax()))
        return chosen

    return choose


def _prompt(tokenizer: Any, question: str, picture: Picture | None) -> Row:
    patches, grid, media = None, None, ""
    if picture is not None:
        patches, grid = picture_patches(picture)
        media = VISION_START + IMAGE_PAD * (grid[1] * grid[2] // MERGE**2) + VISION_END
    text = f"{START}system\n{SYSTEM_PROMPT}{END}\n{START}user\n{media}{question}{END}\n{START}assistant\n"
    return Row(tokenizer.encode(text, add_special_tokens=False), [], patches, grid)


def _left_padded(rows: Sequence[Row], tokenizer: Any) -> dict[str, Tensor]:
    """Prompts padded at the start, so that all answers begin at the same place."""
    length = -(-max(len(row.ids) for row in rows) // LENGTH_STEP) * LENGTH_STEP
    padding = [[tokenizer.pad_token_id] * (length - len(row.ids)) for row in rows]
    padded = [
        Row(pad + row.ids, [IGNORED] * length, row.patches, row.grid) for pad, row in zip(padding, rows, strict=True)
    ]
    batch = pad_rows(padded, tokenizer.pad_token_id, tokenizer.convert_tokens_to_ids(IMAGE_PAD))
    for number, pad in enumerate(padding):
        batch["attention_mask"][number, : len(pad)] = 0
    del batch["labels"]
    return batch
