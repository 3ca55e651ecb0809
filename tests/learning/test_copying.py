"""The reasoner's start: it looks back as far as it should, and finds what came next the last time before it learned."""

import torch

from chordae.learning.copying import THETA, prepare_copying
from chordae.platform.torch_libs import mend_torchvision

mend_torchvision()

from transformers import Qwen2Config, Qwen2ForCausalLM  # noqa: E402


def model(prepared: bool) -> Qwen2ForCausalLM:
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=512,
        hidden_size=224,
        intermediate_size=576,
        num_hidden_layers=2,
        num_attention_heads=7,
        num_key_value_heads=7,
        max_position_embeddings=1024,
        rope_parameters={"rope_type": "default", "rope_theta": THETA},
        tie_word_embeddings=False,
        attn_implementation="eager",
    )
    made = Qwen2ForCausalLM(config)
    if prepared:
        prepare_copying(made)
    return made.eval()


def attention(prepared: bool, layer: int) -> tuple[torch.Tensor, int]:
    """(heads, T, T) of a text of 300 random tokens followed by its first 40 once more, and its length."""
    ids = torch.randint(512, (300,), generator=torch.Generator().manual_seed(1))
    text = torch.cat([ids, ids[:40]])[None]
    with torch.no_grad():
        return model(prepared)(text, output_attentions=True).attentions[layer][0], text.shape[1]


def test_heads_of_the_first_layer_look_one_two_three_tokens_back() -> None:
    found, length = attention(True, 0)
    rows = torch.arange(10, length)
    for head in range(6):
        assert found[head, rows, rows - head - 1].mean() > 0.5, head


def test_heads_of_the_second_layer_look_at_what_came_next_the_last_time() -> None:
    rows = torch.arange(310, 339)  # of the repetition: the token after row's occurrence stands 299 tokens before
    prepared, random = (attention(one, 1)[0][:, rows, rows - 299].mean(1) for one in (True, False))
    assert prepared.max() > 0.5 and random.max() < 0.05
