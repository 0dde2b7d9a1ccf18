"""In which numbers networks are trained on which device."""

from types import SimpleNamespace

import pytest
import torch

from models.precision import has_fast_bfloat16


@pytest.mark.parametrize(("generation", "fast"), [(7, False), (8, True), (9, True)])
def test_a_gpu_that_only_imitates_bfloat16_is_not_fast_at_it(
    generation: int, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Turing, as in a T4, can compute in it, and takes longer for it than for float32."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(major=generation))
    monkeypatch.setattr(torch.cuda, "_check_bf16_tensor_supported", lambda _: True)
    assert has_fast_bfloat16(torch.device("cuda")) == fast
