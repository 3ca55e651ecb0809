"""Every example is as likely as any other, so classes come as often as they are frequent: naive GRPO."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from chordae.learning.curriculum.pools import Pools
from chordae.learning.curriculum.posterior import Posterior
from chordae.learning.curriculum.samplers.sampler import Batch, draw_batch


def sample_uniform(
    pools: Pools, posteriors: Mapping[str, Posterior], size: int, generator: np.random.Generator
) -> Batch:
    """Quotas are multinomial, each class's probability its share of all examples.

    Rounded shares would never give a class of one in a thousand a place in a batch of 64; chance does.
    """
    sizes = pools.sizes()
    total = sum(sizes.values())
    weights = {name: count / total for name, count in sizes.items()}
    counts = generator.multinomial(size, list(weights.values()))
    return draw_batch(pools, weights, dict(zip(weights, counts.tolist(), strict=True)), generator)
