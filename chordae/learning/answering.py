"""Greedy answers of a checkpoint in plain transformers: what training asks itself, without an engine."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from chordae.cohort.conversation import Conversation, Turn
from chordae.learning.batches import IGNORED, LENGTH_STEP, Row, encode, pad_rows, vision_tokens
from chordae.learning.media_cache import View, see
from chordae.learning.nano import END, SYSTEM_PROMPTS, prompt_text
from chordae.platform.schemas import KIND_OF

Asked = tuple[str, Path | None]
"""A question and the file that it is about, a picture or a video at its full size; or no file."""
Generate = Callable[[Sequence[Asked]], list[str]]
Choose = Callable[[Sequence[Asked], Sequence[Sequence[str]]], list[int]]
"""Which of several answers, for each question, when one of them must be given."""


def transformers_generate(
    model: Any, tokenizer: Any, view: View, batch: int = 32, max_new_tokens: int = 64
) -> Generate:
    """A function from questions to greedy answers; `view` is how the model sees its media."""

    def generate(asked: Sequence[Asked]) -> list[str]:
        answers: list[str] = []
        for first in range(0, len(asked), batch):
            inputs = padded_inputs(
                [media_row(tokenizer, view, *one) for one in asked[first : first + batch]], tokenizer
            )
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


def transformers_choose(model: Any, tokenizer: Any, view: View) -> Choose:
    """A function that says which of several answers the model finds likeliest, however unlikely all are."""

    def choose(asked: Sequence[Asked], candidates: Sequence[Sequence[str]]) -> list[int]:
        chosen = []
        for (question, media), answers in zip(asked, candidates, strict=True):
            seen = None if media is None else see(media, view)
            talks = [Conversation((Turn(question, answer),), media is not None) for answer in answers]
            batch = pad_rows([encode(tokenizer, talk, view.modality, seen) for talk in talks], tokenizer)
            labels = batch.pop("labels")[:, 1:].to(model.device)
            with torch.inference_mode():
                logits = model(**{name: value.to(model.device) for name, value in batch.items()}).logits[:, :-1]
            logprobs = logits.float().log_softmax(-1).gather(-1, labels.clamp(min=0)[..., None])[..., 0]
            chosen.append(int((logprobs * (labels != IGNORED)).sum(1).argmax()))
        return chosen

    return choose


def media_row(tokenizer: Any, view: View, question: str, media: Path | None) -> Row:
    """A question's tokens up to where the answer starts, and what is seen with it."""
    system = SYSTEM_PROMPTS[view.modality]
    if media is None:
        return Row(tokenizer.encode(prompt_text(question, system=system), add_special_tokens=False), [])
    seen, video = see(media, view), KIND_OF[view.modality] == "video"
    patches, grid = seen.patches()
    text = prompt_text(question, vision_tokens(grid, video), system)
    return Row(tokenizer.encode(text, add_special_tokens=False), [], patches, grid, seen.seconds, video)


def padded_inputs(rows: Sequence[Row], tokenizer: Any) -> dict[str, Tensor]:
    """Prompts padded at the start, so that all answers begin at the same place."""
    length = -(-max(len(row.ids) for row in rows) // LENGTH_STEP) * LENGTH_STEP
    padding = [length - len(row.ids) for row in rows]
    padded = [
        Row([tokenizer.pad_token_id] * pad + row.ids, [IGNORED] * length, row.patches, row.grid, row.seconds, row.video)
        for pad, row in zip(padding, rows, strict=True)
    ]
    batch = pad_rows(padded, tokenizer)
    for number, pad in enumerate(padding):
        batch["attention_mask"][number, :pad] = 0
    del batch["labels"]
    return batch
