"""Other programs are told what happens here, in signed messages.

``signing`` makes secrets and signatures, ``sender`` delivers, ``routes`` lets admins say who is told, by the
records of ``answers``.
"""
