"""Weak classes come more often: an accuracy is drawn from each class's posterior, and its quota follows the rest to 1.

Source: CMR-R, MA-GRPO. Drawing (Thompson, Biometrika 1933;25:285) rather than taking the mean keeps classes in play
of which little is known yet: a wide posterior often gives a low accuracy.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from chordae.learning.curriculum.pools import Pools
from chordae.learning.curriculum.posterior import Posterior
from chordae.learning.curriculum.quota import apportion
from chordae.learning.curriculum.samplers.sampler import Batch, draw_batch


def sample_thompson(
    pools: Pools, posteriors: Mapping[str, Posterior], size: int, generator: np.random.Generator
) -> Batch:
    """Weight 1 - theta, theta ~ Beta(alpha, beta) of the class; quotas in proportion."""
    weights = {name: 1.0 - posteriors[name].draw(generator) for name in pools.by_class}
    return draw_batch(pools, weights, apportion(weights, size, generator), generator)
