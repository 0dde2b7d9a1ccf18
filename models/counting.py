"""Numbers of things, as people read them."""


def counted(number: int, thing: str) -> str:
    """``0 labels``, ``1 label``, ``2 labels``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
