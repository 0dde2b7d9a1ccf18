"""How busy training keeps a GPU: its arithmetic a second, as a share of what the GPU reaches on large matrices."""

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from models.precision import has_fast_bfloat16

Result = TypeVar("Result")

SIDES = {"cpu": 2048, "cuda": 8192}  # of the matrices whose products are timed,
PRODUCTS = 20  # and how many of them


def with_operations(work: Callable[[], Result]) -> tuple[Result, int]:
    """What ``work`` returns, and the floating-point operations of its matrix products and convolutions."""
    back = {torch.ops.aten.convolution_backward: _operations_back}
    with FlopCounterMode(display=False, custom_mapping=back) as counter:
        result = work()
    return result, counter.get_total_flops()


def _operations_back(
    out: Sequence[int], images: Sequence[int], weight: Sequence[int], *others: Any, out_shape: object, **_: object
) -> int:
    """As many for each gradient as forward; torch counts those of the weights as if there were no groups."""
    transposed, wanted = others[4], others[7]
    return conv_flop_count(list(images), list(weight), list(out), transposed) * sum(map(bool, wanted[:2]))


def peak(device: torch.device) -> float:
    """The operations a second of ``device`` in products of large square matrices, in bfloat16 where that is fast."""
    side = SIDES[device.type]
    matrix = torch.randn(side, side, device=device)
    matrix = matrix.bfloat16() if has_fast_bfloat16(device) else matrix
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
