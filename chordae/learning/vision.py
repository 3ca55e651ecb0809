"""The vision encoder of Qwen2.5-VL, made faster for training on a CPU.

transformers calls attention once a picture and patch in time, in a Python loop: 64 calls a block for 32 videos.
Pictures of one size fit into one call. The patch filters are a convolution that never overlaps: a matrix product.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Positions = tuple[Tensor, Tensor]


@contextmanager
def batched_attention(model: Any) -> Iterator[None]:
    """While open, encoder blocks whose pictures all have the same number of patches attend in one call.

    The sums are the same but for rounding; pictures of different sizes take transformers' own way.
    """
    visual = model.model.visual
    changed = [visual.patch_embed, *(block.attn for block in visual.blocks)]
    visual.patch_embed.forward = _product(visual.patch_embed)
    for attention in changed[1:]:
        attention.forward = _batched(attention, attention.forward)
    try:
        yield
    finally:
        for module in changed:
            del module.forward


def _product(patch_embed: Any) -> Callable[[Tensor], Tensor]:
    def forward(hidden_states: Tensor) -> Tensor:
        weight = patch_embed.proj.weight
        return functional.linear(hidden_states.to(weight.dtype), weight.flatten(1))

    return forward


def _batched(attention: Any, one_by_one: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def forward(
        hidden_states: Tensor, cu_seqlens: Tensor, position_embeddings: Positions | None = None, **further: Any
    ) -> Tensor:
        lengths = cu_seqlens.diff()
        if position_embeddings is None or not bool((lengths == lengths[0]).all()):
            return one_by_one(hidden_states, cu_seqlens=cu_seqlens, position_embeddings=position_embeddings, **further)
        pictures, patches = len(lengths), int(lengths[0])
        mixed = attention.qkv(hidden_states).reshape(pictures, patches, 3, attention.num_heads, -1)
        cosine, sine = (part.reshape(1, pictures, patches, 1, -1) for part in position_embeddings)
        turned = mixed[:, :, :2].float().permute(2, 0, 1, 3, 4)  # query and key (2, B, P, heads, width)
        turned = turned * cosine + _half_turned(turned) * sine
        query, key = turned.to(mixed.dtype).transpose(2, 3)
        value = mixed[:, :, 2].transpose(1, 2)
        if hidden_states.device.type == "cpu":  # PyTorch's fused attention took a third longer here
            attended = ((query * attention.scaling) @ key.transpose(-1, -2)).softmax(-1) @ value
        else:
            attended = functional.scaled_dot_product_attention(query, key, value, scale=attention.scaling)
        projected: Tensor = attention.proj(attended.transpose(1, 2).reshape(pictures * patches, -1))
        return projected

    return forward


def _half_turned(values: Tensor) -> Tensor:
    first, second = values.chunk(2, dim=-1)
    return torch.cat((-second, first), dim=-1)
