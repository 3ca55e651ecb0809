"""The model that a trainer hands out computes as one that is loaded from its checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from chordae.learning.sharding import whole_model


@pytest.fixture
def no_accelerator() -> Iterator[None]:
    """A process has one number format for all of its trainers: neither an earlier one's nor this one's for others."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def test_a_model_trained_in_bfloat16_computes_in_its_own_format_once_training_is_over(no_accelerator: None) -> None:
    """Its canary probes are held against an engine that knows nothing of mixed precision."""
    torch.manual_seed(0)
    model, some = torch.nn.Linear(64, 64), torch.randn(8, 64)
    exact = model(some)
    accelerator = Accelerator(mixed_precision="bf16", cpu=True)
    prepared = accelerator.prepare_model(model)
    assert not torch.equal(prepared(some), exact), "else this shows nothing"
    found = whole_model(SimpleNamespace(accelerator=accelerator, model=prepared, is_fsdp_enabled=False))
    assert torch.equal(found(some), exact)
