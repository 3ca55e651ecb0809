"""`chordae evaluate cod`: how a reasoner diagnoses the records of a test set, by its chain and by its probabilities.

It is asked through the platform's engine and the same `Reasoning` that serves it, so what is judged is what a clinician
gets: the category of the greedy chain, the checks of its citations, probabilities by constrained decoding. A record for
which it gives no category counts as wrong, and ranks below all others of every category.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np

from chordae.cohort.chinese import record_in
from chordae.cohort.record_cases import Case
from chordae.learning.checkpoint import trained_on
from chordae.learning.diagnosis_evaluation_report import DiagnosisLine, DiagnosisOutcome, DiagnosisReport, write
from chordae.learning.diagnosis_evaluation_scores import (
    NONE,
    Answers,
    Estimate,
    accuracy,
    accuracy_relied_on,
    auc,
    calibration_error,
    confusion,
    estimate,
    faithfulness,
    macro_f1,
    recall_of,
    relied_on,
    unanswered,
)
from chordae.learning.reasoner_lessons import case_id, open_cases, refuse_shared
from chordae.learning.record_baselines import baselines
from chordae.learning.results import GroupKind
from chordae.platform.diagnosis.category import CATEGORIES, Category, Language
from chordae.platform.diagnosis.diagnosis import Diagnosis
from chordae.platform.diagnosis.examine import Problem
from chordae.platform.diagnosis.reasoning import Reasoning
from chordae.platform.diagnosis.temperature import read_temperature, scaled
from chordae.platform.errors import BadInput
from chordae.platform.settings import ExpertSettings
from chordae.platform.text_engine import TextEngine
from chordae.platform.weights import fetch_checkpoint, identify, read_manifest

IN_FLIGHT = 64
PATIENCE_S = 600.0
"""For one record, which waits for those before it."""
RAREST = 3
Tell = Callable[[str], None]


def evaluate_diagnoses(
    settings: ExpertSettings,
    datasets: Path,
    split: str,
    output: Path,
    language: Language = "en",
    most: int | None = None,
    tell: Tell = lambda stage: None,
) -> DiagnosisReport:
    """Diagnose, judge, and write the report and its plots into `output`.

    Args:
        settings: the reasoner's: checkpoint and engine.
        datasets: where the test set lies, and by their names the sets that the reasoner was trained on.
        split: the test set's name.
        output: directory.
        language: of prompts and chains.
        most: so many cases, chosen by the hashes of their ids; none: all.
        tell: is told what happens.

    Raises:
        BadInput: a dataset that is missing, or a patient in both.
        BadSettings: the checkpoint is no reasoner, or cannot be served.
    """
    cases = chosen(open_cases([datasets / split]), most)
    checkpoint = fetch_checkpoint(settings.model, settings.revision)
    train = open_cases([datasets / name for name in training_sets(checkpoint)])
    refuse_shared(train, cases)
    tell("floors and ceiling")
    floors = baselines(train, cases)
    outcomes = diagnosed(checkpoint, settings, cases, language, tell)
    weights = identify(checkpoint)
    fitted = read_temperature(checkpoint, weights.digest)
    unseen = {case.site for case in cases} - {case.site for case in train}
    temperature = None if fitted is None else fitted.temperature
    lines = judged(outcomes, rarest(train), unseen, temperature)
    report = DiagnosisReport(
        model=weights.name,
        weights=weights.digest,
        split=split,
        language=language,
        temperature=temperature,
        rarest=rarest(train),
        lines=lines,
        floors=tuple(floors),
        confusion=tuple(map(tuple, confusion(answers_of(outcomes)).tolist())),
        outcomes=tuple(outcomes),
    )
    write(report, output)
    return report


def training_sets(checkpoint: Path) -> list[str]:
    """Names of the sets that a reasoner was trained on.

    Raises:
        BadInput: it does not say.
    """
    names = sorted(trained_on(checkpoint))
    if not names:
        raise BadInput(f"{checkpoint} does not say what it was trained on", "train it with chordae train")
    return names


def rarest(train: Sequence[Case]) -> tuple[Category, ...]:
    """The categories with the fewest training cases, the rarest first."""
    counted = Counter(case.category for case in train)
    return tuple(sorted(CATEGORIES, key=lambda name: counted[name])[:RAREST])


def chosen(cases: Sequence[Case], most: int | None) -> list[Case]:
    """At most so many, always the same."""
    if most is None or most >= len(cases):
        return list(cases)
    return sorted(cases, key=lambda case: hashlib.sha256(case_id(case).encode()).digest())[:most]


def diagnosed(
    checkpoint: Path,
    settings: ExpertSettings,
    cases: Sequence[Case],
    language: Language,
    tell: Tell,
    noticed: Sequence[Sequence[Problem]] | None = None,
) -> list[DiagnosisOutcome]:
    """What a checkpoint says of each case; its engine runs as long as that takes.

    Args:
        checkpoint: a reasoner's directory.
        settings: its engine; the model named there is not looked at.
        cases: to be diagnosed.
        language: of prompts and chains.
        tell: is told what happens.
        noticed: what reading each record brought to light; none: nothing.

    Raises:
        BadSettings: the checkpoint cannot be served.
        ExpertUnavailable: the engine died.
    """

    async def run() -> list[DiagnosisOutcome]:
        tell("loading the engine")
        async with running(checkpoint, settings) as reasoning:
            tell(f"diagnosing {len(cases)} records")
            return await diagnose_all(reasoning, cases, language, noticed)

    return asyncio.run(run())


@asynccontextmanager
async def running(checkpoint: Path, settings: ExpertSettings) -> AsyncIterator[Reasoning]:
    """A checkpoint's reasoning at temperature 1, while its engine runs. Raises as `diagnosed`."""
    engine = TextEngine(checkpoint, read_manifest(checkpoint).name, settings.engine)
    await engine.start()
    try:
        yield Reasoning(
            engine=engine,
            weights=identify(checkpoint),
            settings_digest="",
            context=settings.engine.max_model_len,
            longest=settings.max_answer_tokens,
            timeout_s=PATIENCE_S,
        )
    finally:
        engine.stop()


