"""A tiny CMR expert that answers every question with a letter, any of A to D: random weights, then 70 steps of that."""

from pathlib import Path

import numpy as np
import torch

from chordae.cohort.questions import corpus
from chordae.learning.media_cache import View
from chordae.learning.nano import build_model, build_tokenizer, save_checkpoint
from chordae.learning.rollout import StudyPrompts
from chordae.learning.run_config import NanoShape
from chordae.learning.studies import Studies, load_samples

SHAPE = NanoShape(
    vision_depth=1, vision_width=64, vision_heads=2, vision_mlp=64, depth=2, width=64, heads=2, mlp=128, context=512
)
SIZE, FRAMES = (56, 56), 4


def make_letter_guesser(directory: Path, dataset: Path) -> Path:
    """Its checkpoint; it has seen the questions of that dataset."""
    tokenizer = build_tokenizer(corpus("cmr", np.random.default_rng(0), 20), 512)
    torch.manual_seed(0)
    model = build_model(tokenizer, SHAPE)
    studies = Studies(load_samples([dataset], "cmr"), View("cmr", SIZE, FRAMES), 0.05)
    prompts = StudyPrompts(studies, tokenizer, 7, True, 400)
    optimiser, rng = torch.optim.AdamW(model.parameters(), 5e-3), np.random.default_rng(0)
    for step in range(70):
        inputs = prompts.inputs(range(1000 + 8 * step, 1008 + 8 * step), torch.device("cpu"))
        letters = [[tokenizer.convert_tokens_to_ids("ABCD"[rng.integers(4)]), tokenizer.eos_token_id] for _ in range(8)]
        said = torch.tensor(letters)
        ids = torch.cat([inputs["input_ids"], said], 1)
        inputs |= {
            "input_ids": ids,
            "attention_mask": torch.cat([inputs["attention_mask"], torch.ones_like(said)], 1),
            "mm_token_type_ids": prompts.token_types(ids),
        }
        logits = model(**inputs, logits_to_keep=3).logits[:, :-1]
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), said.flatten()).backward()
        optimiser.step()
    save_checkpoint(model, tokenizer, directory, "cmr", SIZE, FRAMES)
    return directory
