"""A Qwen2.5-VL of a few million parameters: tokenizer, configuration, checkpoint directory.

The architecture is Qwen2.5-VL's, so that transformers and vLLM load the directory like any larger checkpoint. Three
choices differ, each for a reason: every vision block attends to the whole picture (windows are a Python loop on CPU),
embeddings are untied (an in-place reload of tied ones keeps the old output weights on CPU), and the tokenizer is
trained on the project's own sentences, one token per digit.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from chordae.learning.run_config import NanoShape
from chordae.platform.schemas import Modality
from chordae.platform.torch_libs import mend_torchvision

mend_torchvision()  # transformers imports torchvision

from transformers import (  # noqa: E402
    GenerationConfig,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
)

PATCH, MERGE, TEMPORAL = 14, 2, 2
# Normalisation of OpenAI's CLIP, which Qwen2-VL's image processor applies.
MEAN = np.array([0.48145466, 0.4578275, 0.40821073], dtype=np.float32)
STD = np.array([0.26862954, 0.26130258, 0.27577711], dtype=np.float32)

SYSTEM_PROMPTS: dict[Modality, str] = {
    "ecg": "You are an ECG expert.",
    "echo": "You are an echocardiography expert.",
    "cmr": "You are a cardiac MRI expert.",
}
SYSTEM_PROMPT = SYSTEM_PROMPTS["ecg"]
PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
VISION_START, VISION_END = "<|vision_start|>", "<|vision_end|>"
IMAGE_PAD, VIDEO_PAD = "<|image_pad|>", "<|video_pad|>"
SPECIAL_TOKENS = (PAD, START, END, VISION_START, VISION_END, IMAGE_PAD, VIDEO_PAD)

# Letters in runs, every digit alone, as Qwen2 splits; but a blank goes with the word after it only between words, else
# with the mark before it. So a finding is the same tokens at the start of an answer, after "A. " and after "), ", and a
# letter the same in "A." and "(A)": with Qwen2's own rule (" Left" and "Left", "(A" and "A") options were not matched.
SPLIT = r"(?<=[\p{L}\p{N}]) \p{L}+|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+ ?|\s*[\r\n]+|\s+"

BACK = (1, 2, 3, 4, 5, 6)
"""How many tokens the first block's heads look back at first; further heads start anywhere."""
COMPARED = (0, 1, 0, 1, 2, 3)
"""Whose directions the second block's heads compare."""
SHARP, COPIED, LIKENESS = 5.5, 0.22, 1.0
"""Bias of query and key: the token meant weighs e^4 times its neighbour. Scale of what is copied: about an embedding's
size. Scale of query and key in the second block: a word's earlier occurrence weighs e^6 times another word."""

# Media first, then text, whatever the order in the request: all questions on one picture share a prefix.
_CHAT_TEMPLATE = (
    "{%- if not messages or messages[0]['role'] != 'system' -%}"
    "{{- '<|im_start|>system\n@SYSTEM@<|im_end|>\n' -}}{%- endif -%}"
    "{%- for message in messages -%}{{- '<|im_start|>' + message['role'] + '\n' -}}"
    "{%- if message['content'] is string -%}{{- message['content'] -}}"
    "{%- else -%}"
    "{%- for part in message['content'] -%}"
    "{%- if part['type'] in ('image', 'image_url') or 'image' in part or 'image_url' in part -%}"
    "{{- '<|vision_start|><|image_pad|><|vision_end|>' -}}"
    "{%- elif part['type'] in ('video', 'video_url') or 'video' in part -%}"
    "{{- '<|vision_start|><|video_pad|><|vision_end|>' -}}"
    "{%- endif -%}{%- endfor -%}"
    "{%- for part in message['content'] -%}{%- if part['type'] == 'text' -%}{{- part['text'] -}}"
    "{%- endif -%}{%- endfor -%}"
    "{%- endif -%}{{- '<|im_end|>\n' -}}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
).replace("\n", "\\n")  # inside Jinja strings


def chat_template(modality: Modality) -> str:
    """The Jinja template of an expert; a request without a system prompt gets the expert's own."""
    return _CHAT_TEMPLATE.replace("@SYSTEM@", SYSTEM_PROMPTS[modality])


