"""A prompt that is read once gives its answers the probabilities and the gradients of one that is read with each."""

from contextlib import nullcontext

import torch
from torch import Tensor

from chordae.learning.shared_prompts import reading_once

from transformers import Qwen2Config, Qwen2ForCausalLM  # isort: skip - transformers after torchvision is mended

SHAPE = {"vocab_size": 50, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64, "tie_word_embeddings": True}


def rows() -> tuple[Tensor, Tensor]:
    """Three prompts of 9, 6 and 1 tokens with 3, 1 and 2 answers of 5 tokens at most, in no order."""
    draw = torch.Generator().manual_seed(3)
    ids, attention = torch.zeros((6, 14), dtype=torch.long), torch.zeros((6, 14), dtype=torch.long)
    prompts = {length: torch.randint(1, 50, (length,), generator=draw) for length in (9, 6, 1)}
    for row, (prompt, answer) in enumerate([(9, 5), (1, 2), (9, 1), (6, 5), (1, 5), (9, 4)]):
        ids[row, 9 - prompt : 9] = prompts[prompt]
        ids[row, 9 : 9 + answer] = torch.randint(1, 50, (answer,), generator=draw)
        attention[row, 9 - prompt : 9 + answer] = 1
    return ids, attention


def logprobs(logits: Tensor, answers: Tensor) -> Tensor:
    return logits[:, -6:-1].log_softmax(-1).gather(2, answers[..., None])[..., 0]


def test_probabilities_and_gradients_are_those_of_whole_rows() -> None:
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(Qwen2Config(**SHAPE, **HEADS)).train()
    ids, attention = rows()
    answers, said = ids[:, -5:], attention[:, -5:]
    weights = torch.linspace(-1, 1, 30).reshape(6, 5) * said
    found, gradients, reads = [], [], []
    model.model.embed_tokens.register_forward_hook(lambda module, seen, given: reads.append(seen[0].numel()))
    for shared in (False, True):
        model.zero_grad()
        if shared:
            reading = reading_once(model, model.config, ids, attention, 5, nullcontext)
            logits = reading(input_ids=ids[:, -6:], attention_mask=attention[:, -6:]).logits
        else:
            logits = model(input_ids=ids, attention_mask=attention).logits
        found.append(logprobs(logits, answers) * said)
        (found[-1] * weights).sum().backward()
        gradients.append(torch.cat([one.grad.flatten() for one in model.parameters() if one.grad is not None]))
    torch.testing.assert_close(found[1], found[0])
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-4, atol=1e-5)
    assert reads == [6 * 14, 3 * 8, 6 * 6], "of three prompts all but the last tokens, then what follows in six rows"
