"""Media that an expert cannot read: blank, noise, another modality's. It learns to say that its own was not provided.

An expert that was only ever shown its own modality reads a finding off whatever it is shown, and the image-absent probe
does not catch that: the answer does change when the picture goes.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chordae.cohort.dataset import SAMPLES, Sample, read_rows
from chordae.learning.media_cache import Pixels, Seen, View, see
from chordae.learning.studies import refuse_held_out
from chordae.platform.errors import BadInput

STUDIES = 100
"""Of each dataset: they need to look foreign, not to be told apart."""
BLANK, NOISE = 0.35, 0.15
"""Shares of what is drawn; the rest is of another modality, as far as there is any."""


class Foreign:
    """Draws media that show nothing of a modality."""

    def __init__(self, datasets: Sequence[Path], held_out: Sequence[Path], view: View) -> None:
        """Read the media of other modalities.

        Raises:
            BadInput: a dataset is missing, damaged, or has no study of another modality; or it holds held-out patients.
        """
        self.view = view
        self.others: list[Pixels] = []
        for dataset in datasets:
            rows = [row for row in read_rows(dataset / SAMPLES, Sample) if row.modality != view.modality][:STUDIES]
            if not rows:
                raise BadInput(
                    f"{dataset} has only {view.modality} studies", "name one of another modality in `foreign`"
                )
            refuse_held_out([(dataset, row) for row in rows], held_out)
            self.others += [_as_seen(dataset / row.media, row, view) for row in rows]

    def draw(self, seconds: float, rng: np.random.Generator) -> Seen:
        """One of them; `seconds` as of the studies that it stands among."""
        draw, (width, height) = rng.random(), self.view.size
        if draw < NOISE:
            few = rng.integers(0, 256, (height, width, 3), np.uint8)
            return Seen(np.stack([np.roll(few, 7 * number, axis=0) for number in range(self.view.frames)]), seconds)
        if draw < NOISE + BLANK or not self.others:
            level = rng.integers(0, 256, 3 if rng.random() < 0.3 else 1).astype(np.uint8)
            shape = (self.view.frames, height, width, 3)
            return Seen(np.ascontiguousarray(np.broadcast_to(level, shape)), seconds)
        return Seen(self.others[int(rng.integers(len(self.others)))], seconds)


def _as_seen(media: Path, row: Sample, view: View) -> Pixels:
    """(frames, height, width, 3): of a video, for a picture's expert its first frame; of a picture, a still video."""
    pixels = see(media, View(row.modality, view.size, view.frames)).pixels
    return np.ascontiguousarray(np.broadcast_to(pixels, (view.frames, *pixels.shape[1:])))
