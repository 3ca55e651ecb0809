"""A small curriculum, and what a trainer does with it between two checkpoints."""

from chordae.learning.curriculum.rounds import Curriculum
from chordae.learning.curriculum.samplers.thompson import sample_thompson

IDS = {
    "common": [f"c{number}" for number in range(40)],
    "usual": [f"u{number}" for number in range(20)],
    "rare": [f"r{number}" for number in range(5)],
}
SMALL_BELOW, ROUND, ROUNDS = 10, 12, 60


def begin(seed: int = 3) -> Curriculum:
    return Curriculum.begin(IDS, SMALL_BELOW, seed, sample_thompson)


def step(curriculum: Curriculum) -> tuple[str, ...]:
    """Draw a round, or train on some of it, or assess it; returns what was drawn."""
    if curriculum.state.current is None:
        return curriculum.begin_round(ROUND).ids
    if curriculum.left:
        drawn = curriculum.take(min(5, curriculum.left)) + curriculum.extra(2)
        curriculum.note_rollouts(6 * len(drawn))
        return drawn
    number = curriculum.state.rounds
    curriculum.end_round({"common": (18, 20), "usual": (10 + number % 5, 20), "rare": (number % 3, 4)})
    return ()
