"""Where the real samples lie, for tests that also try what the product does with them."""

import os
from pathlib import Path

import pytest

SAMPLES = Path(os.environ.get("PRELABEL_SAMPLES") or Path(__file__).parents[2] / "shared" / "data").resolve()

needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"the real samples are not at {SAMPLES}")
