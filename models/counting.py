"""Numbers and shares of things, as people read them."""


def counted(number: int, thing: str) -> str:
    """``0 labels``, ``1 label``, ``2 labels``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def percent(share: float) -> str:
    """A share of terms and counts: ``2 %``, ``0.05 %``, ``33.33 %``."""
    return f"{100 * share:.4g} %"
