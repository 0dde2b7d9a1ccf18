"""What all tests share."""

from hypothesis import settings

settings.register_profile("prelabel", deadline=None)  # tests assert no times
settings.load_profile("prelabel")
