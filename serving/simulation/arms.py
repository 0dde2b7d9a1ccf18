"""The ways of working that a simulation compares; all of them are the same loop."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

ArmName: TypeAlias = Literal["all-human", "pre-annotation", "random", "active", "system"]


@dataclass(frozen=True)
class Arm:
    """A way of working: what people are ``shown``, whether the model ``learns`` from them, whether the deployment's
    strategy ``chooses`` what they see next (chance does otherwise), and whether labels are accepted unseen where a
    promise ``accepts`` them."""

    name: ArmName
    words: str
    shown: bool = True
    learns: bool = True
    chooses: bool = False
    accepts: bool = False


ARMS = (
    Arm("all-human", "people label everything from nothing", shown=False),
    Arm("pre-annotation", "people review what the first model says of everything", learns=False),
    Arm("random", "people review everything in random order, the model learns", chooses=False),
    Arm("active", "people review everything, what teaches most first, the model learns", chooses=True),
    Arm("system", "as active, and what the promise covers is accepted unseen", chooses=True, accepts=True),
)
assert tuple(arm.name for arm in ARMS) == get_args(ArmName)
