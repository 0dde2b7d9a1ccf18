"""Recognisers that others made: what their files say, what must be declared, and when their words are heard."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import torchaudio
from hypothesis import given, settings
from hypothesis import strategies as st

from models import tasks
from models.asr.declaration import Declaration, SoundInput, declare, log_probs
from models.asr.imported import _parts
from models.asr.log_mel import LogMel
from models.asr.vocabulary import blank_of, vocabulary, written
from models.declaring import build, plain
from models.errors import InvalidInput, NotFound
from models.importing import check_sane, embed
from models.media import SAMPLE_RATE, Waveform
from models.records import Transcript
from tests import foreign_detectors
from tests import foreign_recognisers as foreign
from tests.tones import PITCHES

Make = Callable[[Path], Path]
FAMILIES: dict[str, tuple[Make, Callable[[Path], Mapping[str, Any]], float]] = {
    "sherpa": (foreign.sherpa, lambda folder: {}, 0.04),
    "nemo": (foreign.nemo, lambda folder: {}, 0.08),
    "nemo-itself": (
        lambda path: foreign.nemo(path, metadata={}),
        lambda folder: {"input": {"features": {"kind": "nemo"}}},
        0.08,
    ),
    "parakeet": (foreign.parakeet, lambda folder: {"input": {"features": {"kind": "nemo"}}}, 0.08),
    "w2v-bert": (foreign.w2v_bert, lambda folder: {}, 0.02),
    "wav2vec2": (foreign.wav2vec2, lambda folder: {"vocabulary": str(folder / "vocab.json")}, 0.02),
    "wav2vec2-masked": (
        lambda path: foreign.wav2vec2(path, masked=True),
        lambda folder: {"vocabulary": str(folder / "vocab.json")},
        0.02,
    ),
}


def imported(folder: Path, family: str) -> tasks.Runtime:
    make, given, _ = FAMILIES[family]
    made = make(folder / "made" / "model.onnx")
    embed(made, folder / "it.onnx", {"task": "asr", "declaration": plain(declare(made, given(made.parent)))})
    return tasks.load_runtime("asr", folder / "it.onnx", threads=1)


def renamed(made: Path, name: str) -> Path:
    """The same recogniser, whose first input has another name."""
    model = onnx.load(made)
    model.graph.input[0].name = model.graph.node[0].input[0] = name
    onnx.save(model, made)
    return made


def heard(runtime: tasks.Runtime, clip: Waveform) -> Transcript:
    label = runtime.predict(clip).label
    assert isinstance(label, Transcript)
    return label


def spoken(text: str) -> Waveform:
    """A tone of 0.24 s a letter and 0.16 s of pause after each, from 0.16 s on, in a little noise."""
    time_s = np.arange(int(0.24 * SAMPLE_RATE)) / SAMPLE_RATE
    pause = np.zeros(int(0.16 * SAMPLE_RATE))
    tones = [part for letter in text for part in (0.3 * np.sin(2 * np.pi * PITCHES[letter] * time_s), pause)]
    clip = np.concatenate([pause, *tones])
    return (clip + 0.003 * np.random.default_rng(0).standard_normal(len(clip))).astype(np.float32)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_hears_the_tones(tmp_path: Path, family: str) -> None:
    make, given, frame_s = FAMILIES[family]
    made = make(tmp_path / "model.onnx")
    told = declare(made, given(tmp_path))
    assert told.frame_s == pytest.approx(frame_s)
    assert build(Declaration, plain(told)) == told
    runtime = imported(tmp_path, family)
    check_sane("asr", runtime, family)
    said = heard(runtime, spoken("abcacb"))
    assert said.text == ("abcacb" if family.startswith("wav2vec2") else "a b c a c b")


def test_words_are_timed_where_they_sound_however_long_the_clip(tmp_path: Path) -> None:
    """Two words in 45 s of silence, which is heard in pieces, each some frames short."""
    runtime = imported(tmp_path, "wav2vec2")
    rng = np.random.default_rng(1)
    clip = (0.003 * rng.standard_normal(45 * SAMPLE_RATE)).astype(np.float32)
    for start_s in (3.0, 43.0):
        tone = 0.3 * np.sin(2 * np.pi * 900 * np.arange(int(0.3 * SAMPLE_RATE)) / SAMPLE_RATE)
        clip[int(start_s * SAMPLE_RATE) :][: len(tone)] += tone.astype(np.float32)
    words = heard(runtime, clip).words
    assert "".join(word.text for word in words) == "bb"
    spans = [(word.start_s, word.end_s) for word in words]
    if len(spans) == 1:  # wav2vec2 writes no space here: one word from the first to the last
        spans = [(spans[0][0], 3.3), (43.0, spans[0][1])]
    for (start_s, end_s), expected in zip(spans, (3.0, 43.0), strict=True):
        assert start_s == pytest.approx(expected, abs=0.06)
        assert end_s == pytest.approx(expected + 0.3, abs=0.06)


def test_what_ends_with_the_clip_is_heard(tmp_path: Path) -> None:
    """NeMo's networks give a frame of 80 ms for what is left at the end of a clip, here 35 ms with a tone in them."""
    clip = 0.003 * np.random.default_rng(1).standard_normal(int(0.995 * SAMPLE_RATE))
    clip[int(0.96 * SAMPLE_RATE) :] += 0.3 * np.sin(2 * np.pi * PITCHES["b"] * np.arange(560) / SAMPLE_RATE)
    assert heard(imported(tmp_path, "nemo"), clip.astype(np.float32)).text == "b"


