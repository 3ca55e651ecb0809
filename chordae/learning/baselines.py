"""What an accuracy is to be held against: chance, and a classifier that is given the true numbers (ceiling).

Both answer the same items as the expert does, and are scored in the same way, as are the text-only model
(`chordae.cohort.bclean`, the floor) and the expert with its media withheld.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from chordae.cohort.dataset import Item, Sample
from chordae.cohort.questions import NONE_SHARE
from chordae.cohort.wording import NONE_OPTION
from chordae.platform.errors import BadInput

SEED = 20_260_101


def uniform_chance(item: Item) -> float:
    """What a guess reaches that takes each option as often as any other."""
    return 1 / len(item.options)


def best_guess(items: Sequence[Item]) -> list[float]:
    """(items,) what the best guess reaches that knows nothing but the topic and the list of options.

    By topic, the best of three kinds of strategy on these very items: "None of the other options" where it is offered;
    one and the same finding where it is listed (and otherwise the first kind); any listed finding but None. The last is
    counted as its expected share, 1 over the number of findings listed. With the truth drawn evenly this is
    max(r, (1 - r) / m) for a share r of None and m listed findings (`chordae.cohort.questions.blind_chance`). The best
    *of these* items lies a little above what a guess made in advance would reach, the more the fewer they are.
    """
    members = defaultdict(list)
    for index, item in enumerate(items):
        members[item.modality, item.topic].append(index)
    result = [0.0] * len(items)
    for indices in members.values():
        asked = [items[index] for index in indices]
        names = sorted({option for item in asked for option in item.options} - {NONE_OPTION})
        strategies = [[_listed(item) for item in asked], [_constant(item, NONE_OPTION) for item in asked]]
        strategies += [[_constant(item, name) for item in asked] for name in names]
        best = max(strategies, key=sum)
        for index, credit in zip(indices, best, strict=True):
            result[index] = credit
    return result


def _constant(item: Item, name: str) -> float:
    for option in (name, NONE_OPTION):
        if option in item.options:
            return float(item.options[item.correct or 0] == option)
    return uniform_chance(item)


def _listed(item: Item) -> float:
    """Expected share right of a guess among the listed findings."""
    findings = [option for option in item.options if option != NONE_OPTION]
    return float(item.options[item.correct or 0] != NONE_OPTION) / len(findings)


def latent_choices(items: Sequence[Item], samples: Sequence[Sample], training: Sequence[Sample]) -> list[int]:
    """(items,) the option that a classifier takes which sees the true numbers of the patient instead of the media.

    One gradient-boosted classifier a topic, trained on the numbers of `training`, every finding weighing the same, as
    in the questions; missing numbers stay missing. It is a ceiling as far as the numbers tell the findings.

    Args:
        items: multiple-choice questions.
        samples: of the same split, one for every item's patient and modality.
        training: of other patients.

    Raises:
        BadInput: an item without its sample, or a topic that training holds no findings of.
    """
    by_study = {(sample.site, sample.patient, sample.modality): sample for sample in samples}
    chosen = [0] * len(items)
    members = defaultdict(list)
    for index, item in enumerate(items):
        members[item.modality, item.topic].append(index)
    for (modality, topic), indices in members.items():
        known = [one for one in training if one.modality == modality and one.findings.get(topic)]
        if not known:
            raise BadInput(f"the training data hold no {modality} findings of {topic}", "make the dataset again")
        studies = [by_study.get((items[index].site, items[index].patient, modality)) for index in indices]
        if None in studies:
            raise BadInput(f"{studies.count(None)} questions have no sample", "make the dataset again")
        kinds, probabilities = _probabilities(known, [one for one in studies if one is not None], topic)
        for index, row in zip(indices, probabilities, strict=True):
            chosen[index] = _likeliest(items[index], dict(zip(kinds, row, strict=True)))
    return chosen


def _probabilities(
    known: Sequence[Sample], asked: Sequence[Sample], topic: str
) -> tuple[list[str], NDArray[np.float64]]:
    """The findings of a topic that `known` holds, and (asked, findings) how probable each is by the numbers."""
    names = sorted({name for one in known for name in one.numbers})
    labels = np.array([one.findings[topic] for one in known], dtype=str)
    if len(set(labels)) == 1:
        return [str(labels[0])], np.ones((len(asked), 1))
    model = HistGradientBoostingClassifier(
        max_iter=40,
        max_leaf_nodes=15,
        learning_rate=0.2,
        min_samples_leaf=5,
        l2_regularization=1.0,
        class_weight="balanced",
        early_stopping=False,
        random_state=SEED,
    )
    model.fit(_numbers(known, names), labels)
    return model.classes_.tolist(), model.predict_proba(_numbers(asked, names))


def _numbers(samples: Sequence[Sample], names: Sequence[str]) -> NDArray[np.float64]:
    return np.array([[sample.numbers.get(name, np.nan) for name in names] for sample in samples])


def _likeliest(item: Item, likelihoods: dict[str, float]) -> int:
    """The option that is most probable by Bayes' rule, with the priors that questions are made by."""
    none, listed = NONE_SHARE[item.modality], [name for name in item.options if name != NONE_OPTION]
    unlisted = [value for name, value in likelihoods.items() if name not in listed]
    values = [
        none * float(np.mean(unlisted or [0.0]))
        if option == NONE_OPTION
        else (1 - none) / len(listed) * likelihoods.get(option, 0.0)
        for option in item.options
    ]
    return int(np.argmax(values))
