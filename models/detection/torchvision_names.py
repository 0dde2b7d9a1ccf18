"""How torchvision's detectors call their weights, now and before."""

import re
from collections.abc import Mapping

from torch import Tensor

_CLASS_LAYERS = re.compile(
    r"(?<!rpn\.head)\.(cls_logits|classification_head\.module_list\.\d+\.1|box_predictor\.(cls_score|bbox_pred))\.(weight|bias)$"
)
_BEFORE = (  # torchvision 0.13 put layers in groups; most of its own downloads are older
    (re.compile(r"^(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)$"), r"\1.0.\2"),
    (re.compile(r"^(rpn\.head\.conv)\.(weight|bias)$"), r"\1.0.0.\2"),
)
_RETINANET = re.compile(r"^(head\.(?:classification|regression)_head\.conv)\.([0246])\.(weight|bias)$")


def of_classes(key: str) -> bool:
    """Whether a weight has as many rows as there are classes."""
    return _CLASS_LAYERS.search(key) is not None


def as_now(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a detector by the names of today, as torchvision itself renames them when it loads them."""
    fcos = any(key.endswith("bbox_ctrness.weight") for key in state)  # its head has kept its names
    return {_as_now(key, fcos): value for key, value in state.items() if not key.endswith("num_batches_tracked")}


def _as_now(key: str, fcos: bool) -> str:
    for before, now in _BEFORE:
        key = before.sub(now, key)
    return key if fcos else _RETINANET.sub(lambda found: f"{found[1]}.{int(found[2]) // 2}.0.{found[3]}", key)
