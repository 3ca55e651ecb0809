"""Canary probes of a checkpoint: what the trainer's own weights write after fixed prompts, computed with its own code.

Whoever serves the weights asks the same (`platform/canaries`). Records and pictures are simulated, never a patient's.
Of all that can be asked the model is held to what it is least certain of: an answer that every version gives, and gives
with certainty, tells no version from another.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from chordae.cohort.questions import ask_open, askable
from chordae.cohort.record_cases import Reading, draw_case
from chordae.cohort.sites import load_site
from chordae.learning.answering import media_row, padded_inputs
from chordae.learning.batches import Row
from chordae.learning.datasets import Members, prepare_patient
from chordae.learning.media_cache import View
from chordae.learning.nano import END
from chordae.learning.reasoner import prompt_ids
from chordae.platform.canaries import CanaryProbe, media_of, write_canaries
from chordae.platform.diagnosis.probabilities import OPEN
from chordae.platform.diagnosis.prompts import messages
from chordae.platform.picture import fit_picture
from chordae.platform.schemas import KIND_OF
from chordae.platform.weights import CANARIES

PROBES, TOKENS = 4, 16
"""Kept, and of each one's answer at most: they are asked while nobody is answered."""
CLOSE = 0.2
"""Nats between the likeliest token and the next. Where they are closer, number formats decide; a probe ends before."""
SITE, SEED = "university", 20261123
RECORDS, PATIENTS = 24, 2


def write_probes(model: Any, tokenizer: Any, manifest: Mapping[str, Any], checkpoint: Path) -> int:
    """Ask `model`, whose weights lie in `checkpoint`, and keep what it says beside them.

    Args:
        model: the trainer's, on its device and in its number format.
        tokenizer: its own.
        manifest: `kind`, `modality` and `seen` say what it can be asked.
        checkpoint: a directory of ours; its `canaries.json` is replaced.

    Returns:
        How many probes; none where every answer is too close a call from its first token on, or where the model is a
        language alone, which nobody serves.
    """
    if manifest.get("kind") != "reasoner" and "seen" not in manifest:
        return 0
    training = model.training
    model.eval()
    with tempfile.TemporaryDirectory() as scratch:
        if manifest.get("kind") == "reasoner":
            asked = _about_records(tokenizer)
        else:
            asked = _about_pictures(tokenizer, manifest, Path(scratch), checkpoint)
        found = [probe for told, row in asked if (probe := _probe(model, tokenizer, told, row)) is not None]
    model.train(training)
    telling = sorted(found, key=lambda probe: sum(probe.logprobs))[:PROBES]
    used = {checkpoint / url for probe in telling if probe.request is not None for url in media_of(probe.request)}
    if telling:
        write_canaries(checkpoint, telling, f"transformers, {str(model.dtype).removeprefix('torch.')}")
    else:
        (checkpoint / CANARIES).unlink(missing_ok=True)
    for file in set((checkpoint / "canaries").glob("*")) - used:  # last: no probe names them any more
        file.unlink()
    return len(telling)


def _about_records(tokenizer: Any) -> Iterator[tuple[dict[str, Any], Row]]:
    """The category at once, as its probabilities are read: a chain begins with what every version writes."""
    site, opening = load_site(SITE), tokenizer(OPEN, add_special_tokens=False)["input_ids"]
    for number in range(1, RECORDS + 1):
        case = draw_case(site, SEED, number, Reading())
        ids = [*prompt_ids(tokenizer, messages(case.record, "en")), *opening]
        yield {"prompt_ids": ids}, Row(ids, [])


def _about_pictures(
    tokenizer: Any, manifest: Mapping[str, Any], scratch: Path, checkpoint: Path
) -> Iterator[tuple[dict[str, Any], Row]]:
    """Every topic of some patients; the media lie below the checkpoint then, as the platform shows them."""
    seen, modality = manifest["seen"], manifest["modality"]
    view, kind = View(modality, tuple(seen["size"]), seen["frames"]), KIND_OF[modality]
    (checkpoint / "canaries").mkdir(exist_ok=True)
    site, members = load_site(SITE), Members(site=SITE, patients=PATIENTS, seed=SEED)
    numbers = range(1, PATIENTS + 1)
    samples = [one for number in numbers for one in prepare_patient(site, members, number, (modality,), False, scratch)]
    for number, sample in enumerate(samples, 1):
        media = scratch / sample.media
        if kind == "image":
            picture = np.asarray(cv2.imread(str(media), cv2.IMREAD_COLOR), np.uint8)
            cv2.imwrite(str(media), fit_picture(picture, view.size))
        # by its content: a probe that somebody has in memory never finds another picture under its name
        file = checkpoint / "canaries" / f"{hashlib.sha256(media.read_bytes()).hexdigest()[:16]}{media.suffix}"
        shutil.copyfile(media, file)
        rng = np.random.default_rng(SEED + number)
        for question in [ask_open(sample, topic, rng).question for topic in askable(sample)]:
            part = {"type": f"{kind}_url", f"{kind}_url": {"url": f"canaries/{file.name}"}}
            content = [part, {"type": "text", "text": question}]
            told = {"request": {"messages": [{"role": "user", "content": content}]}}
            yield told, media_row(tokenizer, view, question, file)


def _probe(model: Any, tokenizer: Any, told: dict[str, Any], row: Row) -> CanaryProbe | None:
    inputs = {name: one.to(model.device) for name, one in padded_inputs([row], tokenizer).items()}
    if "prompt_ids" in told:
        inputs = {name: one for name, one in inputs.items() if name in ("input_ids", "attention_mask")}
    with torch.inference_mode():
        written = model.generate(
            **inputs,
            do_sample=False,
            max_new_tokens=TOKENS,
            eos_token_id=tokenizer.convert_tokens_to_ids(END),
            pad_token_id=tokenizer.pad_token_id,
            output_logits=True,
            return_dict_in_generate=True,
        )
    likeliest, ids = torch.stack(written.logits, 1)[0].float().log_softmax(-1).topk(2)
    clear = likeliest[:, 0] - likeliest[:, 1] > CLOSE
    count = len(clear) if bool(clear.all()) else int(clear.int().argmin())
    if not count:
        return None
    logprobs = [min(float(one), 0.0) for one in likeliest[:count, 0]]
    return CanaryProbe(**told, token_ids=ids[:count, 0].tolist(), logprobs=logprobs)
