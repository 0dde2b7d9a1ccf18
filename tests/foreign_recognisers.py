"""Recognisers as other projects export them: true names, shapes and metadata, on networks that hear the tones a, b, c.

Each writes the pieces "▁a", "▁b" and "▁c" where it hears the pitches of ``tests.tones``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto

from models.asr.log_mel import LogMel
from models.media import SAMPLE_RATE
from tests.onnx_graphs import OnnxGraph
from tests.tones import PITCHES

PIECES = ("▁a", "▁b", "▁c")
SHERPA_FEATURES = LogMel(high_hz=-400.0)
W2V_BERT_FEATURES = LogMel("w2v-bert", gain=32768.0, normalise="per_feature")
NEMO_FEATURES = LogMel("nemo", low_hz=0.0, normalise="per_feature")


def loudest_band(features: LogMel, hertz: float) -> int:
    """Where a pitch shows."""
    time_s = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    tone = np.sin(2 * np.pi * hertz * time_s).astype(np.float32)
    return int(replace(features, normalise="none").of(tone).mean(axis=0).argmax())


def sherpa(path: Path, metadata: Mapping[str, str] | None = None) -> Path:
    """A Zipformer CTC: ``x`` (batch, frames, 80), ``x_lens`` -> ``log_probs``, ``log_probs_len``; ``tokens.txt``."""
    weights, bias = _listener(SHERPA_FEATURES, ("<blk>", *PIECES), above=-3.0)
    graph = _Graph({"x": (TensorProto.FLOAT, ["N", "T", 80]), "x_lens": (TensorProto.INT64, ["N"])})
    graph.node("Transpose", ["x"], "bands", perm=[0, 2, 1])
    graph.pooled("bands", 4, weights, bias, "log_probs")
    graph.node("Div", ["x_lens", graph.constant("four", np.array([4]))], "log_probs_len")
    beside(path, [f"{piece} {number}" for number, piece in enumerate(("<blk>", *PIECES))])
    notes = {"model_type": "zipformer2_ctc", "version": "1", "model_author": "k2-fsa"}
    outputs: dict[str, list[Any]] = {"log_probs": ["N", "F", 4], "log_probs_len": ["N"]}
    return graph.save(path, outputs, notes if metadata is None else metadata, whole=["log_probs_len"])


def wenet_gpu(path: Path) -> Path:
    """WeNet's encoder for GPUs: ``speech``, ``speech_lengths`` -> its states, their number, and ``ctc_log_probs``."""
    weights, bias = _listener(LogMel("kaldi", gain=32768.0), PIECES, above=20.0)
    graph = _Graph({"speech": (TensorProto.FLOAT, ["B", "T", 80]), "speech_lengths": (TensorProto.INT32, ["B"])})
    graph.node("Transpose", ["speech"], "bands", perm=[0, 2, 1])
    blank, none = np.zeros((1, 80, 1), np.float32), np.zeros(1, np.float32)
    graph.pooled("bands", 4, np.concatenate([blank, weights]), np.concatenate([none, bias]), "ctc_log_probs")
    graph.node("Identity", ["ctc_log_probs"], "encoder_out")
    graph.node("Identity", ["speech_lengths"], "speech_frames")
    graph.node("Cast", ["speech_frames"], "encoder_out_lens", to=TensorProto.INT64)
    beside(path, [f"{piece} {number}" for number, piece in enumerate(("<blank>", *PIECES))])
    outputs: dict[str, list[Any]] = {"encoder_out": ["B", "F", 4], "encoder_out_lens": ["B"]}
    return graph.save(path, {**outputs, "ctc_log_probs": ["B", "F", 4]}, whole=["encoder_out_lens"])


def nemo(path: Path, subsampling: int = 8, metadata: Mapping[str, str] | None = None) -> Path:
    """A FastConformer CTC: ``audio_signal`` (batch, 80, frames), ``length`` -> ``logprobs``, the blank last.

    As NeMo's own do, it gives a frame for the last few of the features too, however few they are.
    NeMo's own export writes no ``metadata``; sherpa-onnx's script adds what it needs.
    """
    weights, bias = _listener(NEMO_FEATURES, (*PIECES, "<blk>"), above=1.0)
    graph = _Graph({"audio_signal": (TensorProto.FLOAT, ["N", 80, "T"]), "length": (TensorProto.INT64, ["N"])})
    graph.pooled("audio_signal", 8, weights, bias, "classes")
    count = graph.node("Cast", ["length"], "count", to=TensorProto.FLOAT)
    graph.node("Mul", [count, graph.constant("nothing", np.zeros(1, np.float32))], "zero")
    graph.node("Add", ["classes", "zero"], "logprobs")
    beside(path, [f"{piece} {number}" for number, piece in enumerate((*PIECES, "<blk>"))])
    notes = {"vocab_size": "3", "normalize_type": "per_feature", "subsampling_factor": str(subsampling),
             "model_type": "EncDecHybridRNNTCTCBPEModel", "version": "1", "model_author": "NeMo"}  # fmt: skip
    return graph.save(path, {"logprobs": ["N", "F", 4]}, notes if metadata is None else metadata)


