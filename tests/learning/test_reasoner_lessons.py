"""The reasoner: what it learns is laid out as it is asked, and stage 1 writes what stage 2 and transformers load."""

import json
from pathlib import Path

import numpy as np
import pytest
from reasoning import SHAPE, made_up_cases, make_case_dataset
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from chordae.cohort.chains import lesson, verdict
from chordae.cohort.record_dialogue import dialogue
from chordae.learning import checkpoint
from chordae.learning.batches import IGNORED
from chordae.learning.config import Phase, load_config
from chordae.learning.launch import train
from chordae.learning.nano import build_tokenizer
from chordae.learning.reasoner import ARCHITECTURE, CHAT_TEMPLATE, build_model, prompt_ids, save_checkpoint
from chordae.learning.reasoner_lessons import LessonCollator, lesson_texts
from chordae.learning.tracking import read_losses
from chordae.platform.diagnosis.category import CATEGORIES, Language
from chordae.platform.diagnosis.parsing import parse
from chordae.platform.diagnosis.probabilities import OPEN, endings
from chordae.platform.errors import BadInput, BadSettings

CASES = made_up_cases(16, 3)
TOKENIZER = build_tokenizer(lesson_texts(CASES, np.random.default_rng(0), 60), 1024)
STAGE_1 = """
type: sft
name: stage1
version: "0"
cases: [{cases}]
shape: {{depth: 2, width: 64, heads: 2, mlp: 128, context: 1024}}
vocabulary: 1024
batch: 4
workers: 0
save_every: 2
warmup: 1
bf16: false
phases:
  - {{steps: 2, knowledge: 0.5, dialogue: 0.5}}
  - {{steps: 2, chains: 1}}
"""


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_prompt_is_what_the_chat_template_makes_of_it(language: str) -> None:
    TOKENIZER.chat_template = CHAT_TEMPLATE
    rng = np.random.default_rng(0)
    for talk in (lesson(CASES[0], rng, language), dialogue(CASES[0], rng, language)):  # type: ignore[arg-type]
        laid = TOKENIZER.apply_chat_template(talk[:-1], add_generation_prompt=True, return_dict=False)
        assert laid == prompt_ids(TOKENIZER, talk[:-1])


def test_only_answers_and_their_ends_are_learned() -> None:
    collator = LessonCollator(TOKENIZER, (Phase(steps=4, chains=1.0),), 1, 0, CASES, 0.0)
    row, messages = collator.row(0), collator.messages(0)
    learned = [token for token in row.labels if token != IGNORED]
    assert TOKENIZER.decode(learned) == messages[-1]["content"] + "<|im_end|>"
    assert row.ids[: row.labels.index(learned[0])] == prompt_ids(TOKENIZER, messages[:-1])


def test_of_a_verdict_what_opens_it_is_not_learned() -> None:
    collator = LessonCollator(TOKENIZER, (Phase(steps=4, verdicts=1.0),), 1, 0, CASES, 0.5)
    for number in range(4):
        learned = TOKENIZER.decode([token for token in collator.row(number).labels if token != IGNORED])
        assert "<answer>" + learned == collator.messages(number)[-1]["content"] + "<|im_end|>"


def test_a_row_is_a_function_of_its_number_and_its_phase() -> None:
    phases = (Phase(steps=3, knowledge=1.0), Phase(steps=3, chains=1.0))
    collator = LessonCollator(TOKENIZER, phases, 2, 0, CASES, 0.5)
    assert collator.messages(7) == collator.messages(7) != collator.messages(8)
    for number in range(6):
        assert "<think>" not in collator.messages(number)[-1]["content"]
        assert "<think>" in collator.messages(6 + number)[-1]["content"]


