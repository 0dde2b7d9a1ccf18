"""Whisper at its seam: faster-whisper itself is an extra, so a stand-in with its interface answers here."""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from models import tasks
from models.asr.whisper import words_of
from models.errors import InvalidInput, NotFound
from models.importing import import_whisper, is_whisper
from models.records import Transcript, Word
from models.versions import Version, read_version
from serving.batch import annotate
from serving.settings import Settings
from serving.unstored import unstored
from tests.serving.served import sound

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def piece(word: str, start: float, end: float, probability: float) -> Any:
    return SimpleNamespace(word=word, start=start, end=end, probability=probability)


class WhisperModel:
    """Says "Hello, wide-open world." to whatever is loud, in two segments."""

    made: list[dict[str, Any]] = []  # noqa: RUF012 - what the tests look at
    asked: list[dict[str, Any]] = []  # noqa: RUF012

    def __init__(self, path: str, **how: Any) -> None:
        assert (Path(path) / "model.bin").is_file()
        self.made.append(how)

    def transcribe(self, audio: np.ndarray, **how: Any) -> tuple[Iterator[Any], Any]:
        assert audio.dtype == np.float32
        self.asked.append(how)
        first = [piece(" Hello,", 0.0, 0.3, 0.9), piece(" wide", 0.3, 0.4, 0.8), piece("-open", 0.4, 0.6, 0.6)]
        second = [piece(" world.", 0.6, 99.0, 0.95)]
        told = {"avg_logprob": -0.2, "no_speech_prob": 0.1, "compression_ratio": 1.1}
        segments = [SimpleNamespace(words=words, **told) for words in (first, second)]
        return iter(segments if np.abs(audio).max() > 0.01 else []), SimpleNamespace(language="en")


def download_model(size: str, output_dir: str) -> str:
    if size != "tiny":
        raise ValueError(f"Invalid model size '{size}'")
    write_model(Path(output_dir))
    return output_dir


def write_model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt"):
        (folder / name).write_text(f"{name} of a model", encoding="utf-8")
    return folder


@pytest.fixture
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("faster_whisper")
    module.WhisperModel, module.download_model = WhisperModel, download_model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "faster_whisper", module)
    WhisperModel.made.clear()
    WhisperModel.asked.clear()


def take(folder: Path, source: str, **given: Any) -> Version:
    return import_whisper(source, given, note="", versions_dir=folder / "versions", now=NOW)


@pytest.mark.usefixtures("_installed")
def test_a_model_becomes_a_version_that_annotates(tmp_path: Path) -> None:
    source = write_model(tmp_path / "small")
    assert is_whisper(str(source))
    version = take(tmp_path, str(source), language="en")
    assert read_version(version.folder) == version
    assert version.settings["files"].keys() == {"model.bin", "config.json", "tokenizer.json", "vocabulary.txt"}
    (tmp_path / "clip.wav").write_bytes(sound())
    annotate("asr", str(tmp_path / "clip.wav"), tmp_path / "out.jsonl", unstored(version, Settings.model_validate({})))
    line = json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8"))
    assert line["label"]["text"] == "Hello, wide-open world."
    assert [word["confidence"] for word in line["label"]["words"]] == [0.9, 0.6, 0.95]
    assert line["label"]["words"][-1]["end_s"] == 1.0  # not beyond the clip
    assert line["uncertainty"]["score"] == pytest.approx(1 - np.exp(-(0.1 + 0.4 + 0.05)))
    assert WhisperModel.made[-1]["compute_type"] == "int8"
    assert WhisperModel.asked[-1]["temperature"] == 0.0
    assert WhisperModel.asked[-1]["word_timestamps"] is True
    assert WhisperModel.asked[-1]["language"] == "en"


@pytest.mark.usefixtures("_installed")
def test_the_librarys_own_download_will_do(tmp_path: Path) -> None:
    version = take(tmp_path, "whisper:tiny")
    assert version.training["imported"] == "whisper:tiny"
    with pytest.raises(NotFound, match="whisper:huge: expected to download it, got Invalid model size 'huge'"):
        take(tmp_path, "whisper:huge")
    assert len(list((tmp_path / "versions").iterdir())) == 1


@pytest.mark.usefixtures("_installed")
def test_silence_is_empty_and_wholly_unsure(tmp_path: Path) -> None:
    runtime = tasks.load_runtime("asr", take(tmp_path, "whisper:tiny").onnx)
    said = runtime.predict(np.zeros(16000, np.float32))
    assert (said.label, said.score) == (Transcript(""), 1.0)
    assert said.features["no_speech_probability"] == 1.0
    assert len(said.embedding) == 80
    with pytest.raises(InvalidInput, match="expected at least 1 sample"):
        runtime.predict(np.zeros(0, np.float32))


@pytest.mark.usefixtures("_installed")
def test_a_changed_file_is_seen(tmp_path: Path) -> None:
    version = take(tmp_path, "whisper:tiny")
    (version.folder / "whisper" / "model.bin").write_text("another", encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"model\.bin: expected a file with SHA-256"):
        tasks.load_runtime("asr", version.onnx)


@pytest.mark.usefixtures("_installed")
def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match=r"expected a CTranslate2 model of Whisper, got no model\.bin, config\.json"):
        take(tmp_path, str(tmp_path / "empty"))
    with pytest.raises(InvalidInput, match="colour: Unexpected keyword"):
        take(tmp_path, str(write_model(tmp_path / "small")), colour="red")


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(NotFound, match="expected the package faster-whisper, got none; pip install"):
        take(tmp_path, str(write_model(tmp_path / "small")))


def test_pieces_become_words() -> None:
    found = [piece(" a", 0, 1, 1.2), piece("b", 1, 2, 0.5), piece(" ", 2, 2, 0.1), piece(" c d", 3, 2.5, 0.7)]
    assert words_of(found, 10.0) == (Word("ab", 0, 2, 0.5), Word("c", 3, 3, 0.7), Word("d", 3, 3, 0.7))
