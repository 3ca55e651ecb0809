"""Stage 1: the encoder and its projector learn to see while the language model stays as it is."""

import io
import time
from pathlib import Path
from typing import Any

import torch

from chordae.learning import checkpoint
from chordae.learning.encoder import train_encoder
from chordae.learning.language import last_whole_step, train_language
from chordae.learning.launch import Session
from chordae.learning.sft import summary, tokenizer_for
from chordae.learning.tracking_callback import tell
from chordae.platform.files import write_atomically


def run(session: Session) -> tuple[Any, Any, dict[str, Any]]:
    """Train; returns the model, its tokenizer and figures for the manifest."""
    config = session.config
    model, tokenizer = checkpoint.begin(config, tokenizer_for(config))
    model.to(session.device)
    studies = session.studies()
    session.say(f"{len(studies.training)} studies to train on, {len(studies.validation)} to judge by")
    if config.objective == "reports":
        losses = session.losses(last_whole_step(session.work))
        whole = train_language(model, tokenizer, config, studies, session.work, losses, session.say)
        return whole, tokenizer, summary(session.work)
    path = session.work / "encoder.pt"
    state = torch.load(path, map_location=session.device) if path.is_file() else None
    losses, started = session.losses(state["step"] if state else 0), time.monotonic()

    def progress(step: int, values: dict[str, float]) -> None:
        if losses is not None:
            losses.add(step, values)
        tell(session.say, step, config.steps, values, started)

    def keep(step: int, kept: dict[str, Any]) -> None:
        if losses is not None:
            _store(kept, path)
            losses.flush(step)

    # Every worker trains the same encoder on the same studies: at this size that is cheaper than sharing gradients.
    judged = train_encoder(model, studies, config, progress, state, keep)
    if losses is not None:
        losses.flush(config.steps)
    session.say(f"validation: {judged}")
    return model, tokenizer, summary(session.work) | {"validation": judged}


def _store(state: Any, path: Path) -> None:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(path, buffer.getvalue())
