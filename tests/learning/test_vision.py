"""The faster encoder tells what transformers' own does."""

import pytest
import torch

from chordae.learning.nano import build_model, build_tokenizer
from chordae.learning.run_config import NanoShape
from chordae.learning.vision import batched_attention


@pytest.mark.parametrize(
    "grid", [[[1, 8, 12]] * 3, [[2, 8, 8]] * 2, [[1, 8, 8], [1, 4, 8]]], ids=["pictures", "videos", "sizes"]
)
def test_one_call_for_all_pictures_gives_the_same_tokens_and_gradients(grid: list[list[int]]) -> None:
    torch.manual_seed(0)
    model = build_model(build_tokenizer(["Sinus rhythm"], 512), NanoShape(vision_depth=2, depth=1))
    patches = torch.randn(sum(t * h * w for t, h, w in grid), 1176)
    visual = model.model.visual

    def tokens_and_gradient() -> tuple[torch.Tensor, torch.Tensor]:
        model.zero_grad()
        tokens = visual(patches, grid_thw=torch.tensor(grid)).pooler_output
        tokens.square().sum().backward()
        return tokens.detach(), visual.blocks[0].attn.qkv.weight.grad.clone()

    expected = tokens_and_gradient()
    with batched_attention(model):
        found = tokens_and_gradient()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(tokens_and_gradient(), expected, rtol=0, atol=0)
