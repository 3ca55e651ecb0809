"""`make bench-prospective`: a late site's records, unlabelled, learned from in three ways, with and without noise.

Hours; what has a result in --results is not run again, and a run that was stopped goes on. A subset: --arms pcrl
--noise 0 --seeds 1.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from chordae.learning.diagnosis_evaluation import answers_of, chosen
from chordae.learning.diagnosis_evaluation_report import DiagnosisOutcome
from chordae.learning.diagnosis_evaluation_scores import Figure, accuracy, faithfulness, macro_f1, quantiles, resampled
from chordae.learning.prospective import ARMS, CHAMPION, ProspectiveResult, load_base, run_one
from chordae.learning.reasoner_lessons import open_cases
from chordae.platform.errors import BadSettings
from chordae.platform.settings import load_settings

RESULTS = Path(__file__).parent / "results" / "prospective"
DATASETS = Path("var/datasets")
FIGURES: dict[str, Figure] = {"accuracy": accuracy, "macro-F1": macro_f1, "faithful": faithfulness}


def main(words: list[str] | None = None) -> int:
    """Run what is wanted and not there yet, then say what it comes to."""
    told = _arguments().parse_args(words)
    reasoner = load_settings(Path("configs/laptop.yaml")).reasoner
    if reasoner is None:
        raise BadSettings("configs/laptop.yaml has no reasoner", "add one under `reasoner`")
    cases, late = (open_cases([DATASETS / name]) for name in ("cmr-r-coastal", "cmr-r-coastal-test"))
    seen = [one for one in open_cases([DATASETS / "cmr-r-test"]) if one.site != "heart-centre"]
    tests = (chosen(late, told.most), chosen(seen, told.most))
    runs = [(CHAMPION, 0.0, 0)]
    runs += [(arm, noise, seed) for seed in told.seeds for noise in told.noise for arm in told.arms if arm != CHAMPION]
    base, places = load_base(told.base), (told.directory, told.results)
    found = [run_one(*run, base, cases, told.records, tests, reasoner, *places) for run in runs]
    lines = summarise(found)
    (told.results / "summary.json").write_text(json.dumps(lines, indent=1) + "\n")
    Console(width=180).print(table(lines))
    return 0


def summarise(found: Sequence[ProspectiveResult]) -> list[dict[str, object]]:
    """A line for each arm and share of noise: gains over the champion, 95 % over seeds and patients."""
    champion = next(one for one in found if one.arm == CHAMPION)
    groups: dict[tuple[str, float], list[ProspectiveResult]] = {}
    for one in found:
        groups.setdefault((one.arm, one.noise), []).append(one)
    lines: list[dict[str, object]] = []
    for (arm, noise), runs in groups.items():
        labelled = sum(one.labelled for one in runs)
        line: dict[str, object] = {"arm": arm, "noise": noise, "seeds": [one.seed for one in runs]}
        line["labelled"] = labelled / sum(one.records for one in runs)
        line["labels right"] = sum(one.right for one in runs) / labelled if labelled else None
        line["noise labelled"] = sum(one.noise_labelled for one in runs)
        for where in ("late", "seen"):
            for name, figure in FIGURES.items():
                line[f"{where} {name}"] = _gain([getattr(one, where) for one in runs], getattr(champion, where), figure)
        lines.append(line)
    return lines


def _gain(
    runs: Sequence[Sequence[DiagnosisOutcome]], champion: Sequence[DiagnosisOutcome], figure: Figure
) -> dict[str, float]:
    """The mean over seeds, and its difference to the champion's; the same patients are drawn anew for all."""
    every = [answers_of(one) for one in runs]
    whole = np.ones((1, len(champion)))
    value = float(np.mean([figure(one, whole)[0] for one in every]))
    drawn = np.stack([resampled(one, figure) for one in every]) - resampled(answers_of(champion), figure)
    seeds = np.random.default_rng(0).integers(len(every), size=(drawn.shape[1], len(every)))
    gains = np.take_along_axis(drawn.T, seeds, axis=1).mean(axis=1)
    low, high = quantiles(gains)
    return {"value": value, "gain": value - float(figure(answers_of(champion), whole)[0]), "low": low, "high": high}


def table(lines: Sequence[dict[str, object]]) -> Table:
    """The same for people."""
    shown = Table("arm", "noise", "labelled", "labels right", *(f"{w} {f}" for w in ("late", "seen") for f in FIGURES))
    for line in lines:
        right = line["labels right"]
        cells = [f"{line['labelled']:.2f}", "" if right is None else f"{right:.3f}"]
        for where in ("late", "seen"):
            for name in FIGURES:
                told = line[f"{where} {name}"]
                assert isinstance(told, dict)
                cells.append(f"{told['value']:.3f} ({told['low']:+.3f} to {told['high']:+.3f})")
        shown.add_row(str(line["arm"]), f"{line['noise']:g}", *cells)
    return shown


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prospective", description=__doc__)
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--noise", nargs="+", type=float, default=[0.0, 0.2, 0.4])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--records", type=int, default=240, help="that are learned from")
    parser.add_argument("--most", type=int, default=400, help="of each test set")
    parser.add_argument("--base", type=Path, default=Path("configs/train/cmr-r-pcrl.yaml"), help="what all arms share")
    parser.add_argument("--directory", type=Path, default=Path("var/prospective"), help="where runs lie")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where their answers are kept")
    return parser


if __name__ == "__main__":
    sys.exit(main())
