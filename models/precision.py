"""The numbers that networks are trained in."""

import torch


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether half-width floats save time here: recent GPUs, and CPUs with AVX-512 BF16."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return device.type == "cpu" and bool(torch.cpu.get_capabilities().get("avx512_bf16"))
