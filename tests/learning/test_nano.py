"""The tokenizer, the chat template, the patches and the checkpoint are what transformers takes them for."""

from pathlib import Path

import numpy as np
import pytest
import torch

from chordae.cohort.questions import corpus
from chordae.learning.nano import (
    NanoShape,
    build_model,
    build_tokenizer,
    picture_patches,
    prompt_text,
    save_checkpoint,
)


@pytest.fixture(scope="module")
def tokenizer():  # type: ignore[no-untyped-def]
    return build_tokenizer(corpus(np.random.default_rng(0), 60))


def test_every_digit_is_one_token(tokenizer) -> None:  # type: ignore[no-untyped-def]
    ids = tokenizer.encode("Rate 172 bpm")
    digits = [tokenizer.decode([token]) for token in ids if tokenizer.decode([token]).strip().isdigit()]
    assert digits == ["1", "7", "2"]


def test_text_survives_the_tokenizer(tokenizer) -> None:  # type: ignore[no-untyped-def]
    text = "Left bundle branch block (C)\n¿Qué ritmo? 心电图"
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_the_chat_template_puts_the_picture_before_the_text(tokenizer) -> None:  # type: ignore[no-untyped-def]
    for content in (
        [{"type": "text", "text": "Rhythm?"}, {"type": "image"}],
        [{"type": "image"}, {"type": "text", "text": "Rhythm?"}],
    ):
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        assert text == prompt_text("Rhythm?")
    plain = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Rhythm?"}], tokenize=False, add_generation_prompt=True
    )
    assert plain == prompt_text("Rhythm?", images=0)


def test_the_checkpoint_loads_and_its_processor_agrees_with_our_patches(
    tokenizer,
    tmp_path: Path,  # type: ignore[no-untyped-def]
) -> None:
    from PIL import Image
    from transformers import AutoProcessor, Qwen2_5_VLForConditionalGeneration

    torch.manual_seed(0)
    model = build_model(tokenizer, NanoShape(vision_depth=1, depth=1)).eval()
    save_checkpoint(model, tokenizer, tmp_path)
    processor = AutoProcessor.from_pretrained(tmp_path)
    picture = np.random.default_rng(0).integers(0, 255, (224, 336, 3), dtype=np.uint8)
    inputs = processor(text=[prompt_text("Rhythm?")], images=[Image.fromarray(picture)], return_tensors="pt")
    patches, grid = picture_patches(picture)
    assert tuple(inputs["image_grid_thw"][0].tolist()) == grid == (1, 16, 24)
    np.testing.assert_allclose(patches, inputs["pixel_values"].numpy(), atol=1e-5)
    assert int(inputs["mm_token_type_ids"].sum()) == 96
    loaded = Qwen2_5_VLForConditionalGeneration.from_pretrained(tmp_path).eval()
    assert not loaded.config.tie_word_embeddings
    with torch.inference_mode():
        torch.testing.assert_close(loaded(**inputs).logits, model(**inputs).logits)