def build_tokenizer(texts: Iterable[str], vocabulary: int = 2048) -> PreTrainedTokenizerFast:
    """A byte-level BPE of at most `vocabulary` entries, trained on `texts`; every digit is one token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[token for token in SPECIAL_TOKENS if token not in (PAD, END)],
        clean_up_tokenization_spaces=False,
        model_max_length=NanoShape().context,
    )
    wrapped.chat_template = chat_template("ecg")
    return wrapped


def build_config(tokenizer: PreTrainedTokenizerFast, shape: NanoShape | None = None) -> Qwen2_5_VLConfig:
    """The Qwen2.5-VL configuration of `shape`; the vocabulary is rounded up to a multiple of 64."""
    shape = shape or NanoShape()
    token = tokenizer.convert_tokens_to_ids
    quarter = shape.width // shape.heads // 2 // 4
    sections = [quarter, (shape.width // shape.heads // 2 - quarter) // 2]
    sections.append(shape.width // shape.heads // 2 - sum(sections))
    return Qwen2_5_VLConfig(
        text_config={
            "vocab_size": -(-len(tokenizer) // 64) * 64,
            "hidden_size": shape.width,
            "intermediate_size": shape.mlp,
            "num_hidden_layers": shape.depth,
            "num_attention_heads": shape.heads,
            "num_key_value_heads": shape.heads,
            "max_position_embeddings": shape.context,
            "rms_norm_eps": 1e-6,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": sections},
            "bos_token_id": None,
            "eos_token_id": token(END),
            "pad_token_id": token(PAD),
            "tie_word_embeddings": False,
        },
        vision_config={
            "depth": shape.vision_depth,
            "hidden_size": shape.vision_width,
            "num_heads": shape.vision_heads,
            "intermediate_size": shape.vision_mlp,
            "out_hidden_size": shape.width,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": TEMPORAL,
            "window_size": 112,
            "fullatt_block_indexes": list(range(shape.vision_depth)),
        },
        image_token_id=token(IMAGE_PAD),
        video_token_id=token(VIDEO_PAD),
        vision_start_token_id=token(VISION_START),
        vision_end_token_id=token(VISION_END),
        tie_word_embeddings=False,
    )


def build_model(tokenizer: PreTrainedTokenizerFast, shape: NanoShape | None = None) -> Any:
    """A freshly initialised float32 `Qwen2_5_VLForConditionalGeneration`, started as `prepare_lookup` says."""
    model = Qwen2_5_VLForConditionalGeneration(build_config(tokenizer, shape))
    prepare_lookup(model.model.language_model)
    return model


def prepare_lookup(language: Any) -> None:
    """Start a language model where finding a word's earlier occurrence in the prompt is near.

    From random weights, 1200 steps taught nothing of where in a list a finding stands; so started, 100 small ones did
    for lists of words (docs/LOG.md). An expert needs it to say that what it sees is none of the options. In the manner
    of mimetic initialisation (Trockman and Kolter, ICML 2023): heads of the
    first block look one, two, three, ... tokens back, by the biases of query and key, and copy what is there, each
    into directions of its own; the second block compares along those directions. Everything is learned further.
    """
    width, heads = language.config.hidden_size, language.config.num_attention_heads
    depth = width // heads
    directions = torch.linalg.qr(torch.randn(width, width))[0]
    frequency = language.config.rope_parameters["rope_theta"] ** (-torch.arange(depth // 2) / (depth // 2))
    first = language.layers[0].self_attn
    with torch.no_grad():
        first.v_proj.weight.copy_(COPIED * directions)
        first.o_proj.weight.copy_(COPIED * directions.T)
        for head, back in enumerate(BACK[:heads]):
            rows = slice(head * depth, (head + 1) * depth)
            level = torch.full((depth // 2,), SHARP)
            first.k_proj.bias[rows] = torch.cat([level, torch.zeros(depth // 2)])
            # RoPE turns a pair by position times frequency: the product is largest `back` tokens before
            first.q_proj.bias[rows] = torch.cat([level * (frequency * back).cos(), -level * (frequency * back).sin()])
        for second in [layer.self_attn for layer in language.layers[1:2]]:
            for head, source in zip(range(heads), COMPARED, strict=False):
                rows, along = slice(head * depth, (head + 1) * depth), slice(source * depth, (source + 1) * depth)
                second.q_proj.weight[rows] = second.k_proj.weight[rows] = LIKENESS * directions[along]


def prompt_text(question: str, media: str = "", system: str = SYSTEM_PROMPT) -> str:
    """The chat template's output for one question, up to where the answer starts; `media` are its vision tokens."""
    return f"{START}system\n{system}{END}\n{START}user\n{media}{question}{END}\n{START}assistant\n"


def save_checkpoint(
    model: Any,
    tokenizer: PreTrainedTokenizerFast,
    directory: Path,
    modality: Modality = "ecg",
    size: tuple[int, int] = (336, 224),
    frames: int = 1,
) -> None:
    """Write a directory that transformers' `AutoProcessor` and vLLM load, for media of (width, height) and `frames`."""
    directory.mkdir(parents=True, exist_ok=True)
    model.generation_config = GenerationConfig(
        do_sample=False,
        max_new_tokens=96,
        eos_token_id=tokenizer.convert_tokens_to_ids(END),
        pad_token_id=tokenizer.convert_tokens_to_ids(PAD),
    )
    model.save_pretrained(directory, safe_serialization=True)
    tokenizer.chat_template = chat_template(modality)
    tokenizer.save_pretrained(directory)
    (directory / "model.safetensors").chmod(0o644)
    (directory / "chat_template.jinja").write_text(chat_template(modality))
    for name, processor in processors(size, frames).items():
        (directory / name).write_text(json.dumps(processor, indent=2) + "\n")


def processors(size: tuple[int, int], frames: int) -> dict[str, dict[str, Any]]:
    """Processor configurations by file name.

    A video's bounds lie one pixel around its area: with exactly the area, `smart_resize` rounds some squares to 196 px
    instead of 224. vLLM takes `num_frames` frames before the processor sees them.
    """
    area = size[0] * size[1]
    video = frames > 1
    least, most = (area - 1, area + 1) if video else (56 * 56, area)
    common: dict[str, Any] = {
        "processor_class": "Qwen2_5_VLProcessor",
        "size": {"shortest_edge": least, "longest_edge": most},
        "patch_size": PATCH,
        "merge_size": MERGE,
        "temporal_patch_size": TEMPORAL,
        "image_mean": [float(value) for value in np.round(MEAN.astype(float), 8)],
        "image_std": [float(value) for value in np.round(STD.astype(float), 8)],
        "do_resize": True,
        "do_rescale": True,
        "do_normalize": True,
        "do_convert_rgb": True,
    }
    pictures = common | {"image_processor_type": "Qwen2VLImageProcessor", "min_pixels": least, "max_pixels": most}
    if not video:
        return {"preprocessor_config.json": pictures}
    videos = common | {
        "video_processor_type": "Qwen2VLVideoProcessor",
        "do_sample_frames": False,
        "num_frames": frames,
        "cap_pixels_per_frame": False,
    }
    return {"preprocessor_config.json": pictures, "video_preprocessor_config.json": videos}
