"""Object detection: an image to boxes, each with its category and its doubt."""
