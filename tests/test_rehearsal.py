"""The full-size rehearsal on a shape of a few layers: the same path, the real engine."""

import asyncio
import math
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.rehearsal import TEXT, VISION, config_of, rehearse, shapes_of, write_random
from chordae.platform.tensors import read_headers

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

SMALL = {
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "layer_types": ["full_attention"] * 2,
    "rope_parameters": {"mrope_section": [8, 12, 12], "rope_theta": 10_000.0, "rope_type": "default"},
    "vocab_size": 1280,
}
SMALL_VISION = {
    "depth": 2,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_heads": 2,
    "out_hidden_size": 128,
    "fullatt_block_indexes": [1],
}


def test_a_swapped_engine_says_what_a_fresh_one_says(tmp_path: Path) -> None:
    found = asyncio.run(rehearse(tmp_path, TEXT | SMALL, VISION | SMALL_VISION))
    assert found.same
    assert found.first.ids != found.swapped.ids
    assert not replace(found, swapped=found.first).same, "an engine that has not changed is found out"
    assert not replace(found, first=found.fresh).same, "and sets that say the same show nothing"
    assert found.peak_bytes > 2**28 and min(found.load_s, found.swap_s, found.fresh_s) > 0
    assert found.swap_s < found.fresh_s


def test_weights_are_tied_and_in_bfloat16(tmp_path: Path) -> None:
    count = write_random(tmp_path / "m", 0, TEXT | SMALL, VISION | SMALL_VISION)
    headers = read_headers(tmp_path / "m")
    assert "lm_head.weight" not in headers and "model.embed_tokens.weight" in headers
    assert {one.dtype for one in headers.values()} == {"BF16"}
    assert count == sum(math.prod(one.shape) for one in headers.values())


def test_the_full_shape_has_the_public_models_3_75_billion_parameters() -> None:
    assert sum(map(math.prod, shapes_of(config_of(TEXT, VISION)).values())) == 3_754_622_976
