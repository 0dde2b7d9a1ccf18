"""The exported recogniser: the same answers as torch, on clips of any length, with honest times and doubt."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.asr import runtime as module
from models.asr.frames import FRAME, FRAME_S
from models.asr.runtime import PASSAGE_FRAMES, WINDOW_FRAMES, Runtime, Symbol, begins, passages, spell, windows
from models.certainty import Certainty
from models.errors import InvalidInput
from models.export import check_parity, export_onnx
from models.media import SAMPLE_RATE
from models.onnx_files import description
from models.records import Transcript
from tests.tones import SMALL, listener, sentence, sound


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network, _, _ = listener()
    path = tmp_path_factory.mktemp("asr") / "model.onnx"
    export_onnx("asr", network, SMALL, path)
    return path


@pytest.fixture(scope="module")
def runtime(exported: Path) -> Runtime:
    return Runtime(exported, threads=1)


def text_of(label: object) -> str:
    assert isinstance(label, Transcript)
    return label.text


def test_it_reads_its_alphabet_from_the_file(runtime: Runtime) -> None:
    assert runtime.alphabet == SMALL.alphabet


def test_torch_and_onnx_agree_at_several_lengths(exported: Path, runtime: Runtime) -> None:
    network, _, _ = listener()
    media = [sound(text, np.random.default_rng(3)) for text in ("a", "cab ab", "")]
    media.append(media[1][:4321])
    assert check_parity("asr", network, runtime, exported, media) < 1e-3


def test_it_writes_what_was_said_and_when(runtime: Runtime) -> None:
    rng = np.random.default_rng(11)
    parts = [sound(text, rng) for text in ("abc", "ca")]
    pause = 0.003 * rng.standard_normal(SAMPLE_RATE // 4).astype(np.float32)  # as silent as the language is
    prediction = runtime.predict(np.concatenate([parts[0], pause, parts[1]]))
    assert isinstance(prediction.label, Transcript)
    assert prediction.label.text == "abc ca"
    first, second = prediction.label.words
    turn = len(parts[0]) / SAMPLE_RATE
    assert first.start_s == pytest.approx(0.1, abs=0.15)
    assert first.end_s <= turn <= turn + 0.25 <= second.start_s + 0.1
    assert second.end_s == pytest.approx(turn + 0.25 + len(parts[1]) / SAMPLE_RATE - 0.15, abs=0.2)
    assert len(prediction.embedding) == SMALL.width


def test_a_version_says_how_certain_its_words_are(exported: Path, runtime: Runtime, tmp_path: Path) -> None:
    model, told = onnx.load(exported), description(exported, "asr")
    onnx.helper.set_model_props(
        model, {"prelabel": json.dumps({**told, "word_certainty": {"slope": 0.5, "offset": 1}})}
    )
    onnx.save(model, tmp_path / "model.onnx")
    clip = sound("abc", np.random.default_rng(11))
    plain, certain = (one.predict(clip) for one in (runtime, Runtime(tmp_path / "model.onnx", threads=1)))
    assert isinstance(plain.label, Transcript)
    assert isinstance(certain.label, Transcript)
    expected = Certainty(0.5, 1).of([word.confidence for word in plain.label.words]).tolist()
    assert [word.confidence for word in certain.label.words] == pytest.approx(expected)
    assert certain.features == plain.features


def test_a_spoiled_clip_is_doubted_more(runtime: Runtime) -> None:
    rng = np.random.default_rng(4)
    clear, other = sound("abc cab", rng), sound("bcaa bb", rng)
    spoiled = clear + np.resize(other, len(clear))
    sure, unsure = runtime.predict(clear), runtime.predict(spoiled)
    assert sure.score < unsure.score - 0.2
    assert sure.features["word_confidence_min"] > unsure.features["word_confidence_min"]
    assert sure.features.keys() == unsure.features.keys()


@pytest.mark.parametrize("samples", [1, 10, 160, 399, 640, 1601])
def test_the_shortest_clips_are_answered(runtime: Runtime, samples: int) -> None:
    prediction = runtime.predict(np.full(samples, 0.1, np.float32))
    assert isinstance(prediction.label, Transcript)
    assert all(word.end_s <= samples / SAMPLE_RATE for word in prediction.label.words)


def test_no_sound_at_all_is_refused(runtime: Runtime) -> None:
    with pytest.raises(InvalidInput, match="at least 1 sample"):
        runtime.predict(np.zeros(0, np.float32))


def test_saying_nothing_is_full_doubt_and_the_features_tell_silence(runtime: Runtime) -> None:
    silent = runtime.predict(sound("", np.random.default_rng(6)))
    assert text_of(silent.label) == ""
    assert silent.score == 1.0
    spoken = runtime.predict(sound("abc", np.random.default_rng(6)))
    assert silent.features["empty_probability"] > 0.5 > spoken.features["empty_probability"]


def test_long_sound_loses_and_doubles_no_word(runtime: Runtime) -> None:
    rng = np.random.default_rng(8)
    spoken = [sentence(rng, 2) for _ in range(90)]
    clip = np.concatenate([sound(text, rng) for text in spoken])
    assert len(clip) > 4 * WINDOW_FRAMES * FRAME
    prediction = runtime.predict(clip)
    heard, said = text_of(prediction.label).replace(" ", ""), "".join(spoken).replace(" ", "")
    assert heard == said
    assert isinstance(prediction.label, Transcript)
    starts = [word.start_s for word in prediction.label.words]
    assert starts == sorted(starts)
    assert starts[-1] > len(clip) / SAMPLE_RATE - 3


def test_windows_do_not_change_what_the_network_hears(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(9)
    clip = np.concatenate([sound(sentence(rng, 2), rng) for _ in range(6)])
    whole, _ = runtime.log_probs(clip)
    monkeypatch.setattr(module, "WINDOW_FRAMES", 100)
    pieces, _ = runtime.log_probs(clip)
    assert pieces.shape == whole.shape
    assert (pieces.argmax(axis=1) == whole.argmax(axis=1)).mean() > 0.95


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3 * WINDOW_FRAMES * FRAME), st.integers(0, 3))
def test_windows_cover_every_sample_once(samples: int, seed: int) -> None:
    clip = np.random.default_rng(seed).standard_normal(samples, np.float32)
    spans = list(windows(clip))
    assert [first for first, *_ in spans] == [0, *(last for _, last, _, _ in spans[:-1])]
    assert spans[-1][1] == samples
    for first, last, start, end in spans:
        assert 0 <= start <= first < last <= end <= samples
        assert start % FRAME == 0
        assert last - first < (WINDOW_FRAMES + 1) * FRAME


def test_a_cut_lies_where_it_is_quiet() -> None:
    clip = np.ones(WINDOW_FRAMES * FRAME + SAMPLE_RATE, np.float32)
    quiet = WINDOW_FRAMES * FRAME * 3 // 4
    clip[quiet : quiet + 4800] = 0
    (_, cut, _, _), _ = windows(clip)
    assert quiet <= cut <= quiet + 4800


def test_passages_end_between_words() -> None:
    log_probs = np.log(np.full((PASSAGE_FRAMES + 100, 3), [0.2, 0.1, 0.7]))
    log_probs[400] = np.log([0.1, 0.8, 0.1])
    assert list(passages(log_probs, space=1)) == [(0, 400), (400, PASSAGE_FRAMES + 100)]
    log_probs[400] = np.log([0.9, 0.05, 0.05])  # no space in sight: where it is blank
    assert list(passages(log_probs, space=1)) == [(0, 400), (400, PASSAGE_FRAMES + 100)]
    assert list(passages(log_probs[:10], space=1)) == [(0, 10)]


def test_words_from_symbols_by_hand() -> None:
    symbols = [Symbol("a", 2, 3, 0.9), Symbol("b", 5, 7, 0.4), Symbol(" ", 9, 10, 0.2), Symbol("c", 27, 29, 1.0)]
    first, second = spell(symbols, 1.0, begins)
    assert (first.text, first.confidence) == ("ab", 0.4)
    assert (first.start_s, first.end_s) == pytest.approx((0.0, 4.5 * FRAME_S))
    assert (second.text, second.end_s) == ("c", 1.0)
    assert second.start_s == pytest.approx(24.5 * FRAME_S)
    assert spell([], 1.0, begins) == ()


def test_text_probability_is_that_of_the_text(runtime: Runtime) -> None:
    clip = sound("ab", np.random.default_rng(2))
    prediction = runtime.predict(clip)
    log_probs = torch.from_numpy(runtime.log_probs(clip)[0])
    exact = -torch.nn.functional.ctc_loss(
        log_probs[:, None], torch.tensor([[2, 3]]), torch.tensor([len(log_probs)]), torch.tensor([2]), reduction="sum"
    )
    assert text_of(prediction.label) == "ab"
    assert prediction.features["text_probability"] == pytest.approx(math.exp(float(exact)), abs=0.02)


def test_serving_speech_needs_no_torch() -> None:
    code = "import models.asr.runtime, models.asr.metrics, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0
