"""A curriculum that goes on from its file draws what an unbroken one draws, wherever it was killed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from curriculum_steps import IDS, ROUND, ROUNDS, begin, step
from hypothesis import given, settings
from hypothesis import strategies as st

from chordae.learning.curriculum.posterior import Posterior
from chordae.learning.curriculum.rounds import Curriculum
from chordae.learning.curriculum.samplers.thompson import sample_thompson
from chordae.learning.curriculum.state import FILE, CurriculumState
from chordae.platform.errors import BadInput, BadSettings

RUN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from curriculum_steps import ROUNDS, Curriculum, begin, sample_thompson, step
from chordae.learning.curriculum.state import FILE, CurriculumState
directory = Path(sys.argv[1])
if (directory / FILE).exists():
    curriculum = Curriculum(CurriculumState.read(directory), sample_thompson)
else:
    curriculum = begin()
while curriculum.state.rounds < ROUNDS:
    step(curriculum)
    curriculum.state.write(directory)
    print("written", flush=True)
"""


@pytest.mark.slow
def test_killed_anywhere_and_started_again_it_ends_as_an_unbroken_one(tmp_path: Path) -> None:
    unbroken = begin()
    while unbroken.state.rounds < ROUNDS:
        step(unbroken)
    for steps in (4, 9, 17, None):  # the last one is left alone
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, tmp_path, Path(__file__).parent],
            stdout=subprocess.PIPE,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        assert process.stdout is not None
        for _ in range(steps or 0):
            assert process.stdout.readline() == b"written\n"
        if steps is not None:
            process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == (0 if steps is None else -signal.SIGKILL)
        assert steps is None or CurriculumState.read(tmp_path).rounds < ROUNDS
    assert CurriculumState.read(tmp_path) == unbroken.state


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32), st.lists(st.booleans(), min_size=25, max_size=25))
def test_read_back_from_json_at_any_step_it_draws_the_same(seed: int, broken: list[bool]) -> None:
    unbroken, resumed = begin(seed), begin(seed)
    for again in broken:
        if again:
            state = CurriculumState.model_validate_json(resumed.state.model_dump_json())
            resumed = Curriculum(state, sample_thompson)
        assert step(resumed) == step(unbroken)
    assert resumed.state == unbroken.state


def test_a_state_does_not_change_when_the_curriculum_moves_on() -> None:
    curriculum = begin()
    state = curriculum.state
    before = state.model_dump_json()
    drawn = [step(curriculum) for _ in range(4)]
    assert state.model_dump_json() == before
    again = Curriculum(state, sample_thompson)
    assert [step(again) for _ in range(4)] == drawn
    assert state.model_dump_json() == before


def test_a_round_hands_out_its_prompts_once_and_its_assessment_moves_the_posteriors() -> None:
    curriculum = begin()
    drawn = curriculum.begin_round(ROUND)
    assert drawn.number == 1
    with pytest.raises(ValueError, match="not assessed"):
        curriculum.begin_round(ROUND)
    taken = [one for _ in range(4) for one in curriculum.take(3)]
    assert tuple(taken) == drawn.ids
    with pytest.raises(ValueError, match="0 left"):
        curriculum.take(1)
    curriculum.end_round({"rare": (1, 5)})
    assert curriculum.state.posteriors["rare"] == Posterior(alpha=2, beta=5)
    assert (curriculum.state.rounds, curriculum.state.current, curriculum.left) == (1, None, 0)


def test_a_round_of_which_prompts_are_left_is_not_assessed() -> None:
    curriculum = begin()
    for _ in range(2):
        with pytest.raises(ValueError, match="all taken"):
            curriculum.end_round({})
        if curriculum.state.current is None:
            curriculum.begin_round(ROUND)


def test_weak_classes_are_asked_more_in_the_rounds_that_follow() -> None:
    curriculum, quota = begin(), dict.fromkeys(IDS, 0)
    for _ in range(20):
        for name, count in curriculum.begin_round(ROUND).quota.items():
            quota[name] += count
        curriculum.take(ROUND)
        curriculum.end_round({"common": (19, 20), "usual": (18, 20), "rare": (1, 10)})
    assert quota["rare"] > 5 * quota["usual"] > 0


def test_a_file_that_is_missing_or_broken_and_other_examples_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no state"):
        CurriculumState.read(tmp_path)
    state = begin().state
    state.write(tmp_path)
    assert CurriculumState.read(tmp_path) == state
    assert json.loads((tmp_path / FILE).read_text())["rounds"] == 0
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:-5])
    with pytest.raises(BadInput, match="no state"):
        CurriculumState.read(tmp_path)
    state.refuse_other_examples({name: ids[::-1] for name, ids in IDS.items()})
    with pytest.raises(BadSettings, match="not those"):
        state.refuse_other_examples(IDS | {"rare": ["other"]})
