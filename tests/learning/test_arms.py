"""The arms of `make bench-learning`: equal budgets, what a subset is, what runs come to."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reasoning import make_case_dataset, make_guesser

from benchmarks import learning
from chordae.cohort.record_cases import read_cases
from chordae.learning import arms
from chordae.learning.arms import (
    ARMS,
    NAIVE,
    SFT,
    Point,
    RunResult,
    config_of,
    directory_of,
    load_base,
    read_result,
    result_of,
    run_arm,
    seeds_of,
)
from chordae.learning.arms_results import reached, summarise, table
from chordae.learning.diagnosis_evaluation_report import DiagnosisOutcome
from chordae.learning.tracking import LOSSES, read_losses
from chordae.platform.diagnosis.category import CATEGORIES
from chordae.platform.errors import BadInput, BadSettings
from chordae.platform.settings import ExpertSettings

BASE = Path("configs/train/cmr-r-arms/base.yaml")
TINY = """
type: ma-grpo
name: arm
version: "0"
start: {root}/start
cases: [{root}/train]
development: [{root}/development]
rounds: 3
curriculum: {{round_prompts: 8, small_below: 4, rewards: {{longest: 100}}}}
batch: 16
group: 4
prompt_tokens: 1024
answer_tokens: 10
learning_rate: 1.0e-3
warmup: 1
save_every: 1
workers: 0
bf16: false
"""


def outcomes(right: float, seed: int, cases: int = 160) -> tuple[DiagnosisOutcome, ...]:
    """The same patients for every run; so many are diagnosed rightly."""
    rng = np.random.default_rng(seed)
    made = []
    for place in range(cases):
        truth = CATEGORIES[place % 8]
        said = truth if rng.random() < right else CATEGORIES[(place + 1) % 8]
        shares = tuple(0.93 if name == said else 0.01 for name in CATEGORIES)
        made.append(
            DiagnosisOutcome(
                patient=str(place), site="a", truth=truth, category=said, probabilities=shares, faithful=True, why=(),
                written="",
            )
        )  # fmt: skip
    return tuple(made)


def result(arm: str, seed: int, right: float, curve: list[tuple[int, float]]) -> RunResult:
    points = tuple(Point(rollouts=count, macro_f1=f1) for count, f1 in curve)
    return RunResult(
        arm=arm, seed=seed, config="c", start="s", rollouts=points[-1].rollouts if points else 0, curve=points,
        rarest=CATEGORIES[3:6], outcomes=outcomes(right, 10 * seed + len(arm)),
    )  # fmt: skip


def test_all_arms_have_one_budget_and_differ_in_the_curriculum_alone() -> None:
    base = load_base(BASE)
    made = {arm: config_of(arm, 1, base, None) for arm in ARMS}
    assert {one.budget for one in made.values()} == {base.rounds * base.curriculum.round_prompts * base.group}
    rest = {
        one.model_copy(update={"curriculum": base.curriculum, "name": ""}).model_dump_json() for one in made.values()
    }
    assert len(rest) == 1
    assert made[NAIVE].curriculum == base.curriculum
    assert len({one.curriculum.model_dump_json() for arm, one in made.items() if arm != SFT}) == 6
    shorter = config_of(NAIVE, 1, base, 2)
    assert (shorter.rounds, shorter.steps) == (2, 2 * base.steps // base.rounds)
    assert seeds_of(SFT, [1, 2, 3]) == [1] and seeds_of(NAIVE, [1, 2]) == [1, 2]


def test_a_better_arm_is_better_than_naive_and_gets_there_sooner() -> None:
    naive = [result(NAIVE, seed, 0.6, [(100, 0.4), (200, 0.5 + 0.01 * seed)]) for seed in (1, 2, 3)]
    ours = [result("thompson", seed, 0.95, [(100, 0.6), (200, 0.9)]) for seed in (1, 2, 3)]
    same = [result("drpo", seed, 0.6, [(100, 0.3), (200, 0.5)]) for seed in (1, 2, 3)]
    lines = {one.arm: one for one in summarise([result(SFT, 1, 0.5, []), *naive, *ours, *same])}
    assert list(lines) == [arm for arm in ARMS if arm in lines], "in the order of the arms"
    better, equal = lines["thompson"].more_than_naive["macro_f1"], lines["drpo"].more_than_naive["macro_f1"]
    assert better.interval is not None and better.interval[0] > 0.2
    assert equal.interval is not None and equal.interval[0] < 0 < equal.interval[1]
    assert (lines["thompson"].reached, lines["drpo"].reached) == ((100,) * 3, (None,) * 3), "the goal is 0.52"
    assert not lines[NAIVE].more_than_naive and lines[SFT].reached == (None,)
    for line in lines.values():
        for name, one in line.figures.items():
            assert one.value == pytest.approx(np.mean(line.by_seed[name]))
            assert one.interval is not None and one.interval[0] <= one.value <= one.interval[1]  # type: ignore[operator]
    assert table(list(lines.values())).row_count == 4


def test_the_interval_holds_the_spread_of_seeds_and_not_of_patients_alone() -> None:
    apart = [result(NAIVE, seed, right, [(1, 0.5)]) for seed, right in ((1, 0.3), (2, 0.6), (3, 0.9))]
    alike = [result(NAIVE, seed, 0.6, [(1, 0.5)]) for seed in (1, 2, 3)]
    wide, narrow = (summarise(runs)[0].figures["accuracy"].interval for runs in (apart, alike))
    assert wide is not None and narrow is not None
    assert wide[1] - wide[0] > 2.5 * (narrow[1] - narrow[0])


def test_the_goal_is_reached_at_the_first_round_that_has_it() -> None:
    run = result("thompson", 1, 0.9, [(10, 0.2), (20, 0.6), (30, 0.5), (40, 0.7)])
    assert [reached(run, goal) for goal in (0.1, 0.55, 0.7, 0.8, None)] == [10, 20, 40, None, None]


def test_runs_of_different_cases_or_starts_do_not_compare() -> None:
    run = result(NAIVE, 1, 0.5, [(1, 0.5)])
    for change in ({"start": "t"}, {"outcomes": run.outcomes[1:]}):
        with pytest.raises(BadInput, match="several"):
            summarise([run, run.model_copy(update=change)])
    with pytest.raises(BadInput, match="no run"):
        summarise([])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_case_dataset(tmp_path / "train", 60, 1)
    make_case_dataset(tmp_path / "development", 16, 2)
    make_case_dataset(tmp_path / "test", 16, 3)
    make_guesser(tmp_path / "start", read_cases(tmp_path / "train"))
    (tmp_path / "base.yaml").write_text(TINY.format(root=tmp_path))
    return tmp_path


@pytest.mark.slow
def test_a_run_ends_with_its_budget_is_judged_and_is_not_done_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replacements count: with a filter there are fewer steps. The engine of the test set is left out."""
    asked: list[Path] = []

    def diagnosed(checkpoint: Path, settings: Any, cases: Any, *rest: Any) -> list[DiagnosisOutcome]:
        asked.append(checkpoint)
        made = zip(outcomes(0.5, 1, len(cases)), cases, strict=True)
        return [one.model_copy(update={"patient": case.patient, "site": case.site}) for one, case in made]

    monkeypatch.setattr(arms, "diagnosed", diagnosed)
    settings = ExpertSettings(model="none", port=1)

    def run(arm: str) -> RunResult:
        return run_arm(arm, 1, root / "base.yaml", 2, root / "test", settings, root / "arms", root / "results", 0)

    base = load_base(root / "base.yaml")
    for arm in (NAIVE, "thompson-zero-variance"):
        found = run(arm)
        config = config_of(arm, 1, base, 2)
        directory = directory_of(root / "arms", arm, 1, config)
        steps = read_losses(directory / f"model.{LOSSES}")
        assert config.budget == 64
        spent = np.cumsum([16 + 4 * step["replaced"] for step in steps])
        assert found.rollouts == spent[-1] >= 64 > ([0, *spent])[-2], (
            "the first step that reaches the budget is the last"
        )
        assert arm != NAIVE or len(steps) == 4
        assert found.curve[-1].rollouts == found.rollouts, "the last point is the end's"
        assert all(0 <= point.macro_f1 <= 1 for point in found.curve)
        assert run(arm) == found == read_result(result_of(root / "results", arm, 1, config), config)
    assert len(asked) == 2
    with pytest.raises(BadSettings, match="another configuration"):
        read_result(result_of(root / "results", arm, 1, config), config.model_copy(update={"seed": 2}))
    assert run(SFT).rollouts == 0 and asked[-1] == root / "start"
    with pytest.raises(BadSettings, match="other cases"):
        run_arm(NAIVE, 1, root / "base.yaml", 2, root / "test", settings, root / "arms", root / "results", 3)


