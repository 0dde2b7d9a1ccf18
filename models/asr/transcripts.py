"""One way to write a transcript, shared by training, decoding and the metrics."""

import unicodedata

NORMALISER = "lower-case NFC, punctuation removed"

_APOSTROPHES = str.maketrans({"’": "'", "ʼ": "'", "`": "'"})


def normalise(text: str) -> str:
    """Lower case, Unicode NFC, single spaces; no punctuation or symbols but apostrophes inside words."""
    folded = unicodedata.normalize("NFC", text.translate(_APOSTROPHES).lower())
    kept = "".join(character if _spoken(character) else " " for character in folded)
    words = (word.strip("'") for word in kept.split())
    return " ".join(word for word in words if word)


def _spoken(character: str) -> bool:
    return character == "'" or unicodedata.category(character)[0] in "LMN"