def parakeet(path: Path) -> Path:
    """Hugging Face's: NeMo's features as ``input_features`` (batch, frames, 80), a mask of the frames that count."""
    return _masked(path, NEMO_FEATURES, 8)


def w2v_bert(path: Path) -> Path:
    """Hugging Face's: ``input_features`` (batch, frames, 160), two of Kaldi's frames side by side, and their mask."""
    return _masked(path, W2V_BERT_FEATURES, 1)


def _masked(path: Path, features: LogMel, factor: int) -> Path:
    weights, bias = _listener(features, (*PIECES, "<pad>"), above=1.0)
    sound, mask = (TensorProto.FLOAT, ["N", "T", features.width]), (TensorProto.BOOL, ["N", "T"])
    graph = _Graph({"input_features": sound, "attention_mask": mask})
    graph.node("Transpose", ["input_features"], "bands", perm=[0, 2, 1])
    graph.node("Cast", ["attention_mask"], "counts", to=TensorProto.FLOAT)
    graph.node("Unsqueeze", ["counts", graph.constant("one", np.array([1]))], "row")
    graph.node("Mul", ["bands", "row"], "heard")
    graph.pooled("heard", factor, weights, bias, "logits")
    beside(path, [f"{piece} {number}" for number, piece in enumerate((*PIECES, "<pad>"))])
    return graph.save(path, {"logits": ["N", "F", 4]}, {})


def wav2vec2(path: Path, masked: bool = False, metadata: Mapping[str, str] | None = None) -> Path:
    """Hugging Face's: ``input_values`` (batch, samples) -> ``logits``; ``vocab.json`` in capitals.

    Large models also want an ``attention_mask`` (batch, samples) of the samples that count.
    """
    time_s = np.arange(400) / SAMPLE_RATE
    kernels = [wave(2 * np.pi * hertz * time_s) for hertz in PITCHES.values() for wave in (np.cos, np.sin)]
    mask = {"attention_mask": (TensorProto.INT64, ["batch", "samples"])} if masked else {}
    graph = _Graph({"input_values": (TensorProto.FLOAT, ["batch", "samples"]), **mask})
    sound = "input_values"
    if masked:
        graph.node("Cast", ["attention_mask"], "counts", to=TensorProto.FLOAT)
        sound = graph.node("Mul", ["input_values", "counts"], "heard")
    graph.node("Unsqueeze", [sound, graph.constant("one", np.array([1]))], "sound")
    graph.constant("kernels", np.array(kernels, np.float32)[:, None])
    graph.node("Conv", ["sound", "kernels"], "waves", strides=[320])
    graph.node("Mul", ["waves", "waves"], "powers")
    pairs = np.zeros((3, 6, 1), np.float32)
    pairs[np.arange(6) // 2, np.arange(6)] = 1.0
    graph.node("Conv", ["powers", graph.constant("pairs", pairs)], "power")
    graph.node("Log", [graph.node("Add", ["power", graph.constant("least", np.float32(1e-9))], "some")], "loudness")
    spread = np.zeros((5, 3, 1), np.float32)  # <pad>, |, A, B, C
    spread[2:] = 3 * np.eye(3)[..., None]
    bias = np.array([0.0, -30.0, *[-3 * 5.5] * 3], np.float32)
    graph.node("Conv", ["loudness", graph.constant("spread", spread), graph.constant("bias", bias)], "columns")
    graph.node("Transpose", ["columns"], "logits", perm=[0, 2, 1])
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / "vocab.json").write_text('{"A": 2, "B": 3, "C": 4, "<pad>": 0, "|": 1}', encoding="utf-8")
    return graph.save(path, {"logits": ["batch", "frames", 5]}, metadata or {})


def beside(path: Path, lines: Sequence[str]) -> None:
    """Writes ``tokens.txt`` beside the model."""
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / "tokens.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _listener(features: LogMel, classes: Sequence[str], above: float) -> tuple[Any, Any]:
    """A kernel (classes, bands, 1) and bias: a piece is likelier than the blank where its band is louder than that."""
    weights, bias = np.zeros((len(classes), features.width, 1), np.float32), np.zeros(len(classes), np.float32)
    for letter, hertz in PITCHES.items():
        row = classes.index(f"▁{letter}")
        weights[row, loudest_band(features, hertz)] = 4.0
        bias[row] = -4.0 * above
    return weights, bias


class _Graph(OnnxGraph):
    """An ONNX graph in the making, of a recogniser."""

    def pooled(self, bands: str, factor: int, weights: Any, bias: Any, output: str) -> None:
        """(batch, bands, frames) -> log-probabilities (batch, frames / factor rounded up, classes)."""
        self.node("AveragePool", [bands], "slow", kernel_shape=[factor], strides=[factor], ceil_mode=1)
        self.node("Conv", ["slow", self.constant("weights", weights), self.constant("bias", bias)], "columns")
        self.node("Transpose", ["columns"], "rows", perm=[0, 2, 1])
        self.node("LogSoftmax", ["rows"], output, axis=2)
