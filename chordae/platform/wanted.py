"""Which version of a model is to be served."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Wanted:
    """One version of one model, and where its files lie."""

    model: str
    version: str
    digest: str
    directory: Path
