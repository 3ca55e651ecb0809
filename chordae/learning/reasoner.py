"""The CMR reasoner: a text-only Qwen2 of a few million parameters, and its checkpoint directory.

It shares the experts' tokenizer rules (`nano`). Its start makes copying near (`copying`): finding a value or a line
again in the record is what it does most. Embeddings are untied, for an in-place reload of tied ones keeps the old
output weights on CPU.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chordae.learning.copying import THETA, prepare_copying
from chordae.learning.nano import END, PAD, START
from chordae.learning.run_config import NanoShape
from chordae.platform.torch_libs import mend_torchvision

mend_torchvision()  # transformers imports torchvision

from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM  # noqa: E402

ARCHITECTURE = "qwen2"
SYSTEM_PROMPT = "You are a cardiac MRI reasoner."
"""Of knowledge and dialogue; a diagnosis has the instructions of its prompt set."""
ANSWER_TOKENS = 768
"""What a server generates at most unless it is told: a chain has about half of it."""

CHAT_TEMPLATE = (
    "{%- if not messages or messages[0]['role'] != 'system' -%}"
    "{{- '<|im_start|>system\\n@SYSTEM@<|im_end|>\\n' -}}{%- endif -%}"
    "{%- for message in messages -%}{{- '<|im_start|>' + message['role'] + '\\n' -}}"
    "{%- if message['content'] is string -%}{{- message['content'] -}}"
    "{%- else -%}{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'text' -%}{{- part['text'] -}}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}{{- '<|im_end|>\\n' -}}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
).replace("@SYSTEM@", SYSTEM_PROMPT)

Message = Mapping[str, str]


def build_model(tokenizer: PreTrainedTokenizerFast, shape: NanoShape) -> Any:
    """A freshly initialised float32 `Qwen2ForCausalLM`; of the shape only the language part is used."""
    token = tokenizer.convert_tokens_to_ids
    config = Qwen2Config(
        vocab_size=-(-len(tokenizer) // 64) * 64,
        hidden_size=shape.width,
        intermediate_size=shape.mlp,
        num_hidden_layers=shape.depth,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=shape.context,
        rms_norm_eps=1e-6,
        rope_parameters={"rope_type": "default", "rope_theta": THETA},
        bos_token_id=None,
        eos_token_id=token(END),
        pad_token_id=token(PAD),
        tie_word_embeddings=False,
    )
    model = Qwen2ForCausalLM(config)
    prepare_copying(model)
    return model


def save_checkpoint(model: Any, tokenizer: PreTrainedTokenizerFast, directory: Path) -> None:
    """Write a directory that transformers' `AutoModelForCausalLM` and vLLM load."""
    directory.mkdir(parents=True, exist_ok=True)
    model.generation_config = GenerationConfig(
        do_sample=False,
        max_new_tokens=ANSWER_TOKENS,
        eos_token_id=tokenizer.convert_tokens_to_ids(END),
        pad_token_id=tokenizer.convert_tokens_to_ids(PAD),
    )
    model.save_pretrained(directory, safe_serialization=True)
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.model_max_length = model.config.max_position_embeddings
    tokenizer.save_pretrained(directory)
    for weights in directory.glob("*.safetensors"):
        weights.chmod(0o644)
    (directory / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    _name_the_tokenizer(directory / "tokenizer_config.json")


def _name_the_tokenizer(config: Path) -> None:
    """See that transformers, and vLLM with it, splits text as `tokenizer.json` says.

    For the architecture qwen2, transformers 5 takes `tokenizer_class` for a mistake and puts Qwen2's own splitting in
    the place of the file's: every text is read wrongly, without a word (its tokenization_auto.py,
    `MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS`). It believes the class where there is an `auto_map`, which names
    nothing that is ever run.
    """
    told = json.loads(config.read_bytes())
    told["auto_map"] = {"AutoTokenizer": [None, told["tokenizer_class"]]}
    config.write_text(json.dumps(told, indent=2) + "\n")


def pieces(messages: Sequence[Message]) -> list[tuple[str, bool]]:
    """A conversation as the chat template lays it out, in pieces that are learned (answers and their ends) or not."""
    laid = [] if messages[0]["role"] == "system" else [(f"{START}system\n{SYSTEM_PROMPT}{END}\n", False)]
    for message in messages:
        if message["role"] == "assistant":
            laid += [(f"{START}assistant\n", False), (message["content"] + END, True), ("\n", False)]
        else:
            laid.append((f"{START}{message['role']}\n{message['content']}{END}\n", False))
    return laid


def prompt_ids(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """Token ids of a conversation up to where the answer starts."""
    text = "".join(text for text, _ in pieces(messages)) + f"{START}assistant\n"
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids
