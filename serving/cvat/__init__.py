"""prelabel inside CVAT: a detector and a tracker as its serverless functions are.

``shapes`` alone knows its formats; the others do the work. ``serving/cvat_function.py`` stands apart: it runs where
CVAT's command line does.
"""