def test_a_subset_is_run_side_by_side_and_written(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, told = load_base(root / "base.yaml"), []

    def command(words: list[str], **options: Any) -> Any:
        told.append(words)
        arm, seed = words[words.index("--arms") + 1], int(words[words.index("--seeds") + 1])
        config = config_of(arm, seed, base, 2)
        made = result(arm, seed, 0.5, [] if arm == SFT else [(64, 0.5)]).model_copy(update={"config": config.digest()})
        (root / "results").mkdir(exist_ok=True)
        packed = gzip.compress(made.model_dump_json().encode())
        result_of(root / "results", arm, seed, config).write_bytes(packed)
        return type("Done", (), {"returncode": 0})

    monkeypatch.setattr(learning.subprocess, "run", command)
    settings = root / "settings.yaml"
    settings.write_text("reasoner: {model: none, port: 8030}")
    words = ["--arms", SFT, NAIVE, "drpo", "--seeds", "1", "2", "--rounds", "2", "--base", str(root / "base.yaml")]
    words += ["--directory", str(root / "arms"), "--results", str(root / "results"), "--settings", str(settings)]
    assert learning.main(words) == 0
    assert len(told) == 5, "SFT once"
    assert '"arm": "drpo"' in (root / "results" / "summary.json").read_text()
