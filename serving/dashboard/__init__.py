"""The page at ``/``: figures, the latest pre-annotations as pictures, and the versions; all of it from this package."""
