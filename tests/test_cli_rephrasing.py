"""Calibration asks with the rephrasings that the platform would serve."""

from pathlib import Path

from chordae.cli_rephrasing import rephraser
from chordae.deployments.rephrasing import rephrase
from chordae.platform.embedding import load_embedding
from chordae.platform.settings import load_settings

LAPTOP = Path(__file__).parents[1] / "configs" / "laptop.yaml"
QUESTIONS = [("Is there atrial fibrillation?", "ecg"), ("What is the cardiac axis?", "ecg")]


def test_the_language_model_of_the_settings_rewords_the_same_way_each_time() -> None:
    settings, embed = load_settings(LAPTOP), load_embedding()
    assert settings.orchestrator.language == "ecg"
    with rephraser(settings, embed) as reword:
        first, second = reword(QUESTIONS), reword(QUESTIONS)
    assert first == second
    for (question, _), forms in zip(QUESTIONS, first, strict=True):
        assert len({question, *forms}) == 4


def test_without_a_language_model_it_is_the_bank() -> None:
    settings = load_settings(LAPTOP)
    alone = settings.model_copy(update={"orchestrator": settings.orchestrator.model_copy(update={"language": None})})
    with rephraser(alone, load_embedding()) as reword:
        assert reword(QUESTIONS) == [rephrase(*one) for one in QUESTIONS]
