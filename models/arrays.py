"""Arrays of numpy by what they hold; a docstring or a comment tells their shape."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
AnyFloats: TypeAlias = NDArray[np.floating]  # of any precision
Bools: TypeAlias = NDArray[np.bool_]
