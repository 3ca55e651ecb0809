"""Answers sampled for stage 3: which questions, what the model sees with them, and several answers to each.

A prompt is only its number. Question, study and what was varied in its picture follow from (seed, number), so that a
resumed run asks what an unbroken one would have asked. `sample_answers` is the one place that generates; whatever takes
the same arguments (an inference engine) can take its place.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from chordae.cohort.questions import Mcq, ask_mcq
from chordae.learning.batches import vision_tokens
from chordae.learning.media_cache import Seen
from chordae.learning.nano import IMAGE_PAD, SYSTEM_PROMPTS, VIDEO_PAD, VISION_END, VISION_START, prompt_text
from chordae.learning.studies import Studies
from chordae.platform.errors import BadSettings, LearningHalted
from chordae.platform.schemas import KIND_OF, Modality
from chordae.platform.torch_libs import mend_torchvision

mend_torchvision()  # transformers imports torchvision

from transformers import DynamicCache  # noqa: E402

KEPT = 256
"""Prompts remembered: a step draws each of its own several times, once for every answer."""
_QUESTION, _PICTURE = 1, 2  # streams of random numbers of one prompt


@dataclass(frozen=True)
class Prompt:
    """A multiple-choice question about a study, its tokens up to where the answer starts, and what is seen with it."""

    mcq: Mcq
    ids: tuple[int, ...]
    seen: Seen


@dataclass(frozen=True)
class Sampling:
    """How answers are drawn: tokens at most, softmax temperature, tokens that end an answer, tokens never drawn.

    A picture's tokens must never be: the model would look for a picture that is not there.
    """

    limit: int
    temperature: float
    ends: tuple[int, ...]
    never: tuple[int, ...]


class Prompts:
    """Questions by number, with what is seen with them.

    Raises:
        BadSettings: when drawn: a prompt longer than `limit` tokens.
    """

    def __init__(self, modality: Modality, tokenizer: Any, limit: int) -> None:
        self.modality, self.tokenizer, self.limit = modality, tokenizer, limit
        self.draw = lru_cache(KEPT)(self._draw)

    def _draw(self, number: int) -> Prompt:
        raise NotImplementedError

    def prompt(self, mcq: Mcq, seen: Seen) -> Prompt:
        """A question about what is seen."""
        media = vision_tokens(seen.patches()[1], KIND_OF[self.modality] == "video")
        text = prompt_text(mcq.question, media, SYSTEM_PROMPTS[self.modality])
        ids = tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        if len(ids) > self.limit:
            raise BadSettings(
                f"a prompt has {len(ids)} tokens, more than {self.limit}",
                "raise prompt_tokens, or lower size or frames",
            )
        return Prompt(mcq, ids, seen)

    def media(self, numbers: Sequence[int], device: torch.device) -> dict[str, Tensor]:
        """Patches (P, 1176), grids (N, 3) and seconds (N,) of these prompts, under the model's names for them."""
        seen = [self.draw(number).seen for number in numbers]
        cut = [one.patches() for one in seen]
        patches = torch.from_numpy(np.concatenate([patches for patches, _ in cut])).to(device)
        grids = torch.tensor([grid for _, grid in cut], device=device)
        if KIND_OF[self.modality] == "image":
            return {"pixel_values": patches, "image_grid_thw": grids}
        seconds = torch.tensor([one.seconds for one in seen], device=device)
        return {"pixel_values_videos": patches, "video_grid_thw": grids, "second_per_grid_ts": seconds}

    def token_types(self, ids: Tensor) -> Tensor:
        """`mm_token_type_ids` of (B, L) token ids: 1 where a picture's tokens are, 2 where a video's are."""
        image, video = (self.tokenizer.convert_tokens_to_ids(token) for token in (IMAGE_PAD, VIDEO_PAD))
        types: Tensor = (ids == image).long() + 2 * (ids == video).long()
        return types

    def sampling(self, limit: int, temperature: float) -> Sampling:
        """How this model's answers are drawn."""
        picture = (VISION_START, VISION_END, IMAGE_PAD, VIDEO_PAD)
        never = tuple(self.tokenizer.convert_tokens_to_ids(token) for token in picture)
        return Sampling(limit, temperature, (self.tokenizer.eos_token_id,), never)

    def inputs(self, numbers: Sequence[int], device: torch.device) -> dict[str, Tensor]:
        """The model's inputs for these prompts, padded at the start, so that all answers begin at the same place."""
        rows = [self.draw(number).ids for number in numbers]
        length = max(map(len, rows))
        ids = torch.full((len(rows), length), self.tokenizer.pad_token_id)
        attention = torch.zeros((len(rows), length), dtype=torch.long)
        for place, row in enumerate(rows):
            ids[place, length - len(row) :] = torch.tensor(row)
            attention[place, length - len(row) :] = 1
        text = {"input_ids": ids, "attention_mask": attention, "mm_token_type_ids": self.token_types(ids)}
        return {name: value.to(device) for name, value in text.items()} | self.media(numbers, device)


