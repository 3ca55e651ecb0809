"""Stage 2: the whole model learns to answer. Without a start and datasets: a language model that all experts share."""

from pathlib import Path
from typing import Any

import numpy as np

from chordae.cohort.questions import corpus
from chordae.learning import checkpoint
from chordae.learning.language import last_whole_step, train_language
from chordae.learning.launch import Session
from chordae.learning.nano import SYSTEM_PROMPTS, build_tokenizer
from chordae.learning.reasoner_lessons import lesson_texts, open_cases
from chordae.learning.run_config import Run
from chordae.learning.tracking import LOSSES, read_losses

TOKENIZER_ROUNDS = 700
"""Conversations of each kind and modality that a new tokenizer is made of."""
LAST = 20
"""Steps at the end whose mean loss is reported."""


def run(session: Session) -> tuple[Any, Any, dict[str, Any]]:
    """Train; returns the model, its tokenizer and figures for the manifest."""
    config = session.config
    model, tokenizer = checkpoint.begin(config, tokenizer_for(config))
    model.to(session.device)
    size = sum(parameter.numel() for parameter in model.parameters())
    session.say(f"{size / 1e6:.2f} M parameters, {len(tokenizer)} tokens, on {session.device}")
    studies = session.studies() if config.datasets else None
    losses = session.losses(last_whole_step(session.work))
    whole = train_language(model, tokenizer, config, studies, session.work, losses, session.say, session.foreign())
    if losses is not None:
        losses.flush(config.steps)
    return whole, tokenizer, summary(session.work)


def tokenizer_for(config: Run) -> Any:
    """A new tokenizer of all modalities' words, or none where the run takes one over."""
    if config.start or config.language:
        return None
    rng = np.random.default_rng(config.seed)
    if config.cases:
        return build_tokenizer(lesson_texts(open_cases(config.cases), rng, TOKENIZER_ROUNDS), config.vocabulary)
    texts = [text for modality in SYSTEM_PROMPTS for text in corpus(modality, rng, TOKENIZER_ROUNDS)]
    texts += [f"system\n{prompt}" for prompt in SYSTEM_PROMPTS.values()]
    return build_tokenizer(texts, config.vocabulary)


def summary(work: Path) -> dict[str, Any]:
    """Steps made and the mean of each figure over the last of them."""
    lines = read_losses(work / LOSSES)
    if not lines:
        return {}
    names = [name for name in lines[-1] if name != "step"]
    means = {name: float(np.mean([line[name] for line in lines[-LAST:] if name in line])) for name in names}
    return {"steps": int(lines[-1]["step"])} | {name: round(value, 5) for name, value in means.items()}
