"""Labels small enough to work out by hand: words a second long, boxes 10 pixels wide, upright lines."""

from models.records import Box, Boxes, Lane, Lanes, Transcript, Word


def words(text: str) -> Transcript:
    """A word a second."""
    return Transcript(text, tuple(Word(word, i, i + 1) for i, word in enumerate(text.split())))


def boxes(*columns: float) -> Boxes:
    """Cars of 10 x 10 px that begin at these columns."""
    return Boxes(99, 20, tuple(Box((x, 0, x + 10, 10), "car") for x in columns))


def lines(*columns: float) -> Lanes:
    """Lines over the whole height at these columns."""
    return Lanes(512, 99, tuple(Lane(((x, 98.0), (x, 0.0))) for x in columns))