def test_pieces_with_spaces_are_words_with_times(tmp_path: Path) -> None:
    clip = np.concatenate([np.zeros(SAMPLE_RATE, np.float32), spoken("ab")])
    words = heard(imported(tmp_path, "sherpa"), clip).words
    assert [word.text for word in words] == ["a", "b"]
    assert words[0].start_s == pytest.approx(1.16, abs=0.06)
    assert all(word.confidence > 0.9 for word in words)
    assert words[0].end_s <= words[1].start_s


def test_silence_is_empty_and_no_clip_is_refused(tmp_path: Path) -> None:
    runtime = imported(tmp_path, "sherpa")
    said = runtime.predict(np.zeros(SAMPLE_RATE, np.float32))
    assert said.label == Transcript("")
    assert said.score == 1.0
    assert len(said.embedding) == 80
    with pytest.raises(InvalidInput, match="expected at least 1 sample"):
        runtime.predict(np.zeros(0, np.float32))


def test_short_clips_are_heard_as_they_are(tmp_path: Path) -> None:
    """Silence after them would be part of what features are normalised by."""
    clip = 0.1 * np.random.default_rng(0).standard_normal(int(0.25 * SAMPLE_RATE)).astype(np.float32)
    feeds = imported(tmp_path, "nemo").feeds(clip)
    assert np.array_equal(feeds["audio_signal"][0].T, foreign.NEMO_FEATURES.of(clip))
    assert feeds["length"].tolist() == [25]


def test_parts_of_pieces() -> None:
    assert _parts(" the") == [" ", "the"]
    assert _parts("a b ") == ["a", " ", "b", " "]
    assert _parts(" ") == [" "]
    assert _parts("") == []


