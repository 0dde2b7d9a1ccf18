"""Arithmetic is counted as its shapes say, and a peak is what products of matrices reach."""

import pytest
import torch
from torch import Tensor, nn

from models import utilisation
from models.utilisation import peak, with_operations


def test_operations_are_two_for_each_multiplication_forward_and_four_back() -> None:
    layer = nn.Linear(32, 8, bias=False)

    def work() -> Tensor:
        loss: Tensor = layer(torch.ones(4, 32)).sum()
        torch.autograd.backward(loss)
        return loss.detach()

    loss, operations = with_operations(work)
    assert loss.item() == pytest.approx(4 * layer.weight.sum().item(), abs=1e-5)
    assert operations == 2 * 4 * 32 * 8 * 2  # forward, and back to the weights; the input has no gradient


@pytest.mark.parametrize("groups", [1, 2, 8])
def test_a_convolution_takes_as_much_for_each_gradient_as_forward(groups: int) -> None:
    layer = nn.Conv1d(8, 16, 3, padding=1, groups=groups, bias=False)

    def work() -> None:
        torch.autograd.backward(layer(torch.ones(4, 8, 32, requires_grad=True)).sum())

    assert with_operations(work)[1] == 3 * (2 * 4 * 32 * 16 * (8 // groups) * 3)


def test_a_peak_is_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(utilisation.SIDES, "cpu", 64)
    assert 1e6 < peak(torch.device("cpu")) < 1e15
