"""What training steps with: AdamW, and Muon for the matrices of our own networks."""

from collections.abc import Sequence

import torch
from torch import nn

from models import tasks

WEIGHT_DECAY = 0.05
MUON_PACE = 2.5  # times the learning rate, for the matrices that learn by Muon


def optimizers(network: nn.Module, learning_rate: float) -> list[torch.optim.Optimizer]:
    """AdamW; but Muon (Jordan 2024) for the matrices between the hidden layers of our own networks.

    Muon's steps have the size of AdamW's at one learning rate (Liu et al. 2025) and bear to be longer. What others
    pretrained with AdamW stays with it.
    """
    own = tasks.architecture(network.settings) is None
    named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    matrices = [p for name, p in named if own and p.ndim == 2 and not name.startswith("head")]
    others = [p for name, p in named if not own or p.ndim != 2 or name.startswith("head")]
    groups = [
        {"params": [p for p in others if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in others if p.ndim <= 1], "weight_decay": 0.0},
    ]
    made: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, lr=learning_rate)]
    if matrices:
        made.append(
            torch.optim.Muon(
                matrices, MUON_PACE * learning_rate, weight_decay=WEIGHT_DECAY, adjust_lr_fn="match_rms_adamw"
            )
        )
    return made


def step(made: Sequence[torch.optim.Optimizer], learning_rate: float) -> None:
    """One step of each, by the gradients at hand."""
    for optimizer in made:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * (MUON_PACE if isinstance(optimizer, torch.optim.Muon) else 1.0)
        optimizer.step()