class TestDeclaration:
    def test_what_files_say(self, tmp_path: Path) -> None:
        told = declare(foreign.nemo(tmp_path / "model.onnx"), {})
        assert told.input == SoundInput(
            "audio_signal", "log-mel", "length", "mels-frames", features=foreign.NEMO_FEATURES
        )
        assert (told.blank, told.alphabet, told.lower_case) == (3, (" a", " b", " c"), False)
        model = onnx.load(tmp_path / "model.onnx")
        model.graph.input.insert(0, model.graph.input.pop())  # the length stands before the sound
        onnx.save(model, tmp_path / "model.onnx")
        assert declare(tmp_path / "model.onnx", {"input": {"name": "audio_signal"}}).input == told.input
        told = declare(foreign.sherpa(tmp_path / "model.onnx"), {})
        assert (told.blank, told.input.features) == (0, foreign.SHERPA_FEATURES)
        vocab = {"vocabulary": str(tmp_path / "vocab.json")}
        told = declare(foreign.wav2vec2(tmp_path / "model.onnx"), vocab)
        assert (told.lower_case, told.alphabet) == (True, (" ", "a", "b", "c"))

    @pytest.mark.parametrize(
        ("make", "given", "message"),
        [
            (foreign.wav2vec2, {"vocabulary": ["<pad>", "a"]}, "vocabulary: expected 5 pieces, .*, got 2"),
            (foreign.wav2vec2, {}, "vocabulary: expected the pieces of text that its 5 classes stand for"),
            (foreign.wav2vec2, {"vocabulary": list("abcde")}, "blank: expected the number of the blank"),
            (
                foreign.wav2vec2,
                {"vocabulary": list("abcde"), "blank": 5},
                "blank: expected a class from 0 to 4, got 5",
            ),
            (foreign.sherpa, {"subsampling": "4"}, "subsampling: expected a number, got '4'"),
            (foreign.sherpa, {"subsampling": 8}, "subsampling: expected 0.04 s .*, as measured, got 0.08 s"),
            (foreign.sherpa, {"frame_s": 0.02}, "frame_s: expected 0.04 s .*, as measured, got 0.02 s"),
            (
                foreign.sherpa,
                {"input": {"features": {"mels": 64}}},
                "input.features.mels: expected 80, as x .*, got 64",
            ),
            (
                foreign.sherpa,
                {"input": {"normalise": True}},
                "^input.normalise: expected nothing for kind log-mel, for only waveform heeds it, got True$",
            ),
            (
                foreign.wav2vec2,
                {"input": {"layout": "mels-frames"}},
                "input.layout: expected nothing for kind wave",
            ),
            (foreign.wav2vec2, {"input": {"features": {"kind": "nemo"}}}, "input.features: expected nothing for kind "),
            (foreign.sherpa, {"input": {"kind": "waveform"}}, "input.kind: expected what x .* takes, got 'waveform'"),
            (foreign.sherpa, {"output": "logits"}, r"outputs: expected one of log_probs \(\?x\?x4\)"),
            (foreign.sherpa, {"output": "log_probs_len"}, "output: expected 1 x frames x classes, got log_probs_len"),
            (foreign.sherpa, {"input": {"features": {"low_hz": 9000}}}, "expected mels >= 1, 0 <= low_hz < high_hz"),
            (
                lambda path: foreign.nemo(path, metadata={}),
                {},
                r"input.features.kind: expected nemo or kaldi to be declared for audio_signal \(\?x80x\?\), got none",
            ),
            (
                foreign_detectors.ultralytics,
                {"vocabulary": ["<blk>", "a"]},
                r"input: expected a waveform, .*, or its features, .*, got images \(1x3x96x128\)",
            ),
            (
                foreign.parakeet,
                {},
                r"features.kind: expected nemo or kaldi .* for input_features \(\?x\?x80\), got none",
            ),
            (
                lambda path: renamed(foreign.sherpa(path, metadata={}), "feats"),
                {},
                r"features.kind: expected nemo or kaldi .* for feats \(\?x\?x80\), got none: the file does not tell",
            ),
            (
                foreign.w2v_bert,
                {"input": {"features": {"kind": "kaldi"}}},
                r"features.mels: expected 160, as input_features \(\?x\?x160\) says .*, got 80",
            ),
            (lambda path: foreign.nemo(path, subsampling=4), {}, "subsampling: expected 0.08 s .*, got 0.04 s"),
        ],
    )
    def test_a_wrong_one_is_refused_with_what_was_found(
        self, tmp_path: Path, make: Make, given: Mapping[str, Any], message: str
    ) -> None:
        with pytest.raises(InvalidInput, match=message):
            declare(make(tmp_path / "model.onnx"), given)

    @pytest.mark.parametrize(
        ("metadata", "message"),
        [
            # each as sherpa-onnx's export scripts write it
            (
                {"model_type": "EncDecCTCModel", "normalize_type": "", "is_giga_am": "1"},
                "model_type: .*, got GigaAM with",
            ),
            ({"model_type": "telespeech_ctc"}, "model_type: .*, got telespeech_ctc with features of its own"),
            (
                {"model_type": "dolphin", "mean": "0,0", "invstd": "1,1"},
                r"got dolphin .* \(mean, invstd in its metadata\)",
            ),
            ({"model_type": "paraformer", "lfr_window_size": "7"}, "model_type: .*, got paraformer with features"),
            (
                {"neg_mean": "0,0", "inv_stddev": "1,1"},
                r"model_type: .*, got one with .* \(neg_mean, inv_stddev in its",
            ),
            ({"model_type": "t-one", "sample_rate": "8000"}, "sample_rate: expected sound at 16000 Hz, got 8000"),
            (
                {"model_type": "EncDecCTCModel", "normalize_type": "all_features"},
                "normalize_type: .*, got 'all_features'",
            ),
            (
                {"model_type": "EncDecRNNTBPEModel", "pred_hidden": "640"},
                "model: expected a whole recogniser .*, got half",
            ),
        ],
    )
    def test_features_of_another_kind_are_refused(
        self, tmp_path: Path, metadata: Mapping[str, str], message: str
    ) -> None:
        made = foreign.sherpa(tmp_path / "model.onnx", metadata)
        for features in ({}, {"kind": "kaldi"}):  # whatever is declared
            with pytest.raises(InvalidInput, match=message):
                declare(made, {"input": {"features": features}})

    def test_features_of_an_unknown_family_are_declared(self, tmp_path: Path) -> None:
        made = foreign.sherpa(tmp_path / "model.onnx", {"model_type": "next_ctc", "sample_rate": "16000"})
        with pytest.raises(
            InvalidInput, match=r"features.kind: .* for x \(\?x\?x80\), got none: .* 'next_ctc', which is"
        ):
            declare(made, {})
        assert declare(made, {"input": {"features": {"kind": "kaldi"}}}).input.features == foreign.SHERPA_FEATURES
        assert declare(foreign.sherpa(made, {}), {}).input.features == foreign.SHERPA_FEATURES  # no family at all

    def test_the_blank_of_omnilingual_is_its_first_class(self, tmp_path: Path) -> None:
        made = foreign.wav2vec2(tmp_path / "model.onnx", metadata={"model_type": "omnilingual-asr"})
        pieces = ["<s>", "<pad>", "a", "b", "c"]
        told = declare(made, {"vocabulary": pieces})
        assert (told.blank, told.input.normalise) == (0, True)
        told = declare(foreign.wav2vec2(made), {"vocabulary": pieces})
        assert (told.blank, told.input.normalise) == (1, False)

    def test_half_of_an_encoder_and_decoder_is_no_recogniser(self, tmp_path: Path) -> None:
        """Moonshine's encoder has the inputs of wav2vec 2.0, and an output may have any number of columns."""
        model = onnx.load(foreign.wav2vec2(tmp_path / "whole.onnx"))
        model.graph.output[0].name = model.graph.node[-1].output[0] = "last_hidden_state"
        onnx.save(model, tmp_path / "encoder.onnx")
        message = r"got half .*: input_values \(\?x\?\), last_hidden_state \(\?x\?x5\); Whisper comes as whisper:SIZE"
        with pytest.raises(InvalidInput, match=message):
            declare(tmp_path / "encoder.onnx", {"vocabulary": str(tmp_path / "vocab.json")})

    def test_the_encoder_of_a_transducer_is_no_recogniser(self, tmp_path: Path) -> None:
        """NeMo's ``encoder-model.onnx``, whose outputs are states, and then their number."""
        model = onnx.load(foreign.nemo(tmp_path / "model.onnx", metadata={}))
        model.graph.node.append(onnx.helper.make_node("Identity", ["length"], ["encoded_lengths"]))
        model.graph.output.append(onnx.helper.make_tensor_value_info("encoded_lengths", onnx.TensorProto.INT64, ["N"]))
        onnx.save(model, tmp_path / "model.onnx")
        with pytest.raises(InvalidInput, match=r"expected a whole recogniser .*, got half .*, encoded_lengths \(\?\)"):
            declare(tmp_path / "model.onnx", {"input": {"features": {"kind": "nemo"}}})

    def test_gigaams_own_export_is_known_by_its_inputs(self, tmp_path: Path) -> None:
        model = onnx.load(foreign.nemo(tmp_path / "model.onnx", metadata={}))
        model.graph.input[1].name = "feature_lengths"
        for node in model.graph.node:
            node.input[:] = ["feature_lengths" if name == "length" else name for name in node.input]
        onnx.save(model, tmp_path / "model.onnx")
        with pytest.raises(InvalidInput, match=r"model_type: .*, got GigaAM with features of its own"):
            declare(tmp_path / "model.onnx", {"input": {"features": {"kind": "nemo"}}})

    def test_a_wenet_exported_for_gpus_says_its_classes_beside_its_states(self, tmp_path: Path) -> None:
        made = foreign.wenet_gpu(tmp_path / "encoder.onnx")
        told = declare(made, {})
        assert (told.output, told.input.length) == ("ctc_log_probs", "speech_lengths")
        assert told.input.features == LogMel("kaldi", gain=32768.0, high_hz=0.0)
        with pytest.raises(InvalidInput, match=r"got half of one .*: speech .*, encoder_out"):
            declare(made, {"output": "encoder_out"})

    def test_the_ctc_half_of_wenets_own_export_is_no_recogniser(self, tmp_path: Path) -> None:
        """States look like features of many bands."""
        made = renamed(foreign.sherpa(tmp_path / "ctc.onnx", metadata={}), "hidden")
        with pytest.raises(InvalidInput, match=r"expected a whole recogniser .*, got half .*: hidden \("):
            declare(made, {"input": {"features": {"kind": "kaldi"}}})

    def test_an_alphabet_of_pyctcdecode_is_a_vocabulary(self, tmp_path: Path) -> None:
        """Its blank is nothing, and what it does not know is a mark of its own."""
        path = tmp_path / "alphabet.json"
        path.write_text('{"labels": ["", " ", "a", "b", "\u2047"], "is_bpe": false}', encoding="utf-8")
        foreign.wav2vec2(tmp_path / "model.onnx")
        told = declare(tmp_path / "model.onnx", {"vocabulary": str(path)})
        assert (told.blank, told.alphabet) == (0, (" ", "a", "b", ""))
        assert blank_of(["a", "-", ""]) == 2, "the hyphen is one"

    def test_the_label_encoder_of_speechbrain_is_a_vocabulary(self, tmp_path: Path) -> None:
        path = tmp_path / "label_encoder.txt"
        end = "================\n'starting_index' => 0\n'unk_label' => '<unk>'\n'blank_label' => '<blank>'\n"
        path.write_text(f"'<blank>' => 0\n'A' => 2\n\"'\" => 1\n' ' => 3\n'<unk>' => 4\n{end}", encoding="utf-8")
        assert vocabulary(str(path), tmp_path, 5) == ["<blank>", "'", "A", " ", "<unk>"]
        for broken in ("'A' = 0\n", "A => 0\n", "'A' => x\n", "{[]: 1} => 0\n"):
            path.write_text(broken + end, encoding="utf-8")
            with pytest.raises(InvalidInput, match=r"label_encoder\.txt: expected lines \"'piece' => number\", got"):
                vocabulary(str(path), tmp_path, 1)

    def test_a_hyphen_is_written_where_it_is_no_blank(self) -> None:
        assert written("-") == "-"

    def test_a_space_may_have_a_name(self) -> None:
        """ESPnet's characters."""
        assert [written(piece) for piece in ("<space>", "▁a", "|", "<blank>", "b")] == [" ", " a", " ", "", "b"]

    def test_vocabularies_are_read_from_three_kinds_of_file(self, tmp_path: Path) -> None:
        path = tmp_path / "tokens.txt"
        path.write_text("b 1\n<blk> 0\n▁a 2\n", encoding="utf-8")
        assert vocabulary(None, tmp_path, 3) == ["<blk>", "b", "▁a"]
        path.write_text("  0\na 1\n", encoding="utf-8")
        assert vocabulary(str(path), tmp_path, None) == [" ", "a"]  # a space has a number too
        path.write_text("a\nb\n", encoding="utf-8")
        assert vocabulary(str(path), tmp_path, 3) == ["a", "b", "<blk>"]
        path.write_text(" \na\n\n", encoding="utf-8")
        assert vocabulary(str(path), tmp_path, 3) == [" ", "a", "<blk>"]  # NeMo's of letters begin with it
        path.write_text(f"a 0\nb {'9' * 5000}\n", encoding="utf-8")
        assert vocabulary(str(path), tmp_path, 2)[0] == "a 0"  # no number that a piece could have
        path.write_text("a 0\nb 2\n", encoding="utf-8")
        with pytest.raises(InvalidInput, match="expected pieces numbered from 0 without a gap, got 2 pieces up to 2"):
            vocabulary(str(path), tmp_path, 2)
        with pytest.raises(NotFound, match="none: expected a file"):
            vocabulary(str(tmp_path / "none"), tmp_path, 2)

    @pytest.mark.parametrize(
        "model",
        [{"type": "BPE", "vocab": {"<unk>": 0, "▁a": 1}}, {"type": "Unigram", "vocab": [["<unk>", 0.0], ["▁a", -1.5]]}],
    )
    def test_a_tokenizer_of_hugging_face_is_a_vocabulary(self, tmp_path: Path, model: Mapping[str, Any]) -> None:
        added = [{"id": 0, "content": "<unk>", "special": True}, {"id": 2, "content": "<pad>", "special": True}]
        path = tmp_path / "tokenizer.json"
        path.write_text(json.dumps({"version": "1.0", "added_tokens": added, "model": model}), encoding="utf-8")
        assert vocabulary(str(path), tmp_path, 3) == ["<unk>", "▁a", "<pad>"]

    @pytest.mark.parametrize(("classes", "pieces"), [(2, 2), (3, 3), (None, 2)])
    def test_disambiguation_symbols_are_no_classes(self, tmp_path: Path, classes: int | None, pieces: int) -> None:
        """icefall's ``tokens.txt`` ends with them, for its lexicon; a network that has them is believed."""
        (tmp_path / "tokens.txt").write_text("<blk> 0\n▁a 1\n#0 2\n#1 3\n", encoding="utf-8")
        assert vocabulary(None, tmp_path, classes) == ["<blk>", "▁a", "#0", "#1"][:pieces]

    def test_a_byte_order_mark_is_no_part_of_a_vocabulary(self, tmp_path: Path) -> None:
        for name, text in (("tokens.txt", "<blk> 0\na 1\n"), ("vocab.json", '{"a": 1, "<blk>": 0}')):
            path = tmp_path / name
            path.write_text("\ufeff" + text, encoding="utf-8")
            assert vocabulary(str(path), tmp_path, 2) == ["<blk>", "a"]

    @pytest.mark.parametrize("text", ["{", "[]", '{"a": "x"}', '{"a": null}', '{"model": {}}', "[" * 100_000])
    def test_a_broken_vocabulary_is_one_clear_error(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "vocab.json"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(InvalidInput, match=r'vocab\.json: expected JSON {"piece": number}, got an error: '):
            vocabulary(str(path), tmp_path, 2)

    def test_pieces_that_are_bytes_are_refused(self) -> None:
        with pytest.raises(InvalidInput, match="expected pieces of text, got bytes such as <0xE4>"):
            Declaration(("<blk>", "<0xE4>"), 0, SoundInput("x", "waveform"), "y", 0.04)

    def test_classes_come_blank_first_whatever_their_scale(self) -> None:
        told = Declaration(("a", "b", "<blk>"), 2, SoundInput("x", "waveform"), "y", 0.04)
        logits = np.log(np.array([[[0.2, 0.3, 0.5]]])) + 7
        assert np.exp(log_probs(told, logits)).tolist()[0] == pytest.approx([0.5, 0.2, 0.3])
        assert np.exp(log_probs(told, np.array([[[-np.inf, 0.0, 0.0]]])))[0].tolist() == pytest.approx([0.5, 0, 0.5])
        with pytest.raises(InvalidInput, match="expected an output of 1 x frames x 3 classes"):
            log_probs(told, np.zeros((1, 4, 5)))
        with pytest.raises(InvalidInput, match="expected finite log-probabilities"):
            log_probs(told, np.full((1, 4, 3), np.nan))


class TestLogMel:
    """Against the libraries that the features are named after."""

    @settings(max_examples=15, deadline=None)
    @given(st.integers(0, 2**32 - 1), st.integers(400, 9000), st.sampled_from([(80, -400.0), (40, 0.0), (64, 7000.0)]))
    def test_kaldi_as_torchaudio_has_it(self, seed: int, samples: int, bands: tuple[int, float]) -> None:
        clip = 0.1 * np.random.default_rng(seed).standard_normal(samples).astype(np.float32)
        ours = LogMel(mels=bands[0], high_hz=bands[1]).of(clip)
        theirs = torchaudio.compliance.kaldi.fbank(
            torch.from_numpy(clip)[None], num_mel_bins=bands[0], high_freq=bands[1], dither=0.0, snip_edges=False
        ).numpy()
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() < 5e-3

    @settings(max_examples=15, deadline=None)
    @given(st.integers(0, 2**32 - 1), st.integers(2000, 9000))
    def test_w2v_bert_as_torchaudio_has_it(self, seed: int, samples: int) -> None:
        clip = 0.1 * np.random.default_rng(seed).standard_normal(samples).astype(np.float32)
        single = torchaudio.compliance.kaldi.fbank(
            torch.from_numpy(clip)[None] * 32768, num_mel_bins=80, dither=0.0, snip_edges=True
        )
        single = (single - single.mean(0)) / torch.sqrt(single.var(0) + 1e-7)
        theirs = single[: len(single) // 2 * 2].reshape(-1, 160).numpy()
        ours = foreign.W2V_BERT_FEATURES.of(clip)
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() < 5e-3

    @settings(max_examples=15, deadline=None)
    @given(st.integers(0, 2**32 - 1), st.integers(400, 9000))
    def test_nemo_as_torch_and_torchaudio_have_it(self, seed: int, samples: int) -> None:
        clip = 0.1 * np.random.default_rng(seed).standard_normal(samples).astype(np.float32)
        tensor = torch.from_numpy(clip).double()
        sharp = torch.cat([tensor[:1], tensor[1:] - 0.97 * tensor[:-1]])
        window = torch.hann_window(400, periodic=False, dtype=torch.float64)
        spectrum = torch.stft(sharp, 512, 160, 400, window, center=True, pad_mode="constant", return_complex=True)
        filters = torchaudio.functional.melscale_fbanks(257, 0.0, 8000.0, 80, SAMPLE_RATE, "slaney", "slaney")
        expected = torch.log(spectrum.abs().square().T @ filters.double() + 2**-24)[: max(1, samples // 160)]
        ours = LogMel("nemo", low_hz=0.0).of(clip)
        assert ours.shape == tuple(expected.shape)
        assert np.abs(ours - expected.numpy()).max() < 2e-3

    def test_each_band_of_a_clip_is_brought_to_mean_0_and_deviation_1(self) -> None:
        clip = 0.1 * np.random.default_rng(0).standard_normal(16000).astype(np.float32)
        values = LogMel("nemo", low_hz=0.0, normalise="per_feature").of(clip)
        assert np.abs(values.mean(axis=0)).max() < 1e-4
        assert values.std(axis=0, ddof=1) == pytest.approx(np.ones(80), abs=1e-3)

    def test_one_sample_is_one_frame(self) -> None:
        for kind, width in (("kaldi", 80), ("nemo", 80), ("w2v-bert", 160)):
            values = build(LogMel, {"kind": kind, "normalise": "per_feature"}).of(np.ones(1, np.float32))
            assert values.shape == (1, width)
            assert np.isfinite(values).all()
