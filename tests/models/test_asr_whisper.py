"""Whisper by the real faster-whisper, with models made here that say what they are told."""

import json
import sys
import warnings
from contextlib import redirect_stderr
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faster_whisper
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
from tests.tiny_whisper import write_whisper

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SAID = ((" Hello,", 0.9), (" wide", 0.8), ("-open", 0.6), (" world.", 0.95))


def take(folder: Path, source: str, **given: Any) -> Version:
    return import_whisper(source, given, note="", versions_dir=folder / "versions", now=NOW)


def runtime(folder: Path, said: Any = SAID) -> tasks.Runtime:
    return tasks.load_runtime("asr", take(folder, str(write_whisper(folder / "model", said))).onnx)


def test_a_model_becomes_a_version_that_annotates(tmp_path: Path) -> None:
    source = write_whisper(tmp_path / "small", SAID)
    assert is_whisper(str(source))
    version = take(tmp_path, str(source), language="en", compute_type="float32")
    assert read_version(version.folder) == version
    assert version.settings["files"].keys() == {"model.bin", "config.json", "tokenizer.json", "vocabulary.json"}
    (tmp_path / "clip.wav").write_bytes(sound())
    annotate("asr", str(tmp_path / "clip.wav"), tmp_path / "out.jsonl", unstored(version, Settings.model_validate({})))
    line = json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8"))
    assert line["label"]["text"] == "Hello, wide-open world."
    words = line["label"]["words"]  # "wide-open" is as sure as its two pieces in the mean
    assert [word["confidence"] for word in words] == pytest.approx([0.9, 0.7, 0.95], abs=1e-3)
    assert [(word["start_s"], word["end_s"]) for word in words] == [(0.0, 0.2), (0.2, 0.4), (0.4, 0.5)]
    assert line["uncertainty"]["score"] == pytest.approx(1 - np.exp(-(0.1 + 0.3 + 0.05)), abs=1e-3)


def test_quantised_to_int8_unless_declared(tmp_path: Path) -> None:
    said = runtime(tmp_path).predict(np.full(16000, 0.1, np.float32))
    assert isinstance(said.label, Transcript)
    assert said.label.text == "Hello, wide-open world."
    assert [word.confidence for word in said.label.words] == pytest.approx([0.9, 0.7, 0.95], abs=0.02)


def test_the_librarys_own_download_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFound, match="whisper:gigantic: expected to download it, got Invalid model size 'gigantic'"):
        take(tmp_path, "whisper:gigantic")
    assert not list((tmp_path / "versions").iterdir())
    monkeypatch.setattr(faster_whisper, "download_model", lambda _, output_dir: write_whisper(Path(output_dir), SAID))
    assert take(tmp_path, "whisper:tiny").training["imported"] == "whisper:tiny"


def test_its_download_shows_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(_: str, local_dir: str, tqdm_class: Any, **__: object) -> None:
        with tqdm_class(total=5, desc="Fetching files") as bar:
            bar.update(2)
        write_whisper(Path(local_dir), SAID)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    with redirect_stderr(StringIO()) as shown:
        take(tmp_path, "whisper:tiny")
    assert "Fetching files:  40%" in shown.getvalue()


def test_without_a_network_it_says_what_was_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the words of the library that faster-whisper leaves it to, without its advice and its warnings."""

    def away(*_: object, **__: object) -> None:
        warnings.warn("The `local_dir_use_symlinks` argument is deprecated", UserWarning, stacklevel=2)
        raise FileNotFoundError("Got: ConnectError: [Errno -2] Name or service not known\nAn error happened while ..")

    monkeypatch.setattr("huggingface_hub.snapshot_download", away)
    with warnings.catch_warnings(record=True, action="always") as said, pytest.raises(NotFound) as refusal:
        take(tmp_path, "whisper:tiny")
    assert str(refusal.value) == (
        "whisper:tiny: expected to download it, got ConnectError: [Errno -2] Name or service not known; "
        "a folder with the model will do"
    )
    assert not said


def test_an_empty_answer_is_wholly_unsure(tmp_path: Path) -> None:
    said = runtime(tmp_path, ()).predict(np.zeros(16000, np.float32))
    assert (said.label, said.score) == (Transcript(""), 1.0)
    assert said.features["no_speech_probability"] == 1.0
    assert len(said.embedding) == 80


@pytest.mark.parametrize("samples", [1, 160, 319, 320, 1600])
def test_the_shortest_clip_has_an_answer(tmp_path: Path, samples: int) -> None:
    assert runtime(tmp_path).predict(np.full(samples, 0.1, np.float32)).label == Transcript("")


def test_a_clip_without_samples_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="expected at least 1 sample"):
        runtime(tmp_path).predict(np.zeros(0, np.float32))


def test_a_changed_file_is_seen(tmp_path: Path) -> None:
    version = take(tmp_path, str(write_whisper(tmp_path / "model", SAID)))
    (version.folder / "whisper" / "model.bin").write_text("another", encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"model\.bin: expected a file with SHA-256"):
        tasks.load_runtime("asr", version.onnx)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match=r"expected a CTranslate2 model of Whisper, got no model\.bin, config\.json"):
        take(tmp_path, str(tmp_path / "empty"))
    with pytest.raises(InvalidInput, match=r"^colour: expected no key beside .*, got 'red'"):
        take(tmp_path, str(write_whisper(tmp_path / "small", SAID)), colour="red")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"compute_type": "int9"}, "computes in int9 here, got Invalid compute type: int9"),
        ({"files": "none"}, "files: expected none declared, for those in the folder count, got 'none'"),
        ({"language": "german"}, "language: expected one of en, got 'german'"),
    ],
)
def test_what_the_model_cannot_do_is_refused(tmp_path: Path, given: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        take(tmp_path, str(write_whisper(tmp_path / "small", SAID)), **given)
    assert not list((tmp_path / "versions").iterdir())


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    source = write_whisper(tmp_path / "small", SAID)
    (source / "model.bin").write_bytes(b"something else" * 9)
    with pytest.raises(InvalidInput, match=r"expected a CTranslate2 model of Whisper .*, got Unsupported model binary"):
        take(tmp_path, str(source))


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_whisper(tmp_path / "small", SAID)
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(NotFound, match="expected the package faster-whisper, got none; pip install"):
        take(tmp_path, str(source))


def test_pieces_become_words() -> None:
    def piece(word: str, start: float, end: float, probability: float) -> Any:
        return SimpleNamespace(word=word, start=start, end=end, probability=probability)

    found = [piece(" a", 0, 1, 1.2), piece("b", 1, 2, 0.5), piece(" ", 2, 2, 0.1), piece(" c d", 3, 2.5, 0.7)]
    assert words_of(found, 10.0) == (Word("ab", 0, 2, 0.5), Word("c", 3, 3, 0.7), Word("d", 3, 3, 0.7))
