"""The numbers that networks are trained in."""

import torch


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether half-width floats save time here: recent GPUs, and CPUs with AVX-512 BF16."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))  # older ones take longer for it
    return device.type == "cpu" and bool(torch.cpu.get_capabilities().get("avx512_bf16"))


def in_training(device: torch.device) -> torch.autocast:
    """The numbers that a training step computes in, but for what a network asks for itself: halves on a fast GPU."""
    halves = device.type == "cuda" and has_fast_bfloat16(device)
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=halves)
