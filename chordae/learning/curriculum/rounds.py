"""A curriculum at work: draw a round, hand out its prompts, take in the assessment, and say where it stands.

It knows no model. A trainer calls `begin_round`, `take` until nothing is left, `extra` for a filter's replacements, and
`end_round` with the assessment; `state` belongs into every checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from chordae.learning.curriculum.pools import Pools
from chordae.learning.curriculum.posterior import assessed, uninformed
from chordae.learning.curriculum.samplers.sampler import Batch, Sampler
from chordae.learning.curriculum.state import CurriculumState, Round


class Curriculum:
    """The state, and the sampler that moves it on."""

    def __init__(self, state: CurriculumState, sampler: Sampler) -> None:
        """Go on from a state, which is not changed."""
        bits = np.random.PCG64()
        bits.state = cast(Any, state.generator)
        self._generator, self._sampler = np.random.Generator(bits), sampler
        self._pools = Pools(by_class=dict(state.pools.by_class))
        self._state = state

    @classmethod
    def begin(cls, ids: Mapping[str, Sequence[str]], small_below: int, seed: int, sampler: Sampler) -> Curriculum:
        """Nothing is known of any class, nothing was drawn.

        Args:
            ids: the training examples of each class; their order matters for what is drawn.
            small_below: classes with fewer examples are reused.
            seed: decides every draw.
            sampler: shares rounds among the classes.

        Raises:
            BadInput: a class without examples, or an example that is there twice.
        """
        generator = np.random.Generator(np.random.PCG64(seed))
        pools = Pools.begin(ids, small_below, generator)
        bits = dict(generator.bit_generator.state)
        return cls(CurriculumState(posteriors=uninformed(ids), pools=pools, generator=bits), sampler)

    @property
    def state(self) -> CurriculumState:
        """Where it stands now; later draws do not change it."""
        bits = dict(self._generator.bit_generator.state)
        pools = Pools(by_class=dict(self._pools.by_class))
        return self._state.model_copy(update={"generator": bits, "pools": pools})

    @property
    def left(self) -> int:
        """Prompts of the round that were not taken yet; 0 where none is in progress."""
        current = self._state.current
        return 0 if current is None else len(current.ids) - current.cursor

    def begin_round(self, size: int) -> Round:
        """Draw the next round's prompts.

        Raises:
            ValueError: a round is in progress.
            BadSettings: there are not so many examples.
        """
        if self._state.current is not None:
            raise ValueError("the round in progress was not assessed")
        batch = self._draw(size)
        current = Round(
            number=self._state.rounds + 1,
            ids=batch.ids,
            weights=batch.weights,
            quota=batch.quota,
            drawn=batch.drawn,
        )
        self._state = self._state.model_copy(update={"current": current})
        return current

    def take(self, count: int) -> tuple[str, ...]:
        """The round's next prompts, and the cursor behind them.

        Raises:
            ValueError: fewer are left.
        """
        current = self._state.current
        if current is None or count > self.left:
            raise ValueError(f"{count} prompts wanted, {self.left} left in the round")
        taken = current.ids[current.cursor : current.cursor + count]
        moved = current.model_copy(update={"cursor": current.cursor + count})
        self._state = self._state.model_copy(update={"current": moved})
        return taken

    def extra(self, count: int) -> tuple[str, ...]:
        """Prompts beside the round's, shared among the classes as the sampler does now: a filter's replacements.

        Raises:
            BadSettings: there are not so many examples.
        """
        return self._draw(count).ids

    def note_rollouts(self, count: int) -> None:
        """So many more answers were generated."""
        self._state = self._state.model_copy(update={"rollouts": self._state.rollouts + count})

    def end_round(self, counts: Mapping[str, tuple[int, int]]) -> None:
        """Take in the assessment: (correct, total) on the development set by class.

        Raises:
            ValueError: no round is in progress, prompts of it are left, or the counts cannot be.
        """
        if self._state.current is None or self.left:
            raise ValueError("only a round whose prompts were all taken can be assessed")
        self._state = self._state.model_copy(
            update={
                "posteriors": assessed(self._state.posteriors, counts),
                "rounds": self._state.rounds + 1,
                "current": None,
            }
        )

    def _draw(self, size: int) -> Batch:
        return self._sampler(self._pools, self._state.posteriors, size, self._generator)
