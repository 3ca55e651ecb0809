"""Voters and trainees are apart: an answer that voted is never trained on, and a case's fold is decided by its id."""

from __future__ import annotations

import hashlib
from typing import Literal

Role = Literal["voter", "trainee"]
SEEDS = 2**31
"""Seeds are below it: what every sampler takes."""


def fold_of(case: str, folds: int, salt: str = "") -> int:
    """The fold of a case, 0 to folds - 1: the same in every process and order, another arrangement for another salt.

    Raises:
        ValueError: no fold.
    """
    if folds < 1:
        raise ValueError("at least one fold")
    return _hash("fold", salt, case) % folds


def answer_seed(case: str, role: Role, number: int, salt: str = "") -> int:
    """The sampling seed of a case's answer of that role and number, 0 to 2^31 - 1.

    A voter's is even and a trainee's odd: no answer is ever drawn in both roles.
    """
    return _hash("seed", salt, case, role, str(number)) % (SEEDS // 2) * 2 + (role == "trainee")


def _hash(*parts: str) -> int:
    text = "\0".join(parts)  # no part holds it, so that ("a", "bc") and ("ab", "c") differ
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