def test_a_step_is_all_of_one_kind() -> None:
    collator = LessonCollator(TOKENIZER, (Phase(steps=12, chains=1.0, verdicts=1.0),), 8, 0, CASES, 0.5)
    steps = [{"<think>" in collator.messages(8 * step + row)[-1]["content"] for row in range(8)} for step in range(12)]
    assert all(len(kinds) == 1 for kinds in steps)
    assert {True} in steps
    assert {False} in steps


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_verdict_is_the_category_in_the_words_that_probabilities_are_asked_in(language: Language) -> None:
    for case in CASES:
        talk = verdict(case, language)
        assert talk[:-1] == lesson(case, np.random.default_rng(0), language)[:-1]
        assert parse(talk[-1]["content"]).category == case.category
        dropped, paths = endings(TOKENIZER, language)
        opened = TOKENIZER(OPEN, add_special_tokens=False)["input_ids"]
        path = paths[CATEGORIES.index(case.category)]
        assert TOKENIZER(talk[-1]["content"], add_special_tokens=False)["input_ids"] == [
            *opened[: len(opened) - len(dropped)],
            *path,
        ]


def test_dialogues_answer_from_the_record() -> None:
    for seed, case in enumerate(CASES):
        talk = dialogue(case, np.random.default_rng(seed))
        assert [one["role"] for one in talk] == ["user", "assistant"] * (len(talk) // 2)
        for asked, said in zip(talk[::2], talk[1::2], strict=True):
            if "What does [" in asked["content"]:
                number = int(asked["content"].rsplit("[", 1)[1].split("]")[0])
                (line,) = [one for one in case.record.description if one.number == number]
                assert said["content"] == f"[{number}] {line.text}."


def test_stage_1_writes_what_stage_2_and_transformers_load(tmp_path: Path) -> None:
    cases = make_case_dataset(tmp_path / "cases", 12, 4)
    path = tmp_path / "stage1.yaml"
    path.write_text(STAGE_1.format(cases=cases))
    output = train("sft", path, tmp_path / "stage1", data_dir=tmp_path)
    losses = [line["loss"] for line in read_losses(tmp_path / "stage1.losses.jsonl")]
    assert len(losses) == 4
    assert np.isfinite(losses).all()
    assert checkpoint.verify(str(output), architecture=ARCHITECTURE) == output
    with pytest.raises(BadInput, match="not a qwen2_5_vl"):
        checkpoint.verify(str(output))
    model, tokenizer = AutoModelForCausalLM.from_pretrained(output), AutoTokenizer.from_pretrained(output)
    assert model.config.model_type == ARCHITECTURE
    assert not model.config.tie_word_embeddings
    assert model.config.hidden_size == SHAPE.width
    assert tokenizer.chat_template == CHAT_TEMPLATE
    assert len(tokenizer("120")["input_ids"]) == 3, "one token per digit"
    by_file = Tokenizer.from_file(str(output / "tokenizer.json"))
    assert tokenizer(checkpoint.SPLIT, add_special_tokens=False)["input_ids"] == by_file.encode(checkpoint.SPLIT).ids
    manifest = checkpoint.manifest_of(output)
    assert (manifest["kind"], manifest["modality"]) == ("reasoner", None)


def test_transformers_still_needs_to_be_told_whose_tokenizer_it_is(tmp_path: Path) -> None:
    """When this fails, transformers believes `tokenizer_class` again, and `_name_the_tokenizer` can go."""
    save_checkpoint(build_model(TOKENIZER, SHAPE), TOKENIZER, tmp_path)
    told = tmp_path / "tokenizer_config.json"
    named = json.loads(told.read_text())
    told.write_text(json.dumps({key: value for key, value in named.items() if key != "auto_map"}))
    assert type(AutoTokenizer.from_pretrained(tmp_path)).__name__ == "Qwen2Tokenizer"
    with pytest.raises(BadInput, match="does not split text"):
        checkpoint.load_tokenizer(tmp_path)


@pytest.mark.parametrize("phase", ["{steps: 1, blind: 1}", "{steps: 1, chains: 1, matching: 1}"])
def test_an_experts_phase_is_refused_for_a_reasoner(tmp_path: Path, phase: str) -> None:
    path = tmp_path / "stage1.yaml"
    path.write_text(STAGE_1.format(cases=tmp_path).split("phases:")[0] + f"phases: [{phase}]\n")
    with pytest.raises(BadSettings, match="for nothing else"):
        load_config(path)
