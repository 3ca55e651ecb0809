"""Look-ups in lists of random words: only what the list tells is learned, and the list is always right."""

import re

import numpy as np
import pytest

from chordae.learning.batches import IGNORED, encode_lookup
from chordae.learning.lookup import lookup
from chordae.learning.nano import build_tokenizer


@pytest.mark.parametrize("seed", range(8))
def test_what_is_learned_stands_in_the_list(seed: int) -> None:
    question, answer = lookup(np.random.default_rng(seed))
    listed = dict(re.findall(r"^([A-F])[.)] (.+)$", question, flags=re.MULTILINE))
    assert 3 <= len(listed) == len(set(listed.values())) <= 6
    for (before, told_before), (told, learned), (_, told_after) in zip(
        answer[::3], answer[1::3], answer[2::3], strict=True
    ):
        assert (told_before, learned, told_after) == (False, True, False)
        if told in listed:
            assert before == f"{listed[told]} ("
        else:
            assert told == listed[before[0]]


def test_a_row_learns_those_pieces_alone() -> None:
    rng = np.random.default_rng(0)
    question, answer = lookup(np.random.default_rng(3))
    tokenizer = build_tokenizer([question, "".join(text for text, _ in answer)] * 3 + [lookup(rng)[0]], 600)
    row = encode_lookup(tokenizer, "cmr", np.random.default_rng(3))
    learned = tokenizer.decode([token for token in row.labels if token != IGNORED])
    assert learned == "".join(text for text, told in answer if told)
    assert tokenizer.decode(row.ids).endswith("".join(text for text, _ in answer))
