"""Canary probes are what the weights write, one token after the other, and other weights write something else."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.perturbed import copied, perturbed
from chordae.learning import checkpoint
from chordae.learning.canary_probes import CLOSE, PROBES, TOKENS, write_probes
from chordae.platform.canaries import Canaries, media_of, read_canaries
from chordae.platform.diagnosis.probabilities import OPEN

MODELS = Path("models")


def probes_of(directory: Path) -> Canaries:
    found = read_canaries(directory)
    assert found is not None
    return found


def one_by_one(model: Any, prompt: tuple[int, ...], count: int) -> tuple[list[int], list[float], list[float]]:
    """Tokens, log-probabilities and leads, each from a reading of all that is before, without a cache."""
    ids, logprobs, leads = list(prompt), [], []
    for _ in range(count):
        with torch.no_grad():
            likeliest, tokens = model(input_ids=torch.tensor([ids])).logits[0, -1].log_softmax(-1).topk(2)
        ids.append(int(tokens[0]))
        logprobs.append(float(likeliest[0]))
        leads.append(float(likeliest[0] - likeliest[1]))
    return ids[len(prompt) :], logprobs, leads


def test_a_reasoners_probes_are_its_own_words_after_the_opening_of_an_answer(tmp_path: Path) -> None:
    directory = copied(MODELS / "cmr-r-nano", tmp_path / "copy")
    (directory / "canaries.json").unlink()
    assert checkpoint.add_probes(directory) == PROBES
    found = probes_of(directory)
    assert found.computed_by == "transformers, float32"
    model, tokenizer = checkpoint.load_model(directory).eval(), checkpoint.load_tokenizer(directory)
    for probe in found.probes:
        assert probe.prompt_ids is not None and tokenizer.decode(probe.prompt_ids).endswith(OPEN)
        assert 0 < len(probe.token_ids) <= TOKENS
        ids, logprobs, leads = one_by_one(model, probe.prompt_ids, len(probe.token_ids))
        assert tuple(ids) == probe.token_ids
        np.testing.assert_allclose(probe.logprobs, logprobs, atol=1e-4)
        assert min(leads) > CLOSE - 1e-3, "number formats must not decide"


@pytest.mark.parametrize("name", ["ecg-nano", "echo-nano", "cmr-nano", "cmr-r-nano"])
def test_what_is_shipped_is_what_the_command_computes(name: str, tmp_path: Path) -> None:
    directory = copied(MODELS / name, tmp_path / name)
    checkpoint.add_probes(directory)
    for new, old in zip(probes_of(directory).probes, probes_of(MODELS / name).probes, strict=True):
        assert (new.token_ids, new.prompt_ids, new.request) == (old.token_ids, old.prompt_ids, old.request)
        np.testing.assert_allclose(new.logprobs, old.logprobs, atol=1e-3)
        for url in media_of(new.request) if new.request else ():
            assert (MODELS / name / url).is_file()


@pytest.mark.parametrize(("vision", "language"), [(True, False), (False, True)])
def test_other_weights_of_either_part_do_not_pass(vision: bool, language: bool, tmp_path: Path) -> None:
    """Further apart than what serving tolerates in float32."""
    first = probes_of(MODELS / "ecg-nano").probes
    moved = perturbed(MODELS / "ecg-nano", tmp_path / "moved", seed=2, vision=vision, language=language)
    checkpoint.add_probes(moved)
    told = {json.dumps(probe.request): probe for probe in probes_of(moved).probes}
    for probe in first:
        other = told.get(json.dumps(probe.request))
        same = other is not None and other.token_ids == probe.token_ids
        if not same or np.abs(np.subtract(other.logprobs, probe.logprobs)).max() > 1e-3:  # type: ignore[union-attr]
            return
    raise AssertionError("these probes cannot tell the versions apart")


def test_media_that_no_probe_names_are_not_kept(tmp_path: Path) -> None:
    directory = copied(MODELS / "ecg-nano", tmp_path / "copy")
    (directory / "canaries").mkdir(exist_ok=True)
    (directory / "canaries" / "9.png").write_bytes(b"of an earlier version")
    checkpoint.add_probes(directory)
    named = {url for probe in probes_of(directory).probes for url in media_of(probe.request or {})}
    assert {f"canaries/{file.name}" for file in (directory / "canaries").iterdir()} == named


def test_a_language_that_sees_nothing_has_none(tmp_path: Path) -> None:
    shutil.copy(MODELS / "ecg-nano" / "config.json", tmp_path / "config.json")
    assert write_probes(None, None, {"name": "language"}, tmp_path) == 0
    assert read_canaries(tmp_path) is None
