"""Muon for matrices and AdamW for the rest, as one optimiser.

Muon (Jordan et al. 2024, `torch.optim.Muon`) orthogonalises the update of a weight matrix; embeddings, output weights,
gains and biases stay with AdamW. Trainers that know one optimiser can use the pair: groups are shared, not copied, so
a scheduler that changes a group's rate changes it where it is used.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

Named = Iterable[tuple[str, nn.Parameter]]
Part = tuple[Named, float, float]
"""Named parameters, AdamW's rate, Muon's rate; 0 leaves matrices to AdamW as well."""
NOT_MATRICES = ("patch_embed", "embed_tokens", "lm_head")


class MuonAdamW(torch.optim.Optimizer):
    """Both over the same parts, each with rates of its own."""

    def __init__(self, parts: Iterable[Part], weight_decay: float = 0.02) -> None:
        matrices: list[dict[str, Any]] = []
        others: list[dict[str, Any]] = []
        for named, adam_rate, muon_rate in parts:
            inner: list[nn.Parameter] = []
            outer: list[nn.Parameter] = []
            for name, parameter in named:
                hidden = muon_rate > 0 and parameter.ndim == 2 and not any(part in name for part in NOT_MATRICES)
                (inner if hidden else outer).append(parameter)
            if inner:
                matrices.append({"params": inner, "lr": muon_rate})
            others.append({"params": outer, "lr": adam_rate})
        self.members: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(others, weight_decay=weight_decay, betas=(0.9, 0.98)),
        ]
        if matrices:
            muon = torch.optim.Muon(matrices, weight_decay=weight_decay, momentum=0.95, adjust_lr_fn="match_rms_adamw")
            self.members.append(muon)
        super().__init__([{"params": group["params"]} for part in self.members for group in part.param_groups], {})
        self.param_groups = [group for part in self.members for group in part.param_groups]
        for group in self.param_groups:
            group["initial_lr"] = group["lr"]

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step of both."""
        for part in self.members:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """Of both, in order."""
        return {"members": [part.state_dict() for part in self.members]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """What `state_dict` gave."""
        for part, stored in zip(self.members, state_dict["members"], strict=True):
            part.load_state_dict(stored)
        self.param_groups = [group for part in self.members for group in part.param_groups]
