"""The studies that a model is trained on: rows of datasets, kept apart from those that judge it, drawn evenly."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chordae.cohort.dataset import QUESTIONS, SAMPLES, Item, Sample, read_rows
from chordae.cohort.findings import Topic, topics
from chordae.learning.augmentation import vary
from chordae.learning.media_cache import MediaCache, Seen, View
from chordae.platform.errors import BadInput, BadSettings
from chordae.platform.schemas import Modality


class Media:
    """Samples of one modality, as the model sees them; what is true of them is not looked at."""

    def __init__(self, samples: Sequence[tuple[Path, Sample]], view: View) -> None:
        self.samples = [sample for _, sample in samples]
        self._caches: list[MediaCache] = []
        self._places: list[tuple[int, int]] = []
        by_dataset: dict[Path, list[str]] = defaultdict(list)
        for dataset, sample in samples:
            by_dataset[dataset].append(sample.media)
        for number, (dataset, media) in enumerate(by_dataset.items()):
            self._caches.append(MediaCache(dataset, media, view))
            self._places += [(number, place) for place in range(len(media))]

    def seen(self, number: int, rng: np.random.Generator | None = None) -> Seen:
        """A study as the model sees it; varied a little if there is a generator."""
        cache, place = self._places[number]
        seen = self._caches[cache][place]
        return seen if rng is None else Seen(vary(seen.pixels, rng), seen.seconds)


class Studies(Media):
    """Those that are trained on; `training` and `validation` number them, no patient in both."""

    def __init__(self, samples: Sequence[tuple[Path, Sample]], view: View, validation: float) -> None:
        super().__init__(samples, view)
        kept = [_share(sample) < validation for sample in self.samples]
        self.training = [number for number, is_kept in enumerate(kept) if not is_kept]
        self.validation = [number for number, is_kept in enumerate(kept) if is_kept]
        if not self.training:
            raise BadInput("no study is left to train on", "make more patients, or lower `validation`")
        self._drawn = _by_finding(self.samples, self.training, view.modality)

    def draw(self, rng: np.random.Generator) -> tuple[int, Topic]:
        """A study for training and the topic it was drawn for: topic, then finding, then study, each evenly.

        So the rare ones are seen. What else is true of a drawn study is as uneven as ever: see `shares`.
        """
        topic, found = self._drawn[int(rng.integers(len(self._drawn)))]
        numbers = list(found.values())[int(rng.integers(len(found)))]
        return numbers[int(rng.integers(len(numbers)))], topic

    @property
    def topics(self) -> tuple[Topic, ...]:
        """Those that are drawn for."""
        return tuple(topic for topic, _ in self._drawn)

    def occurring(self, topic: Topic) -> tuple[str, ...]:
        """The findings of a drawn topic that training studies have."""
        return tuple(next(found for one, found in self._drawn if one == topic))

    def shares(self) -> dict[str, dict[str, float]]:
        """By topic: how often a drawn study has each finding, of those of which the topic's is known."""
        chance = np.zeros(len(self.samples))
        for _, found in self._drawn:
            for numbers in found.values():
                chance[numbers] += 1 / (len(self._drawn) * len(found) * len(numbers))
        counted = {topic.key: {name: chance[of].sum() for name, of in found.items()} for topic, found in self._drawn}
        return {key: {name: float(one / sum(of.values())) for name, one in of.items()} for key, of in counted.items()}


def load_samples(datasets: Sequence[Path], modality: Modality) -> list[tuple[Path, Sample]]:
    """The samples of a modality, each with its dataset.

    Raises:
        BadInput: a dataset is missing, damaged, or has no study of the modality.
    """
    found = []
    for dataset in datasets:
        rows = [(dataset, row) for row in read_rows(dataset / SAMPLES, Sample) if row.modality == modality]
        if not rows:
            raise BadInput(f"{dataset} has no {modality} study", "name datasets of the configuration's modality")
        found += rows
    return found


def refuse_held_out(samples: Sequence[tuple[Path, Sample]], held_out: Sequence[Path]) -> None:
    """Stop before a model is trained on what will judge it.

    Raises:
        BadInput: a patient of `held_out`, or the very same picture, is among the samples.
    """
    for dataset in held_out:
        files: list[Sequence[Sample | Item]] = []
        if (dataset / SAMPLES).is_file():
            files.append(read_rows(dataset / SAMPLES, Sample))
        if (dataset / QUESTIONS).is_file():
            files.append(read_rows(dataset / QUESTIONS, Item))
        if not files:
            raise BadInput(f"{dataset} has neither {SAMPLES} nor {QUESTIONS}", "make the dataset first: docs/train.md")
        kept = {(row.site, row.patient) for rows in files for row in rows}
        media = {Path(row.media).name for rows in files for row in rows}
        for place, sample in samples:
            if (sample.site, sample.patient) in kept or Path(sample.media).name in media:
                raise BadInput(
                    f"patient {sample.patient} of {sample.site} is in {place} and in {dataset}",
                    "make one of them again: what is learned from, what judges and what is unlabelled share no patient",
                )


def checksum(dataset: Path) -> str:
    """SHA-256 of the rows; they name their media by content."""
    return hashlib.sha256((dataset / SAMPLES).read_bytes()).hexdigest()


def _share(sample: Sample) -> float:
    """A number in [0, 1) that a patient always gets, whatever else is in the dataset."""
    digest = hashlib.sha256(f"{sample.site} {sample.patient}".encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32


def _by_finding(
    samples: Sequence[Sample], numbers: Sequence[int], modality: Modality
) -> list[tuple[Topic, dict[str, list[int]]]]:
    """The studies by topic and finding; topics of which all studies have the same finding teach nothing."""
    table = []
    for topic in topics(modality):
        groups: dict[str, list[int]] = defaultdict(list)
        for number in numbers:
            finding = samples[number].findings.get(topic.key)
            if finding is not None and finding not in topic.findings:
                raise BadInput(f"{finding!r} is no finding of {modality} {topic.key}", "make the dataset again")
            if finding is not None:
                groups[finding].append(number)
        if len(groups) > 1:
            table.append((topic, {name: groups[name] for name in topic.findings if name in groups}))
    if not table:
        raise BadSettings(f"no {modality} topic has two findings", "make a dataset of more patients")
    return table
