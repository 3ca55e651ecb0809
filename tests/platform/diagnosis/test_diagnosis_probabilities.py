"""Probabilities of categories: the distribution of a decoder that may write nothing but a category's name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chordae.platform.diagnosis.category import CATEGORIES, category_name
from chordae.platform.diagnosis.probabilities import branchings, endings, probabilities


class Letters:
    """A tokenizer: one token a character, but for some pieces that it knows."""

    def __init__(self, *pieces: str) -> None:
        self.pieces = pieces

    def __call__(self, text: str, add_special_tokens: bool = True) -> dict[str, list[int]]:
        ids = []
        while text:
            piece = next((one for one in self.pieces if text.startswith(one)), text[0])
            ids.append(ord(piece) if len(piece) == 1 else 10**6 + self.pieces.index(piece))
            text = text[len(piece) :]
        return {"input_ids": ids}


class Model:
    """Any fixed distribution over next tokens; notes what it was asked."""

    def __init__(self, seed: int) -> None:
        self.seed, self.asked = seed, list[tuple[int, ...]]()

    async def next_logprobs(self, prompt_ids: Sequence[int], among: Sequence[int]) -> list[float]:
        self.asked.append(tuple(prompt_ids))
        return [self.logprob(prompt_ids, token) for token in among]

    def logprob(self, prompt_ids: Sequence[int], token: int) -> float:
        return float(np.random.default_rng([self.seed, *prompt_ids, token]).normal(-8, 3))


def by_brute_force(model: Model, prompt: Sequence[int], paths: Sequence[Sequence[int]]) -> list[float]:
    """Token by token over all eight, each step's softmax over whatever some category would allow there."""
    found = []
    for path in paths:
        share = 1.0
        for end, token in enumerate(path):
            allowed = {other[end] for other in paths if other[:end] == path[:end]}
            weights = {one: math.exp(model.logprob([*prompt, *path[:end]], one)) for one in allowed}
            share *= weights[token] / sum(weights.values())
        found.append(share)
    return found


@given(seed=st.integers(0, 10**6), prompt=st.lists(st.integers(0, 9), max_size=5))
async def test_it_is_the_restricted_decoders_distribution(seed: int, prompt: list[int]) -> None:
    model, tokenizer = Model(seed), Letters()
    whole = [*prompt, *tokenizer("<answer>")["input_ids"]]
    for language in ("en", "zh"):
        found = await probabilities(model, whole, tokenizer, language)  # type: ignore[arg-type]
        assert sum(found) == pytest.approx(1)
        expected = by_brute_force(model, whole, endings(tokenizer, language)[1])  # type: ignore[arg-type]
        np.testing.assert_allclose(found, expected, rtol=1e-9)


async def test_where_first_tokens_differ_one_pass_is_enough() -> None:
    model, tokenizer = Model(1), Letters("myocardial infarction", "myocarditis")
    await probabilities(model, tokenizer("<answer>")["input_ids"], tokenizer, "en")
    assert len(model.asked) == 1


async def test_where_names_begin_alike_each_place_is_asked_once() -> None:
    model, tokenizer = Model(1), Letters("myocardi")
    await probabilities(model, tokenizer("<answer>")["input_ids"], tokenizer, "en")
    assert len(model.asked) == len(set(model.asked)) == 2


async def test_a_bracket_that_melts_into_the_name_is_written_as_the_tokenizer_writes_it() -> None:
    """Byte-pair encodings may merge the end of the tag with the beginning of a name."""
    tokenizer = Letters("<answer", ">normal", ">LV")
    dropped, paths = endings(tokenizer, "en")
    assert dropped == (ord(">"),)
    for category, path in zip(CATEGORIES, paths, strict=True):
        whole = tokenizer(f"<answer>{category_name(category, 'en')}</answer>")["input_ids"]
        assert [*tokenizer("<answer")["input_ids"], *path] == whole
    model = Model(2)
    found = await probabilities(model, tokenizer("x<answer>")["input_ids"], tokenizer, "en")
    assert sum(found) == pytest.approx(1)
    assert min(model.asked, key=len) == tuple(tokenizer("x<answer")["input_ids"])


async def test_a_prompt_that_ends_elsewhere_is_refused() -> None:
    tokenizer: Any = Letters("<answer", ">normal")
    with pytest.raises(ValueError, match="does not end with <answer>"):
        await probabilities(Model(1), [1, 2, 3], tokenizer, "en")


def test_a_name_that_begins_another_is_told_apart_by_its_end() -> None:
    assert branchings([(1, 9), (1, 2, 9)]) == {(1,): (2, 9)}
