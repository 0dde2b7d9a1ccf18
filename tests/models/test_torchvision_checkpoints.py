"""Checkpoints of torchvision's detectors as people have them: by old names, in wrappers, beside other things."""

from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.checkpoints import read_state
from models.detection import torchvision_detector as ours
from models.detection.torchvision_detector import Settings
from models.errors import InvalidInput

CLASSES = ("__background__", "car", "van")
Weights = Mapping[str, Tensor]


def weights(model: str) -> dict[str, Tensor]:
    torch.manual_seed(0)
    return dict(ours.build(Settings(model, CLASSES)).state_dict())


def before_013(state: Weights) -> dict[str, Tensor]:
    """By the names that torchvision had before it put layers in groups, which its own older downloads have."""
    renamed = {}
    for key, value in state.items():
        parts = key.split(".")
        if "inner_blocks" in parts or "layer_blocks" in parts:
            del parts[-2]
        elif key.startswith("rpn.head.conv."):
            del parts[-3:-1]
        elif "conv" in parts[2:3] and parts[0] == "head" and len(parts) == 6:  # of RetinaNet alone
            parts = [*parts[:3], str(2 * int(parts[3])), parts[-1]]
        renamed[".".join(parts)] = value
    return renamed


@pytest.mark.parametrize("model", ["fcos_resnet50_fpn", "retinanet_resnet50_fpn", "fasterrcnn_mobilenet_v3_large_fpn"])
def test_old_names_are_read_as_torchvision_reads_them(tmp_path: Path, model: str) -> None:
    old = before_013(weights(model))
    theirs = ours.build(Settings(model, CLASSES))
    assert set(old) != set(theirs.state_dict())
    torch.save(old, tmp_path / "old.pth")
    theirs.load_state_dict(torch.load(tmp_path / "old.pth"))  # torchvision renames them, and lacks none
    settings, state = ours.pretrained(model, tmp_path / "old.pth", {"classes": ["car", "van"]})
    assert settings.model == model
    for key, value in theirs.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            assert torch.equal(state.pop(f"detector.{key}"), value)
    assert not state


WRAPPERS: dict[str, Callable[[Weights], object]] = {
    "DataParallel": lambda state: {f"module.{key}": value for key, value in state.items()},
    "compiled": lambda state: {f"module._orig_mod.{key}": value for key, value in state.items()},
    "Lightning": lambda state: {"epoch": 3, "state_dict": {f"net.{key}": value for key, value in state.items()}},
    "reference script": lambda state: {"model": state, "optimizer": {}, "args": Namespace(lr=0.02, data="/d")},
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_weights_come_out_of_what_others_wrap_them_in(tmp_path: Path, wrapper: str) -> None:
    state = {"backbone.body.weight": torch.ones(2, 3), "head.weight": torch.zeros(2)}
    torch.save(WRAPPERS[wrapper](state), tmp_path / "it.pth")
    read = read_state(tmp_path / "it.pth")
    assert set(read) == set(state)
    assert torch.equal(read["backbone.body.weight"], torch.ones(2, 3))


def test_what_is_not_plain_weights_is_named(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(1, 1), tmp_path / "it.pt")
    with pytest.raises(InvalidInput, match=r"weights, got torch\.nn\.modules\.linear\.Linear; save its state_dic"):
        read_state(tmp_path / "it.pt")
    torch.save({"ema": {"weight": torch.ones(1)}, "epoch": 2}, tmp_path / "it.pt")
    with pytest.raises(InvalidInput, match=r"expected weights by name, perhaps in model or .*, got ema, epoch"):
        read_state(tmp_path / "it.pt")


def test_weights_that_fit_two_models_must_be_declared(tmp_path: Path) -> None:
    """They see pictures of different sizes, of which weights know nothing."""
    given = {"classes": ["car", "van"]}
    torch.save(weights("fasterrcnn_mobilenet_v3_large_320_fpn"), tmp_path / "it.pth")
    with pytest.raises(InvalidInput, match=r"model: expected \w+_fpn or \w+_320_fpn to be declared, got .*it\.pth"):
        ours.pretrained("", tmp_path / "it.pth", given)
    settings, _ = ours.pretrained("fasterrcnn_mobilenet_v3_large_320_fpn", tmp_path / "it.pth", given)
    assert (settings.shortest, settings.longest) == (320, 640)


def test_others_are_refused_with_the_nearest(tmp_path: Path) -> None:
    state = weights("ssdlite320_mobilenet_v3_large")
    torch.save({**state, "head.mask.weight": torch.zeros(1)}, tmp_path / "it.pth")
    nearest = r"got others: 1 are not as in ssdlite320_mobilenet_v3_large, head\.mask\.weight first"
    with pytest.raises(InvalidInput, match=nearest):
        ours.pretrained("", tmp_path / "it.pth", {"classes": ["car", "van"]})
