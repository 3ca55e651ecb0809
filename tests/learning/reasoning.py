"""Made-up cases, and a tiny reasoner that answers at random: random weights, then some steps of that."""

from pathlib import Path

import numpy as np
import torch
from invented import truth

from chordae.cohort.dataset import write_rows
from chordae.cohort.record_cases import CASES, Case, Reading, read_study
from chordae.cohort.sites import load_site
from chordae.learning.batches import Row, pad_rows, tokenised
from chordae.learning.nano import build_tokenizer
from chordae.learning.reasoner import build_model, pieces, save_checkpoint
from chordae.learning.reasoner_lessons import lesson_texts
from chordae.learning.run_config import NanoShape
from chordae.platform.diagnosis.category import CATEGORIES
from chordae.platform.diagnosis.prompts import messages

SHAPE = NanoShape(depth=2, width=64, heads=2, mlp=128, context=1024)


def made_up_cases(count: int, seed: int) -> list[Case]:
    """As many of each category, more or less."""
    rng, site = np.random.default_rng(seed), load_site("university")
    reading = Reading()
    drawn = [read_study(truth(rng, CATEGORIES[place % 8]), site, reading, rng) for place in range(count)]
    return [case.model_copy(update={"patient": f"made-up-{seed}-{place}"}) for place, case in enumerate(drawn)]


def make_case_dataset(directory: Path, count: int, seed: int) -> Path:
    """A directory with made-up cases."""
    directory.mkdir(parents=True)
    write_rows(directory / CASES, made_up_cases(count, seed))
    return directory


def make_guesser(directory: Path, cases: list[Case], steps: int = 60) -> Path:
    """A checkpoint that answers any category, without a thought."""
    rng = np.random.default_rng(0)
    tokenizer = build_tokenizer(lesson_texts(cases, rng, 40), 1024)
    torch.manual_seed(0)
    model = build_model(tokenizer, SHAPE)
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3)
    for _ in range(steps):
        rows = []
        for place in rng.integers(len(cases), size=8).tolist():
            said = f"<answer>{CATEGORIES[int(rng.integers(8))]}</answer>"
            talk = [*messages(cases[place].record, "en")[1:], {"role": "assistant", "content": said}]
            rows.append(Row(*tokenised(tokenizer, pieces(talk))))
        batch = pad_rows(rows, tokenizer)
        del batch["mm_token_type_ids"]
        optimiser.zero_grad()
        model(**batch).loss.backward()
        optimiser.step()
    save_checkpoint(model, tokenizer, directory)
    return directory
