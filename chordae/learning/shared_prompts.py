"""Prompts read once for all answers to them, where log-probabilities are trained on as where they are only computed.

A group's answers follow one prompt, and a record's is three times as long as what is said of it: read once, most of a
step's work is gone. An engine's prefix cache does the same, without gradients.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from torch import Tensor

from chordae.platform.torch_libs import mend_torchvision

mend_torchvision()  # transformers imports torchvision

from transformers import DynamicCache  # noqa: E402


def reading_once(
    model: Any,
    config: Any,
    ids: Tensor,
    attention: Tensor,
    kept: int,
    precision: Callable[[], AbstractContextManager[Any]],
) -> Callable[..., Any]:
    """The model behind the prompts that begin `ids`: called with their last tokens and the answers, it gives what it
    would give of the whole rows, gradients included.

    Args:
        model: a causal language model of text, wrapped or not.
        config: its configuration.
        ids: (R, L) rows of a prompt, padded at the start, and an answer, padded at the end.
        attention: (R, L), 0 where padded.
        kept: tokens of the answers, at the end of every row.
        precision: under which prompts are read.
    """
    before = ids.shape[1] - kept - 1
    prompts, owners = ids[:, :before].unique(dim=0, return_inverse=True)  # type: ignore[no-untyped-call]
    shown = attention.new_zeros(prompts.shape)
    shown[owners] = attention[:, :before]
    cache = DynamicCache(config=config)
    with precision():
        model(input_ids=prompts, attention_mask=shown, past_key_values=cache, use_cache=True, logits_to_keep=1)
    cache.reorder_cache(owners)  # its gradient is summed in an order of its own; that of batch_select_indices in any
    return partial(_behind, model, cache, attention)


def _behind(model: Any, cache: Any, attention: Tensor, attention_mask: Tensor, **options: Any) -> Any:
    """The rest of the rows; what they may look at is all of them, not what the caller knows of."""
    return model(**options, attention_mask=attention, past_key_values=cache, use_cache=True)
