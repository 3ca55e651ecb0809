"""Every example weighs 1 over its class's size, so that all classes come equally often."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from chordae.learning.curriculum.pools import Pools
from chordae.learning.curriculum.posterior import Posterior
from chordae.learning.curriculum.quota import apportion
from chordae.learning.curriculum.samplers.sampler import Batch, draw_batch


def sample_inverse_frequency(
    pools: Pools, posteriors: Mapping[str, Posterior], size: int, generator: np.random.Generator
) -> Batch:
    """Equal quotas: a class's weight is its size times 1 / size, which is 1."""
    weights = dict.fromkeys(pools.sizes(), 1.0)
    return draw_batch(pools, weights, apportion(weights, size, generator), generator)
