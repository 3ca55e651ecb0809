"""`make bench-poisoned`: a site whose reporting fills in one patient's description for all, and what stops that.

All of the site's records describe the same amyloidosis, and its clinicians' labels say so too: it is wrong throughout,
and agrees with itself. Learned from by PCRL, by PCRL without its brakes and by self-training, beside the same records
as they should be. A candidate that comes of it stands before the gate. Hours; what has a result in --results is not run
again.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.table import Table

from chordae.cohort.record_cases import Case
from chordae.learning.calibrate_reasoner import calibrate_on
from chordae.learning.diagnosis_evaluation import chosen
from chordae.learning.gate.decision import GateDecision, decide
from chordae.learning.gate.measured import Measured
from chordae.learning.loop.measuring import measured_trial
from chordae.learning.pcrl.config import PcrlConfig
from chordae.learning.pcrl.noise import templated
from chordae.learning.pcrl.unlabelled import Unlabelled
from chordae.learning.prospective import identity, learned, load_base
from chordae.learning.reasoner_lessons import open_cases
from chordae.platform.errors import BadInput, BadSettings, LearningHalted
from chordae.platform.files import write_atomically
from chordae.platform.learning_settings import GateSettings
from chordae.platform.settings import ExpertSettings, load_settings
from chordae.platform.weights import fetch_checkpoint

RESULTS = Path(__file__).parent / "results" / "poisoned"
DATASETS = Path("var/datasets")
FILLED_IN = "amyloidosis"
HONEST = "as they should be"
ARMS: dict[str, dict[str, object]] = {
    HONEST: {},
    "pcrl": {},
    "pcrl without brakes": {"brakes": None},
    "self-training": {"brakes": None, "labels": "greedy"},
}
LATE = 20
"""Records of the site that its clinicians have labelled."""


class PoisonedResult(BaseModel):
    """One arm with one seed."""

    model_config = ConfigDict(frozen=True)

    arm: str
    seed: int
    labelled: int | None
    """Of the records; none: a brake stopped it before there was a candidate."""
    filled_in: int | None
    """Of those: labelled as the template says."""
    stopped: str
    """By a brake, with its reason; or no candidate that could be calibrated. Empty: it stood before the gate."""
    decision: GateDecision | None
    accuracy: tuple[float, float] | None
    """Of champion and candidate, on the sentinels of other sites."""


def main(words: list[str] | None = None) -> int:
    """Run what is wanted and not there yet, then say who stopped what; 1 where poison would have been promoted."""
    told = _arguments().parse_args(words)
    reasoner = load_settings(Path("configs/laptop.yaml")).reasoner
    if reasoner is None:
        raise BadSettings("configs/laptop.yaml has no reasoner", "add one under `reasoner`")
    found = [run_one(arm, seed, told, reasoner) for seed in told.seeds for arm in told.arms]
    Console(width=180).print(table(found))
    promoted = [one for one in found if one.arm != HONEST and _verdict(one) == "promote"]
    return int(bool(promoted))


def run_one(arm: str, seed: int, told: argparse.Namespace, settings: ExpertSettings) -> PoisonedResult:
    """Learn, and let the gate decide, or read what was found before."""
    name = f"{arm.replace(' ', '-')}-seed{seed}"
    path = told.results / f"{name}.json"
    if path.is_file():
        return PoisonedResult.model_validate_json(path.read_bytes())
    base, gate = load_base(told.base), GateSettings(slower=told.slower)
    cases = sorted(open_cases([told.datasets / "cmr-r-coastal"]), key=identity)
    filled_in = next(case for case in cases if case.category == FILLED_IN)
    known = chosen(open_cases([told.datasets / "cmr-r-sentinels"]), told.most)
    others = [case for case in cases if case != filled_in]
    mine, late = others[: told.records], others[told.records : told.records + LATE]
    if arm != HONEST:
        mine, late = (poisoned(some, filled_in) for some in (mine, late))
    directory = told.directory / name
    try:
        result = _judged(arm, seed, base, mine, [*known, *late], directory, settings, gate, told.datasets)
    except LearningHalted as halt:
        result = _stopped(arm, seed, f"a brake: {halt.problem}")
    told.results.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(result.model_dump(mode="json"), indent=1) + "\n").encode())
    return result


def _judged(
    arm: str,
    seed: int,
    base: PcrlConfig,
    mine: Sequence[Case],
    sentinels: Sequence[Case],
    directory: Path,
    settings: ExpertSettings,
    gate: GateSettings,
    datasets: Path,
) -> PoisonedResult:
    """As a round of the loop does it: train, calibrate, measure beside the champion, decide."""
    records = [Unlabelled(id=identity(case), site=case.site, record=case.record) for case in mine]
    changes = ARMS[arm] | {"name": "cmr-r-nano", "version": "1.1", "seed": seed}
    candidate, labels = learned(base, changes, records, directory)
    try:
        calibrate_on(candidate, settings, chosen(open_cases([datasets / "cmr-r-dev"]), len(sentinels)), "cmr-r-dev")
    except BadInput as error:
        return _stopped(arm, seed, f"no candidate: {error.problem}")
    champion = fetch_checkpoint(str(base.start), None)
    trial = measured_trial("cmr-r-nano", ("1", champion), ("2", candidate), settings, sentinels)
    return PoisonedResult(
        arm=arm,
        seed=seed,
        labelled=len(labels),
        filled_in=sum(category == FILLED_IN for category in labels.values()),
        stopped="",
        decision=decide(trial, gate),
        accuracy=(_elsewhere(trial.champion, mine[0].site), _elsewhere(trial.candidate, mine[0].site)),
    )


def _stopped(arm: str, seed: int, why: str) -> PoisonedResult:
    return PoisonedResult(arm=arm, seed=seed, labelled=None, filled_in=None, stopped=why, decision=None, accuracy=None)


def _elsewhere(measured: Measured, site: str) -> float:
    """Accuracy on other sites' sentinels."""
    others = [one.right for one in measured.outcomes if one.site != site]
    return sum(others) / len(others)


