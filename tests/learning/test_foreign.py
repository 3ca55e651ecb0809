"""Media that an expert cannot read are what they say, are drawn with all their kinds, and are answered by declining."""

from pathlib import Path

import numpy as np
import pytest
from made_up import make_dataset

from chordae.cohort.questions import corpus
from chordae.cohort.wording import NOT_PROVIDED
from chordae.learning.batches import IGNORED, ConversationCollator
from chordae.learning.config import Phase
from chordae.learning.foreign import Foreign
from chordae.learning.media_cache import View
from chordae.learning.nano import build_tokenizer
from chordae.learning.studies import Studies, load_samples
from chordae.platform.errors import BadInput, BadSettings

ECHO = View("echo", (112, 112), 4)


@pytest.fixture(scope="module")
def ecgs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("foreign") / "ecg", "ecg", 6, seed=1)


@pytest.fixture(scope="module")
def echoes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("foreign") / "echo", "echo", 12)


def test_blanks_noise_and_other_modalities_are_drawn_as_the_expert_sees_media(ecgs: Path) -> None:
    foreign, rng = Foreign([ecgs], [], ECHO), np.random.default_rng(0)
    drawn = [foreign.draw(0.5, rng) for _ in range(60)]
    assert {one.pixels.shape for one in drawn} == {(4, 112, 112, 3)}
    assert {one.pixels.dtype for one in drawn} == {np.dtype(np.uint8)}
    assert {one.seconds for one in drawn} == {0.5}
    blank = sum(one.pixels.std(axis=(0, 1, 2)).max() == 0 for one in drawn)
    noise = sum(one.pixels.std(axis=(1, 2)).min() > 60 for one in drawn)
    assert blank > 10
    assert noise > 2
    assert len(drawn) - blank - noise > 15


def test_a_video_is_one_picture_to_the_expert_for_pictures(echoes: Path) -> None:
    foreign = Foreign([echoes], [], View("ecg", (112, 112), 1))
    assert [pixels.shape for pixels in foreign.others] == [(1, 112, 112, 3)] * 12


def test_a_dataset_of_the_experts_own_modality_is_refused(echoes: Path) -> None:
    with pytest.raises(BadInput, match="only echo"):
        Foreign([echoes], [], ECHO)


def test_patients_of_the_test_set_are_refused_here_too(ecgs: Path) -> None:
    with pytest.raises(BadInput, match="share no patient"):
        Foreign([ecgs], [ecgs], ECHO)


def test_asked_about_them_the_answer_is_that_none_was_provided(ecgs: Path, echoes: Path) -> None:
    tokenizer = build_tokenizer(corpus("echo", np.random.default_rng(0), 20), 600)
    studies = Studies(load_samples([echoes], "echo"), ECHO, 0.0)
    phases = (Phase(steps=1, foreign=1.0),)
    collator = ConversationCollator(tokenizer, phases, 4, 1, studies, "echo", True, Foreign([ecgs], [], ECHO))
    for number in range(4):
        row = collator.row(number)
        assert row.patches is not None
        assert row.video
        learned = [token for token, label in zip(row.ids, row.labels, strict=True) if label != IGNORED]
        assert tokenizer.decode(learned).removesuffix("<|im_end|>") == NOT_PROVIDED["echo"]
    with pytest.raises(BadSettings, match="foreign"):
        ConversationCollator(tokenizer, phases, 4, 1, studies, "echo", True).row(0)