async def diagnose_all(
    reasoning: Reasoning,
    cases: Sequence[Case],
    language: Language,
    noticed: Sequence[Sequence[Problem]] | None = None,
) -> list[DiagnosisOutcome]:
    """(cases,) what a running reasoner says of each; arguments as those of `diagnosed`."""
    slots = asyncio.Semaphore(IN_FLIGHT)

    async def one(case: Case, problems: Sequence[Problem]) -> DiagnosisOutcome:
        async with slots:
            said = await reasoning.diagnose(record_in(case.record, language), language, case_id(case), problems)
        return outcome(case, said)

    return list(await asyncio.gather(*map(one, cases, noticed or [()] * len(cases))))


def outcome(case: Case, said: Diagnosis) -> DiagnosisOutcome:
    """A diagnosis beside the truth."""
    return DiagnosisOutcome(
        patient=case.patient,
        site=case.site,
        truth=case.category,
        category=said.category,
        probabilities=tuple(said.probabilities[name] for name in CATEGORIES) if said.probabilities else (),
        faithful=said.check is not None and said.check.faithful,
        why=said.why,
        written=said.written,
    )


def answers_of(outcomes: Sequence[DiagnosisOutcome], temperature: float = 1.0) -> Answers:
    """As arrays; probabilities at this temperature."""
    shares = [scaled(one.probabilities, temperature) if one.probabilities else [0.0] * 8 for one in outcomes]
    return Answers(
        truth=np.array([CATEGORIES.index(one.truth) for one in outcomes], np.int64),
        chosen=np.array(
            [NONE if one.category is None else CATEGORIES.index(one.category) for one in outcomes], np.int64
        ),
        probabilities=np.array(shares, float).reshape(-1, len(CATEGORIES)),
        faithful=np.array([one.faithful for one in outcomes], bool),
        flagged=np.array([one.category is None or bool(one.why) for one in outcomes], bool),
    )


def judged(
    outcomes: Sequence[DiagnosisOutcome], rare: Sequence[Category], unseen: set[str], temperature: float | None
) -> tuple[DiagnosisLine, ...]:
    """All figures of all cases, of the sites that training saw, and of those that it did not."""
    seen = [one for one in outcomes if one.site not in unseen]
    groups: tuple[tuple[GroupKind, str, Sequence[DiagnosisOutcome]], ...] = (
        ("all", "all", outcomes),
        ("sites", "seen sites", seen),
        ("sites", "unseen sites", [one for one in outcomes if one.site in unseen]),
    )
    return tuple(_line(kind, name, part, rare, temperature) for kind, name, part in groups if part)


def _line(
    kind: GroupKind,
    name: str,
    part: Sequence[DiagnosisOutcome],
    rare: Sequence[Category],
    temperature: float | None,
) -> DiagnosisLine:
    answers = answers_of(part)
    rare_places = [CATEGORIES.index(one) for one in rare]
    calibrated = Estimate(value=None, interval=None)
    if temperature is not None:
        calibrated = estimate(answers_of(part, temperature), calibration_error)
    return DiagnosisLine(
        kind=kind,
        name=name,
        cases=len(part),
        accuracy=estimate(answers, accuracy),
        macro_f1=estimate(answers, macro_f1),
        auc=estimate(answers, auc),
        rare_recall=estimate(answers, recall_of(rare_places), int(np.isin(answers.truth, rare_places).sum())),
        faithful=estimate(answers, faithfulness),
        relied_on=estimate(answers, relied_on),
        accuracy_relied_on=estimate(answers, accuracy_relied_on, int((~answers.flagged).sum())),
        unanswered=estimate(answers, unanswered),
        calibration_error=estimate(answers, calibration_error),
        calibrated_error=calibrated,
        recall={
            one: estimate(answers, recall_of([place]), int((answers.truth == place).sum()))
            for place, one in enumerate(CATEGORIES)
        },
    )
