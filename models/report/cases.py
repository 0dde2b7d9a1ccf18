"""Single items for a report's page: the picture or the sound itself, what was said of it, and the truth."""

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass

from PIL import Image as Pictures

from models import media
from models.asr.results import marked
from models.drawing.shapes import Drawing, draw, outline
from models.media import Image
from models.recordings import medium
from models.records import Label, Transcript
from models.report.judged import Judged

WIDEST = 480  # pixels of a picture in a report
MOST_SOUND = 200_000  # bytes: a longer sound is shown and not played

Marked = list[tuple[str, bool]]  # words, each with whether it differs


@dataclass(frozen=True)
class Case:
    """One item: ``source`` is its medium as a data URI, None for a sound too long to carry along.

    ``said`` and ``meant`` are the words of a sound, each with whether it differs from the other text.
    """

    id: str
    group: str | None
    p_error: float
    mistakes: int
    drawing: Drawing
    truth: Drawing
    source: str | None
    said: Marked
    meant: Marked


def cases(judged: Judged, rows: Iterable[int]) -> list[Case]:
    """The items of some rows, in that order."""
    return [_case(judged, row) for row in rows]


def _case(judged: Judged, row: int) -> Case:
    evaluation = judged.evaluation
    item, said, truth = evaluation.items[row], evaluation.predictions[row].label, evaluation.truths[row]
    data = medium(item.uri)
    sound = outline(media.read_audio(data, item.uri)) if isinstance(said, Transcript) else None
    ours, theirs = _marked(said, truth)
    return Case(
        id=item.id,
        group=item.group,
        p_error=float(judged.p_error[row]),
        mistakes=int(judged.evaluation.results.mistakes[row]),
        drawing=draw(said, sound),
        truth=draw(truth),
        source=_sound(data) if sound else _picture(media.read_image(data, item.uri)),
        said=ours,
        meant=theirs,
    )


def _marked(said: Label, truth: Label) -> tuple[Marked, Marked]:
    if isinstance(said, Transcript) and isinstance(truth, Transcript):
        return marked(said.text, truth.text)
    return [], []


def _picture(image: Image) -> str:
    """A small JPEG of it."""
    picture = Pictures.fromarray(image)
    picture.thumbnail((WIDEST, WIDEST), Pictures.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80, optimize=True)
    return _uri("image/jpeg", file.getvalue())


def _sound(data: bytes) -> str | None:
    """The file itself, if it is small."""
    kind = media.media_type(data)
    return _uri(kind, data) if kind and len(data) <= MOST_SOUND else None


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
