"""prelabel inside Label Studio: a machine-learning backend, and the corrections that come back from it.

``config`` and ``regions`` alone know its formats, ``client`` alone its API; the others do the work.
"""
