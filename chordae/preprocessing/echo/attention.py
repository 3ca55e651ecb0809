"""Which clips are worth a tile, by what an expert learned to look at.

Attention pooling for multiple-instance learning (Ilse, Tomczak and Welling, ICML 2018, gated): trained on studies whose
label is known and whose clips' views are not, to tell the label from a weighted mean of the clips. The weights say
where the evidence was. One head a topic, so that the right ventricle may be looked for elsewhere than an effusion.
Training is `chordae train views`; here are the learned arrays and a few products of matrices.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from chordae.platform.errors import BadSettings
from chordae.preprocessing.echo.views import Candidate, describe, diverse

Array = NDArray[np.float32]
WEIGHTS = Path(__file__).with_name("attention.npz")
QUALITIES = 4
"""Features at the end that say how well a clip can be read."""
FARTHEST = 4.0
"""Deviations from the mean at most: a corner that is black in all that was learned from must not decide elsewhere."""
NAMES = ("mean", "scale", "content", "content_bias", "gate", "gate_bias", "score")


def clip_features(candidate: Candidate) -> Array:
    """(388,) what the clip shows (`describe`) and how well it can be read (4)."""
    quality = candidate.quality
    judged = (quality.contrast, quality.sharpness, quality.fill, quality.motion)
    return np.concatenate([describe(candidate.thumbnails), np.array(judged, np.float32)])


class AttentionSelector:
    """A `ViewSelector` that weighs clips as it has learned to and avoids likeness. It does not read the question."""

    def __init__(self, arrays: dict[str, Array]) -> None:
        if missing := [name for name in NAMES if name not in arrays]:
            raise BadSettings(f"the view selector's weights lack {', '.join(missing)}", "train it again: docs/train.md")
        self._arrays = arrays

    def attention(self, features: Array) -> Array:
        """(clips, 388) -> (clips, topics), each topic's share of attention: columns sum to 1.

        Without BLAS: it rounds rows by their place, where equal clips must stay equal, and its threads go on waiting
        for more long after these small products.
        """
        known = self._arrays
        standard = np.clip((features - known["mean"]) / known["scale"], -FARTHEST, FARTHEST)
        content = np.tanh(np.einsum("cf,fh->ch", standard, known["content"]) + known["content_bias"])
        gate = expit(np.einsum("cf,fh->ch", standard, known["gate"]) + known["gate_bias"])
        logits = np.einsum("ch,ht->ct", content * gate, known["score"])
        shares = np.exp(logits - logits.max(axis=0))
        return np.asarray(shares / shares.sum(axis=0), np.float32)

    def select(self, candidates: Sequence[Candidate], limit: int, question: str) -> list[int]:
        """See ViewSelector. Equals are taken in the study's order."""
        if not candidates:
            return []
        features = np.stack([clip_features(candidate) for candidate in candidates])
        return self.choose(features, [candidate.number for candidate in candidates], limit)

    def choose(self, features: Array, order: Sequence[int], limit: int) -> list[int]:
        """The clips worth most and unlike one another: `diverse` of the attention of the topics' mean.

        Args:
            features: (clips, 388), as `clip_features` gives them.
            order: (clips,) places in the study.
            limit: how many at most.
        """
        attended = self.attention(features).mean(axis=1) * len(features)  # 1: as much as any other clip
        return diverse(attended / (attended + 1), features[:, :-QUALITIES], order, limit)


@lru_cache(maxsize=1)
def shipped_selector() -> AttentionSelector:
    """The one that comes with the package.

    Raises:
        BadSettings: the file is missing or damaged.
    """
    try:
        with np.load(WEIGHTS, allow_pickle=False) as stored:
            return AttentionSelector({name: stored[name] for name in stored.files})
    except (OSError, ValueError) as error:
        raise BadSettings("the view selector's weights cannot be read", "install chordae again") from error
