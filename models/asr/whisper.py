"""Whisper as it serves, by faster-whisper (an extra, ``prelabel[whisper]``): words with their probabilities.

A version's ``model.onnx`` is then an empty graph that carries the declaration, with the SHA-256 of each file of the
CTranslate2 model in the folder ``whisper`` beside it: the version's name stands for all of them.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from models.asr.doubt import word_features
from models.asr.log_mel import timbre
from models.declaring import build
from models.errors import InvalidInput, NotFound
from models.media import SAMPLE_RATE, Waveform, require_sound
from models.onnx_files import description
from models.records import STRICT, Prediction, Transcript, Word
from models.versions import file_sha256

FOLDER = "whisper"
NEEDED = ("model.bin", "config.json", "tokenizer.json")
BEAM = 5
SHORTEST = 320  # samples; faster-whisper cannot time words within fewer


@dataclass(frozen=True)
class Declaration:
    """A Whisper model: the SHA-256 of its files, how it counts, and its language unless it is to find out itself."""

    files: Mapping[str, str]
    language: str | None = None
    compute_type: str = "int8"
    head: Literal["whisper"] = "whisper"

    __pydantic_config__ = STRICT


class Runtime:
    """A Whisper model, its files checked against the version's.

    Raises:
        InvalidInput: another file, one that is no model, numbers that this machine does not compute in, or a language
            that the model does not know.
    """

    def __init__(self, path: Path, threads: int = 2) -> None:
        self.declaration = build(Declaration, description(path, "asr")["declaration"])
        folder = path.parent / FOLDER
        for name, expected in self.declaration.files.items():
            if not (folder / name).is_file() or file_sha256(folder / name) != expected:
                raise InvalidInput(f"{folder / name}: expected a file with SHA-256 {expected}, got none or another")
        self._model = _loaded(folder, self.declaration.compute_type, threads)
        spoken, known = self.declaration.language, self._model.supported_languages
        if spoken is not None and spoken not in known:
            raise InvalidInput(f"language: expected one of {', '.join(known)}, got {spoken!r}")

    def feeds(self, media: Waveform) -> dict[str, NDArray[Any]]:
        """What the model hears."""
        return {"waveform": np.pad(media.astype(np.float32), (0, max(0, SHORTEST - len(media))))}

    def predict(self, media: Waveform) -> Prediction:
        """What was said, with times and doubt.

        Without sampling, so that the same clip has the same answer. The score is the chance of any wrong word, if each
        is wrong with one less its probability; an empty transcript has score 1.0.

        Raises:
            InvalidInput: the clip has no samples.
        """
        require_sound(media)
        found, _ = self._model.transcribe(
            self.feeds(media)["waveform"], language=self.declaration.language, beam_size=BEAM, temperature=0.0,
            word_timestamps=True, condition_on_previous_text=False,
        )  # fmt: skip
        segments = list(found)
        duration_s = len(media) / SAMPLE_RATE
        words = words_of((word for segment in segments for word in segment.words or ()), duration_s)
        values = {"duration_s": duration_s, **features(words, segments)}
        label = Transcript(" ".join(word.text for word in words), words)
        score = 1 - math.exp(-values["expected_edits"]) if words else 1.0
        return Prediction(label, score, values, timbre(media))


def library() -> Any:
    """faster-whisper.

    Raises:
        NotFound: it is not installed.
    """
    try:
        import faster_whisper
    except ImportError as error:
        raise NotFound(
            "whisper: expected the package faster-whisper, got none; pip install 'prelabel[whisper]'"
        ) from error
    return faster_whisper


def _loaded(folder: Path, compute_type: str, threads: int) -> Any:
    kind = library().WhisperModel
    try:
        return kind(str(folder), device="cpu", compute_type=compute_type, cpu_threads=threads, local_files_only=True)
    except (RuntimeError, ValueError) as error:  # CTranslate2's own
        told = " ".join(str(error).split())[:200]
        raise InvalidInput(f"{folder.name}: expected a CTranslate2 model of Whisper that computes in {compute_type} "
                           f"here, got {told}") from error  # fmt: skip


def words_of(found: Iterable[Any], duration_s: float) -> tuple[Word, ...]:
    """Words with times within the clip, in order.

    A piece that does not begin with a space carries on the word before it, and the word is as certain as its least
    certain piece.
    """
    words: list[Word] = []
    for piece in found:
        text = piece.word.strip()
        start_s = min(max(0.0, float(piece.start)), duration_s)
        end_s = min(max(start_s, float(piece.end)), duration_s)
        sure = min(1.0, max(0.0, float(piece.probability)))
        if not text:
            continue
        if words and not piece.word[0].isspace():
            last = words.pop()
            words.append(Word(last.text + text, last.start_s, max(last.end_s, end_s), min(last.confidence, sure)))
        else:
            words.extend(Word(part, start_s, end_s, sure) for part in text.split())
    return tuple(words)


def features(words: tuple[Word, ...], segments: list[Any]) -> dict[str, float]:
    """What calibration learns from, the same keys for every clip."""
    return {
        **word_features(words, sum(1 - word.confidence for word in words)),
        "mean_log_prob": float(np.mean([segment.avg_logprob for segment in segments])) if segments else 0.0,
        "no_speech_probability": max((float(segment.no_speech_prob) for segment in segments), default=1.0),
        "most_compressed": max((float(segment.compression_ratio) for segment in segments), default=0.0),
    }


def is_model(folder: Path) -> bool:
    """Whether a folder holds a CTranslate2 model of Whisper."""
    return all((folder / name).is_file() for name in NEEDED)


def declare(folder: Path, given: Mapping[str, Any]) -> Declaration:
    """The declaration of the model in a folder.

    Raises:
        InvalidInput: files are missing, or something is declared that Whisper does not know.
    """
    missing = [name for name in NEEDED if not (folder / name).is_file()]
    if missing:
        raise InvalidInput(f"{folder}: expected a CTranslate2 model of Whisper, got no {', '.join(missing)}")
    if "files" in given:
        raise InvalidInput(f"files: expected none declared, for those in the folder count, got {given['files']!r:.200}")
    files = {path.name: file_sha256(path) for path in sorted(folder.iterdir()) if path.is_file()}
    return build(Declaration, {**given, "files": files})


def empty_graph() -> onnx.ModelProto:
    """An ONNX model that does nothing, to carry a declaration."""
    told = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in ("waveform", "same")]
    graph = helper.make_graph([helper.make_node("Identity", ["waveform"], ["same"])], FOLDER, told[:1], told[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
