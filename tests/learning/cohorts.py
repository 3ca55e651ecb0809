"""Samples without hearts or media, and experts without weights: enough to evaluate on."""

from collections.abc import Sequence

import numpy as np

from chordae.cohort.dataset import Item, Sample
from chordae.cohort.findings import topics
from chordae.learning.grading import LETTERS
from chordae.platform.schemas import Modality


def samples(n: int, site: str = "university", modality: Modality = "echo", seed: int = 0) -> list[Sample]:
    """Patients whose findings are drawn evenly, and whose numbers tell them: index of the finding, plus noise."""
    rng = np.random.default_rng([seed, len(site)])
    rows = []
    for number in range(n):
        index = {topic.key: int(rng.integers(len(topic.findings))) for topic in topics(modality)}
        rows.append(
            Sample(
                patient=f"{site}-{seed}-{number:04d}",
                site=site,
                modality=modality,
                media=f"media/{site}-{seed}-{number}.mp4",
                findings={topic.key: topic.findings[index[topic.key]] for topic in topics(modality)},
                numbers={key: value + float(rng.normal(0, 0.2)) for key, value in index.items()},
            )
        )
    return rows


class Pretender:
    """Answers as told to.

    Args:
        name: of the expert.
        skill: share of the questions answered with the truth; in the others the first letter is taken.
        blind: what it says without media.
    """

    def __init__(
        self, name: str = "echo-nano", skill: float = 1.0, blind: str = "No echocardiogram was provided."
    ) -> None:
        self.name, self.skill, self.blind = name, skill, blind
        self.asked = 0

    def ask(self, items: Sequence[Item], with_media: bool) -> list[str]:
        self.asked += len(items)
        if not with_media:
            return [self.blind] * len(items)
        rng = np.random.default_rng(1)
        return [item.answer if rng.random() < self.skill else f"({LETTERS[0]})" for item in items]

    def choose(self, items: Sequence[Item], with_media: bool) -> list[int]:
        return [item.correct or 0 if with_media else 0 for item in items]
