"""The tokenizer, the chat template and the checkpoint are what transformers takes them for."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from chordae.cohort.findings import TOPICS
from chordae.cohort.questions import corpus
from chordae.learning.batches import vision_tokens
from chordae.learning.nano import SYSTEM_PROMPTS, build_model, build_tokenizer, prompt_text, save_checkpoint
from chordae.learning.run_config import NanoShape
from chordae.learning.video_frames import video_patches
from chordae.platform.torch_libs import mend_torchvision

mend_torchvision()  # transformers imports torchvision

from transformers import AutoProcessor, Qwen2_5_VLForConditionalGeneration  # noqa: E402

SMALL = NanoShape(vision_depth=1, depth=1)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    rng = np.random.default_rng(0)
    return build_tokenizer([text for modality in SYSTEM_PROMPTS for text in corpus(modality, rng, 40)])


def test_every_digit_is_one_token(tokenizer: Any) -> None:
    ids = tokenizer.encode("Rate 172 bpm")
    digits = [tokenizer.decode([token]) for token in ids if tokenizer.decode([token]).strip().isdigit()]
    assert digits == ["1", "7", "2"]


def test_text_survives_the_tokenizer(tokenizer: Any) -> None:
    text = "Left bundle branch block (C)\n¿Qué ritmo? 心电图  2 blanks\t."
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("finding", sorted({name for topic in TOPICS for name in topic.findings}))
def test_a_finding_is_the_same_tokens_wherever_it_is_said_and_so_is_its_letter(tokenizer: Any, finding: str) -> None:
    alone = tokenizer.encode(finding)

    def within(text: str) -> bool:
        ids = tokenizer.encode(text)
        return any(ids[place : place + len(alone)] == alone for place in range(len(ids)))

    letter = tokenizer.encode("C")
    assert len(letter) == 1
    for text in (f"C. {finding}\n", f"C) {finding}\n", f"A (B), {finding} (C)", f"{finding} (C)"):
        assert within(text), text
        assert letter[0] in tokenizer.encode(text), text


@pytest.mark.parametrize("modality", ["ecg", "echo", "cmr"])
def test_the_chat_template_puts_media_before_the_text_and_names_the_expert(
    tokenizer: Any, modality: Any, tmp_path: Path
) -> None:
    kind = "image" if modality == "ecg" else "video"
    torch.manual_seed(0)
    save_checkpoint(
        build_model(tokenizer, SMALL), tokenizer, tmp_path, modality, (112, 112), 1 if kind == "image" else 4
    )
    stored = AutoProcessor.from_pretrained(tmp_path).tokenizer
    media = f"<|vision_start|><|{kind}_pad|><|vision_end|>"
    for content in (
        [{"type": "text", "text": "Rhythm?"}, {"type": kind}],
        [{"type": kind}, {"type": "text", "text": "Rhythm?"}],
    ):
        text = stored.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        assert text == prompt_text("Rhythm?", media, SYSTEM_PROMPTS[modality])
    plain = stored.apply_chat_template(
        [{"role": "user", "content": "Rhythm?"}], tokenize=False, add_generation_prompt=True
    )
    assert plain == prompt_text("Rhythm?", system=SYSTEM_PROMPTS[modality])


def test_a_picture_checkpoint_loads_and_its_processor_agrees_with_our_patches(tokenizer: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = build_model(tokenizer, SMALL).eval()
    save_checkpoint(model, tokenizer, tmp_path, "ecg", (336, 224))
    processor = AutoProcessor.from_pretrained(tmp_path)
    picture = np.random.default_rng(0).integers(0, 255, (224, 336, 3), dtype=np.uint8)
    prompt = prompt_text("Rhythm?", "<|vision_start|><|image_pad|><|vision_end|>")
    inputs = processor(text=[prompt], images=[Image.fromarray(picture)], return_tensors="pt")
    patches, grid = video_patches(picture[None])
    assert tuple(inputs["image_grid_thw"][0].tolist()) == grid == (1, 16, 24)
    np.testing.assert_allclose(patches, inputs["pixel_values"].numpy(), atol=1e-5)
    assert tokenizer.decode(inputs["input_ids"][0]) == prompt_text("Rhythm?", vision_tokens(grid, video=False))
    loaded = Qwen2_5_VLForConditionalGeneration.from_pretrained(tmp_path).eval()
    assert not loaded.config.tie_word_embeddings
    with torch.inference_mode():
        torch.testing.assert_close(loaded(**inputs).logits, model(**inputs).logits)
