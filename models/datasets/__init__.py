"""Public data formats, one reader a file: ``read(root, split) -> Iterator[(Item, Label)]``."""
