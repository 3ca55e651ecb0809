"""A text model's start: where the next word of a copy is near.

A chain of diagnosis copies: a value digit by digit, a finding word by word. From random weights, and from the experts'
start (`nano.prepare_lookup`), 1000 steps taught the first digit of a value and hardly a second one; from this one 40
small steps did (docs/LOG.md). It is the induction head of Olsson et al. (arXiv:2209.11895) written down, over several
words instead of one, in the manner of mimetic initialisation (Trockman and Kolter, ICML 2023). All of it is learned on.

The residual stream is as many blocks as there are heads. Embeddings begin in the first block. Heads of the first layer
look 1, 2, 3, ... tokens back, and copy what is there into a block each. Heads of the second layer compare: this token
with what stood one before a place, the token before with what stood two before it, and so on; where all agree, the
place holds what came next the last time. Compared are slow pairs of RoPE alone, which distance hardly turns: hence
`THETA`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch

THETA = 1e6
"""RoPE's base: with 10 thousand, four pairs of 16 would be slow over the length of a record."""
COPIED = 0.14
"""Of value and output weights of the first layer: what is copied is as long as what it is copied from."""
SHARP = 5.5
"""Of the biases that make a head look back."""
LIKENESS = 1.4
"""Of query and key weights of the second layer."""
FETCHED = 0.3
"""Of value and output weights there."""
WORDS = (2, 3, 4, 5, 6, 6, 3)
"""How many tokens each head of the second layer compares."""
QUIET = 0.1
"""Of the first layer's feed-forward output, which would cover what was copied."""


def prepare_copying(model: Any) -> None:
    """Start a freshly initialised `Qwen2ForCausalLM` there; draws from torch's global generator.

    Args:
        model: as many key and value heads as heads, biases of query and key, untied embeddings.
    """
    language = model.model
    width, heads = language.config.hidden_size, language.config.num_attention_heads
    depth = width // heads
    basis = torch.linalg.qr(torch.randn(width, width))[0]
    blocks = [basis[place * depth : (place + 1) * depth] for place in range(heads)]
    with torch.no_grad():
        embeddings = language.embed_tokens.weight
        size = language.config.initializer_range * heads**0.5
        embeddings.copy_(torch.randn(len(embeddings), depth) * size @ blocks[0])
        _look_back(language.layers[0], blocks, language.config.rope_parameters["rope_theta"])
        _compare(language.layers[1].self_attn, blocks)


def _look_back(layer: Any, blocks: list[torch.Tensor], theta: float) -> None:
    """Head h copies the embedding of h + 1 tokens before into block h + 1; the last head starts anywhere."""
    depth, attention = len(blocks[0]), layer.self_attn
    frequency = theta ** (-torch.arange(depth // 2) / (depth // 2))
    level = torch.full((depth // 2,), SHARP)
    for head, block in enumerate(blocks[1:]):
        rows, back = slice(head * depth, (head + 1) * depth), head + 1
        attention.v_proj.weight[rows] = COPIED * blocks[0]
        attention.o_proj.weight[:, rows] = COPIED * block.T
        attention.k_proj.bias[rows] = torch.cat([level, torch.zeros(depth // 2)])
        # RoPE turns a pair by position times frequency: the product is largest `back` tokens before
        attention.q_proj.bias[rows] = torch.cat([level * (frequency * back).cos(), -level * (frequency * back).sin()])
    layer.mlp.down_proj.weight.mul_(QUIET)


def _compare(attention: Any, blocks: list[torch.Tensor]) -> None:
    """Scores add up over the words compared, each along directions of its own."""
    depth, width = blocks[0].shape
    half = depth // 2
    slow = [*range(half // 2, half), *range(half + half // 2, depth)]
    for head, words in enumerate(WORDS[: len(blocks)]):
        rows = slice(head * depth, (head + 1) * depth)
        query, key = torch.zeros(depth, width), torch.zeros(depth, width)
        for before, (here, there) in enumerate(pairwise(blocks)):
            if before < words:
                along = torch.linalg.qr(torch.randn(depth, len(slow)))[0].T
                query[slow] += LIKENESS * along @ here
                key[slow] += LIKENESS * along @ there
        attention.q_proj.weight[rows] += query
        attention.k_proj.weight[rows] += key
        attention.v_proj.weight[rows] = FETCHED * blocks[0]
        attention.o_proj.weight[:, rows] = FETCHED * blocks[head].T
