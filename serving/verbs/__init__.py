"""Verbs of the command line that come in groups: each a parse, one call and a print."""
