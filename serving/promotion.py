"""May a candidate replace the version that serves? The gold items decide."""

from collections.abc import Callable
from typing import TypeAlias

from models.counting import counted
from models.errors import NotFound, Refused, TooLarge, UnreadableMedia
from models.evaluate import quality
from models.records import Item, Label
from models.versions import ONNX
from serving.store.records import Comparison, StoredVersion

Pairs: TypeAlias = list[tuple[Item, Label]]
Compare: TypeAlias = Callable[[StoredVersion, Pairs], float]  # a version's quality in [0, 1] on labelled items


class Broken(Refused):
    """A version whose model does not load or breaks down at work."""

    def __init__(self, version: str, why: str) -> None:
        super().__init__(f"promote: expected {version} to load and to answer, got {why}")
        self.version = version
        self.why = why


def compared(
    candidate: StoredVersion, serving: StoredVersion, pairs: Pairs, compare: Compare | None, force: bool
) -> Comparison:
    """Both versions on the gold ``pairs``, which neither was trained on; without such pairs it says so.

    Raises:
        Refused: the candidate is worse, or nothing compares it, and it is not forced; with the figures.
    """
    if compare is None and not force:
        raise Refused(f"promote {candidate.name}: expected a comparison with {serving.name}, got none")
    if compare is None:
        return Comparison(note="forced, without a comparison")
    if not pairs:
        return Comparison(note="no gold items that neither was trained on: promoted without a comparison")
    reached, previous = compare(candidate, pairs), compare(serving, pairs)
    figures = f"quality {reached:.4f} against {previous:.4f} of {serving.name} on {counted(len(pairs), 'gold item')}"
    if not reached >= previous and not force:  # a NaN is not better
        raise Refused(f"promote {candidate.name}: expected it to be no worse, got {figures}; force it if you must")
    return Comparison(reached, previous, len(pairs), figures)


def quality_of(version: StoredVersion, pairs: Pairs) -> float:
    """The figure in [0, 1] that decides a promotion, measured with the version's own ONNX file.

    Raises:
        NotFound: the file is not there, or a medium, or what runs such a model is not installed here.
        Broken: it does not load, or breaks down at an item.
        UnreadableMedia, TooLarge: an item cannot be read, which is no fault of the version.
    """
    onnx = version.folder / ONNX
    if not onnx.is_file():
        raise NotFound(f"{onnx}: expected the model of {version.name}, got no such file")
    try:
        return quality(version.task, onnx, pairs)
    except (NotFound, UnreadableMedia, TooLarge):
        raise
    except Exception as error:
        raise Broken(version.name, f"{type(error).__name__}: {error}") from error
