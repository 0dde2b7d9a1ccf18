"""The vocabulary of a recogniser that others made: the pieces of text that its classes stand for."""

import ast
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models.declaring import text_of
from models.errors import InvalidInput

_BLANKS = ("<blk>", "<blank>", "<eps>", "<pad>", "[PAD]")  # what others call the blank, and no letter
BLANKS = (*_BLANKS, "", "-")  # pyctcdecode gives it no name; a hyphen may be one
_UNSPOKEN = (*_BLANKS, "<unk>", "[UNK]", "⁇", "▁⁇▁", "<s>", "</s>", "<sos/eos>", "<sos>", "<eos>", "<bos>")
_SPACES = str.maketrans({"▁": " ", "|": " "})  # SentencePiece's and wav2vec2's
_SPACE = "<space>"  # ESPnet's
_ENCODER_ENDS = "================\n"  # what follows in SpeechBrain's files are no pieces


def written(piece: str) -> str:
    """What a piece writes: special symbols nothing."""
    return "" if piece in _UNSPOKEN else piece.replace(_SPACE, " ").translate(_SPACES)


def vocabulary(given: object, folder: Path, classes: int | None) -> list[str]:
    """The pieces in the order of the classes: a list, a file, or ``tokens.txt`` beside the model.

    A file is lines "piece number" (sherpa-onnx), JSON {"piece": number} or ``tokenizer.json`` (Hugging Face),
    ``alphabet.json`` (pyctcdecode), ``label_encoder.txt`` (SpeechBrain), or a piece a line. Where there is one class
    more than pieces, the last is the blank (NeMo).

    Raises:
        NotFound: the file is not there.
        InvalidInput: none is given, or the file has another form.
    """
    if isinstance(given, str):
        pieces = _read_vocabulary(Path(given))
    elif isinstance(given, Sequence):
        pieces = [str(piece) for piece in given]
    elif (folder / "tokens.txt").is_file():
        pieces = _read_vocabulary(folder / "tokens.txt")
    else:
        count = f"its {classes} classes" if classes else "its classes"
        raise InvalidInput(f"vocabulary: expected the pieces of text that {count} stand for, declared or in tokens.txt "
                           "beside the model, got none")  # fmt: skip
    while len(pieces) > (classes or 0) and re.fullmatch(r"#\d+", pieces[-1]):
        pieces.pop()
    if classes == len(pieces) + 1 and not set(pieces) & set(_BLANKS):
        pieces.append("<blk>")
    if classes is not None and len(pieces) != classes:
        raise InvalidInput(f"vocabulary: expected {classes} pieces, as the output says, got {len(pieces)}")
    return pieces


def _read_vocabulary(path: Path) -> list[str]:
    text = text_of(path)
    if path.suffix == ".json":
        try:
            numbered = {str(piece): int(number) for piece, number in _numbers(json.loads(text)).items()}
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
            raise InvalidInput(f'{path}: expected JSON {{"piece": number}}, got an error: {error}') from error
    elif _ENCODER_ENDS in text:
        numbered = _encoded(path, text)
    else:
        lines = [line for line in text.split("\n") if line.strip("\r")]
        parts = [line.rstrip("\r").rsplit(" ", 1) for line in lines]
        if not all(len(part) == 2 and re.fullmatch("[0-9]{1,9}", part[1]) for part in parts):
            return [line.strip() or " " for line in lines]  # the piece of a line may be a space
        numbered = {part[0] or " ": int(part[1]) for part in parts}
    if sorted(numbered.values()) != list(range(len(numbered))):
        raise InvalidInput(f"{path}: expected pieces numbered from 0 without a gap, got {len(numbered)} pieces up to "
                           f"{max(numbered.values(), default=0)}")  # fmt: skip
    return sorted(numbered, key=numbered.__getitem__)


def _encoded(path: Path, text: str) -> dict[str, int]:
    """SpeechBrain's ``CTCTextEncoder``: lines "'piece' => number", each piece as Python writes it."""
    lines = text.partition(_ENCODER_ENDS)[0].splitlines()
    try:
        pairs = [line.rsplit(" => ", 1) for line in lines]
        return {str(ast.literal_eval(piece)): int(number) for piece, number in pairs}
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise InvalidInput(f"{path}: expected lines \"'piece' => number\", got an error: {error}") from error


def _numbers(told: Any) -> dict[str, Any]:
    """The numbers of the pieces, of ``vocab.json``, which is that, or of ``tokenizer.json`` (Hugging Face's too); or of
    ``alphabet.json``, which has them in order."""
    if isinstance(told.get("labels"), Sequence):
        return {piece: number for number, piece in enumerate(told["labels"])}
    if not isinstance(told.get("model"), Mapping):
        return dict(told)
    pieces = told["model"]["vocab"]
    if isinstance(pieces, Sequence):  # with their scores
        pieces = {piece: number for number, (piece, _) in enumerate(pieces)}
    return {**pieces, **{one["content"]: one["id"] for one in told.get("added_tokens", ())}}


def blank_of(pieces: Sequence[str]) -> int:
    """Which of them is the blank.

    Raises:
        InvalidInput: none has a name that is known.
    """
    for name in BLANKS:
        if name in pieces:
            return pieces.index(name)
    raise InvalidInput(f"blank: expected the number of the blank to be declared, got a vocabulary without any of "
                       f"{', '.join(filter(None, BLANKS))}")  # fmt: skip
