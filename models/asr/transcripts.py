"""One way to write a transcript, shared by training, decoding and the metrics."""

import re
import unicodedata
from collections.abc import Iterable

NORMALISER = "lower-case NFC, punctuation removed, no spaces within Chinese and Japanese"

_APOSTROPHES = str.maketrans({"’": "'", "ʼ": "'", "`": "'"})
# Kana and Han characters, by their numbers: an editor that writes U+F900 as U+8C48, which is the same to Unicode, would
# let the last range but one begin there, and Hangul lies between.
_UNSPACED = (
    r"[\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
    r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]"
)
_GAP = re.compile(f"(?<={_UNSPACED}) (?={_UNSPACED})")
_ZERO_WIDTH_SPACE = "\u200b"
_UNIT = re.compile(f"{_UNSPACED}|(?:(?!{_UNSPACED})\\S)+")


def normalise(text: str) -> str:
    """Lower case, Unicode NFC, single spaces; no punctuation or symbols but apostrophes inside words.

    Nobody says or hears spaces in Chinese or Japanese, so between two of their characters there are none, whether the
    text was cut into words or stops stood there. Invisible marks inside a word do not part it. Digits stay digits, and
    number words stay words.
    """
    folded = unicodedata.normalize("NFC", _visible(text).translate(_APOSTROPHES).lower())
    kept = "".join(character if _spoken(character) else " " for character in folded)
    words = (word.strip("'") for word in kept.split())
    return _GAP.sub("", " ".join(word for word in words if word))


def units(text: str) -> list[str]:
    """What people compare: words, and each character of Chinese and Japanese by itself."""
    return _UNIT.findall(text)


def joined(units: Iterable[str]) -> str:
    """The text that consists of these units."""
    return _GAP.sub("", " ".join(units))


def _visible(text: str) -> str:
    """Without what only shapes a word or says where it may break: joiners, soft hyphens, marks of direction."""
    return "".join(c for c in text if unicodedata.category(c) != "Cf" or c == _ZERO_WIDTH_SPACE)


def _spoken(character: str) -> bool:
    return character == "'" or unicodedata.category(character)[0] in "LMN"