def poisoned(cases: Sequence[Case], filled_in: Case) -> list[Case]:
    """The cases as such a site has them: another's description, and a clinician's label that goes by it."""
    records = templated([case.record for case in cases], filled_in.record)
    changes = [{"record": record, "category": filled_in.category} for record in records]
    return [case.model_copy(update=change) for case, change in zip(cases, changes, strict=True)]


def _verdict(one: PoisonedResult) -> str:
    return "stopped" if one.decision is None else one.decision.decision


def table(found: Sequence[PoisonedResult]) -> Table:
    """For people."""
    title = "A site that is wrong throughout: what was learned, and who stopped it"
    shown = Table(
        "arm", "seed", "labelled", "as filled in", "elsewhere, champion", "candidate", "verdict", "why", title=title
    )
    for one in found:
        labels = [str(one.labelled), str(one.filled_in)] if one.labelled is not None else ["", ""]
        accuracies = ["", ""] if one.accuracy is None else [f"{each:.3f}" for each in one.accuracy]
        why = one.stopped if one.decision is None else one.decision.why
        shown.add_row(one.arm, str(one.seed), *labels, *accuracies, _verdict(one), why)
    return shown


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.poisoned", description=__doc__)
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--records", type=int, default=120, help="that are learned from")
    parser.add_argument("--most", type=int, default=300, help="sentinels of other sites")
    parser.add_argument("--slower", type=float, default=2.0, help="the gate's; a busy machine fails its own rule")
    parser.add_argument("--base", type=Path, default=Path("configs/train/cmr-r-pcrl.yaml"), help="what all arms share")
    parser.add_argument("--datasets", type=Path, default=DATASETS)
    parser.add_argument("--directory", type=Path, default=Path("var/poisoned"), help="where runs lie")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where their results are kept")
    return parser


if __name__ == "__main__":
    sys.exit(main())