class StudyPrompts(Prompts):
    """Questions on training studies, drawn evenly over topics, then findings, then studies; number i is a function
    of (seed, i)."""

    def __init__(self, studies: Studies, tokenizer: Any, seed: int, augment: bool, limit: int) -> None:
        super().__init__(studies.samples[0].modality, tokenizer, limit)
        self.studies, self.seed, self.augment = studies, seed, augment

    def _draw(self, number: int) -> Prompt:
        rng = np.random.default_rng([self.seed, number, _QUESTION])
        study, topic = self.studies.draw(rng)
        mcq = ask_mcq(self.studies.samples[study], topic, rng, among=self.studies.occurring(topic))
        varied = np.random.default_rng([self.seed, number, _PICTURE]) if self.augment else None
        return self.prompt(mcq, self.studies.seen(study, varied))


@dataclass(frozen=True)
class Sampled:
    """One answer: its token ids, the end included, and the log-probability that the model gave each of them."""

    ids: list[int]
    logprobs: list[float]


@torch.no_grad()
def sample_answers(
    model: Any, inputs: dict[str, Tensor], copies: int, sampling: Sampling, generator: torch.Generator
) -> list[Sampled]:
    """`copies` answers to each of B prompts, in order: B x copies of them.

    Pictures are encoded and prompts read once; their copies share the result, as an engine's prefix cache would.

    Args:
        model: a Qwen2.5-VL, or a Qwen2 that knows text alone.
        inputs: as `Prompts.inputs` makes them, padded at the start; text alone comes with its `position_ids`.
        copies: answers a prompt.
        sampling: how.
        generator: decides every token, on the model's device.

    Raises:
        LearningHalted: its probabilities are no numbers.
    """
    cache = DynamicCache(config=model.config)
    output = model(**inputs, past_key_values=cache, use_cache=True, logits_to_keep=1)
    cache.batch_repeat_interleave(copies)
    logits = output.logits[:, -1].repeat_interleave(copies, 0)
    attention = inputs["attention_mask"].repeat_interleave(copies, 0)
    places = _places(model, inputs["attention_mask"]).repeat_interleave(copies, 0)
    ends, never = (torch.tensor(ids, device=attention.device) for ids in (sampling.ends, sampling.never))
    answers = [Sampled([], []) for _ in range(len(logits))]
    running = torch.ones(len(logits), dtype=torch.bool, device=attention.device)
    for step in range(sampling.limit):
        logprobs = (logits.float() / sampling.temperature).log_softmax(-1)
        if not torch.isfinite(logprobs).any(-1).all():
            raise LearningHalted("the model's probabilities are no numbers any more", "lower learning_rate")
        drawn = torch.multinomial(logprobs.exp().index_fill(1, never, 0), 1, generator=generator)
        for row in running.nonzero()[:, 0].tolist():
            answers[row].ids.append(int(drawn[row, 0]))
            answers[row].logprobs.append(float(logprobs[row, drawn[row, 0]]))
        running &= ~torch.isin(drawn[:, 0], ends)
        if step + 1 == sampling.limit or not _anywhere(running):
            break
        attention = torch.cat([attention, attention.new_ones(len(attention), 1)], 1)
        output = model(
            input_ids=drawn,
            attention_mask=attention,
            position_ids=places + step if places.dim() == 2 else (places + step).transpose(0, 1),
            past_key_values=cache,
            use_cache=True,
        )
        logits = output.logits[:, -1]
    return answers


def _places(model: Any, attention: Tensor) -> Tensor:
    """Positions of the answers' first tokens: (B, 1), or (B, 3, 1) where a model has them in time, height and width."""
    places: Tensor = attention.sum(1, keepdim=True)
    if not hasattr(model.model, "rope_deltas"):
        return places
    deltas: Tensor = model.model.rope_deltas
    return (places + deltas)[:, None].expand(-1, 3, -1)


def _anywhere(running: Tensor) -> bool:
    """Whether any worker still generates: all must call a sharded model equally often."""
    some = running.any()
    if torch.distributed.is_initialized():
        some = some.int()
        torch.distributed.all_reduce(some, torch.distributed.ReduceOp.MAX)
    return bool(some)


@contextmanager
def encoded_once(model: Any, owners: Sequence[int], modality: Modality) -> Iterator[None]:
    """Within it, row i of a batch sees medium `owners[i]` of those given; each is encoded once, its rows share it.

    Gradients of all rows meet in it. Grids are still given for every row, for positions follow from them.

    Args:
        model: a Qwen2.5-VL, not wrapped.
        owners: for each row, the place of its medium among the distinct ones; every medium has a row.
        modality: says whether media are pictures or videos.
    """
    inner, name = model.model, f"get_{KIND_OF[modality]}_features"
    encode = getattr(inner, name)
    firsts = [owners.index(owner) for owner in range(max(owners) + 1)]

    def encode_distinct(patches: Tensor, grids: Tensor, **options: Any) -> Any:
        output = encode(patches, grids[firsts], **options)
        output.pooler_output = tuple(output.pooler_output[owner] for owner in owners)
        return output

    setattr(inner, name, encode_distinct)
    try:
        yield
    finally:
        delattr(inner, name)
