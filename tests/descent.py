"""A few steps of training on one batch, for tests that a loss falls."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def losses(
    network: nn.Module, loss: Callable[[Any, Any], Tensor], batch: Any, steps: int, learning_rate: float
) -> list[float]:
    """The loss before each step of AdamW; parameters that are frozen stay."""
    optimizer = torch.optim.AdamW([each for each in network.parameters() if each.requires_grad], lr=learning_rate)
    values = []
    for _ in range(steps):
        network.train()
        value = loss(network, batch)
        optimizer.zero_grad()
        torch.autograd.backward(value)
        optimizer.step()
        values.append(value.item())
    return values
