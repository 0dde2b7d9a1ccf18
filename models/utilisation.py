"""How busy training keeps a GPU: its arithmetic a second, as a share of what the GPU reaches on large matrices."""

import time
from collections.abc import Callable
from typing import TypeVar

import torch
from torch.utils.flop_counter import FlopCounterMode

Result = TypeVar("Result")

SIDES = {"cpu": 2048, "cuda": 8192}  # of the matrices whose products are timed,
PRODUCTS = 20  # and how many of them


def with_operations(work: Callable[[], Result]) -> tuple[Result, int]:
    """What ``work`` returns, and the floating-point operations of its matrix products and convolutions."""
    with FlopCounterMode(display=False) as counter:
        result = work()
    return result, counter.get_total_flops()


def peak(device: torch.device) -> float:
    """The operations a second that ``device`` reaches on products of large square matrices in bfloat16."""
    side = SIDES[device.type]
    matrix = torch.randn(side, side, device=device).bfloat16()
    out = torch.empty_like(matrix)
    torch.mm(matrix, matrix, out=out)
    _settle(device)
    began = time.perf_counter()
    for _ in range(PRODUCTS):
        torch.mm(matrix, matrix, out=out)
    _settle(device)
    return PRODUCTS * 2 * side**3 / (time.perf_counter() - began)


def _settle(device: torch.device) -> None:
    """Waits until the device has done all that it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
