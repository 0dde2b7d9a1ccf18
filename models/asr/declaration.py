"""What an imported recogniser is: how it wants its sound, and what its classes are.

Any network that gives CTC classes frame by frame will do (Graves et al. 2006). ``declare`` puts together what the file
says, what lies beside it (``tokens.txt``, as sherpa-onnx has it) and what the user says; the time between output frames
is measured, not believed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models.arrays import Floats
from models.asr.log_mel import LogMel
from models.asr.vocabulary import blank_of, vocabulary, written
from models.declaring import build, merged, require_heeded
from models.errors import InvalidInput
from models.media import SAMPLE_RATE, Waveform
from models.onnx_files import Graph, graph_of, open_session, run
from models.records import STRICT

SHORTEST = SAMPLE_RATE // 5  # samples: shorter clips are filled up with silence, which others would not hear
_PROBE_S = (4, 8)  # clips whose frames are counted
_HABITS: dict[str, dict[str, Any]] = {  # of the features that others train on
    "kaldi": {"high_hz": -400.0},
    "nemo": {"low_hz": 0.0, "high_hz": 0.0, "normalise": "per_feature"},
    "w2v-bert": {"gain": 32768.0, "normalise": "per_feature"},
}
_PAIRS = LogMel("w2v-bert").width  # no other features of Hugging Face's are as many
_KINDS_OF = {"normalise": ("waveform",), "layout": ("log-mel",), "features": ("log-mel",)}  # other input heeds none
# families of sherpa-onnx that hear features of their own, by a part of their name
_OWN_FEATURES = ("telespeech", "dolphin", "paraformer", "sense_voice", "medasr", "fire_red", "tdnn")
_MOMENTS = ("mean", "invstd", "neg_mean", "inv_stddev", "lfr_window_size")  # and others note here what to do outside
_HALVES = ("last_hidden_state", "encoder_hidden_states", "encoder_out", "hidden", "input_ids", "decoder_input_ids")
_CTC_OF_WENET = "ctc_log_probs"  # among the outputs of its encoder, as its export for GPUs has it
_ICEFALL = "x"  # what it calls features, which are Kaldi's
_HALF_LENGTHS = ("encoded_lengths", "encoded_len")  # beside the output of a transducer's encoder (NeMo, GigaAM)


@dataclass(frozen=True)
class SoundInput:
    """A network's sound: the waveform itself or log-mel features, and its length where the network asks for it.

    Where a network wants two axes of ``length``, it is a mask of the samples or frames that count.
    ``layout`` of features is (batch, frames, mels) or (batch, mels, frames). ``normalise`` brings a waveform to mean 0
    and deviation 1, as wav2vec2's large models want it.
    """

    name: str
    kind: Literal["waveform", "log-mel"]
    length: str | None = None
    layout: Literal["frames-mels", "mels-frames"] = "frames-mels"
    normalise: bool = False
    features: LogMel = field(default_factory=LogMel)

    __pydantic_config__ = STRICT

    def feeds(self, media: Waveform, graph: Graph) -> dict[str, NDArray[Any]]:
        """The network's inputs for one clip."""
        ports = {port.name: port for port in graph.inputs}
        if self.kind == "waveform":
            sound = media.astype(np.float32)
            if self.normalise:
                sound = (sound - sound.mean()) / np.sqrt(sound.var() + np.float32(1e-7))
            length = len(sound)
            values = sound[None]
        else:
            found = self.features.of(media)
            length = len(found)
            values = (found if self.layout == "frames-mels" else found.T)[None]
        feeds: dict[str, NDArray[Any]] = {self.name: np.ascontiguousarray(values, ports[self.name].dtype)}
        if self.length:
            port = ports[self.length]
            masked = len(port.shape) == 2  # a clip is alone: all of it counts
            feeds[self.length] = np.ones((1, length), port.dtype) if masked else np.array([length], port.dtype)
        return feeds


@dataclass(frozen=True)
class Declaration:
    """An imported recogniser.

    ``vocabulary`` are the pieces of text that its classes stand for, in order; "▁" and "|" are spaces, and
    ``blank`` is the class that is none. ``frame_s`` is the time between output frames. ``lower_case`` writes what a
    vocabulary of capitals says in small letters. ``embedding`` is an output (1, n) or (1, frames, n), if there is one.
    """

    vocabulary: tuple[str, ...]
    blank: int
    input: SoundInput
    output: str
    frame_s: float
    lower_case: bool = False
    embedding: str | None = None
    head: Literal["ctc"] = "ctc"

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        if not 0 <= self.blank < len(self.vocabulary):
            raise InvalidInput(f"blank: expected a class from 0 to {len(self.vocabulary) - 1}, got {self.blank}")
        coded = [piece for piece in self.vocabulary if re.fullmatch(r"<0x[0-9A-Fa-f]{2}>", piece)]
        if coded:
            raise InvalidInput(f"vocabulary: expected pieces of text, got bytes such as {coded[0]}")

    @property
    def order(self) -> tuple[int, ...]:
        """The classes, the blank first."""
        return (self.blank, *(i for i in range(len(self.vocabulary)) if i != self.blank))

    @property
    def alphabet(self) -> tuple[str, ...]:
        """What the classes but the blank write, in that order."""
        pieces = (self.vocabulary[i] for i in self.order[1:])
        return tuple(text.lower() if self.lower_case else text for text in map(written, pieces))


def declare(onnx: Path, given: Mapping[str, Any]) -> Declaration:
    """The declaration of a recogniser.

    Raises:
        NotFound: the vocabulary's file is not there.
        InvalidInput: something is missing, or contradicts the file: what was expected, what was found.
    """
    session = open_session(onnx)
    graph = graph_of(session)
    _require_known_features(graph)
    whole = merged(_told_by(graph, given), given)
    require_heeded(given.get("input", {}), _KINDS_OF, whole["input"]["kind"], "kind", "input.")
    _require_whole(graph, whole["output"])
    told = _with_habits(graph, whole)
    told["vocabulary"] = vocabulary(told.get("vocabulary"), onnx.parent, _classes(graph, told["output"]))
    if "blank" not in told:
        told["blank"] = blank_of(told["vocabulary"])
    if "lower_case" not in told:
        spoken = "".join(map(written, told["vocabulary"]))
        told["lower_case"] = spoken.upper() == spoken and spoken.lower() != spoken
    claims = {name: _number(name, told.pop(name)) for name in ("subsampling", "frame_s") if name in told}
    declaration = build(Declaration, {**told, "frame_s": 1.0})
    _check(graph, declaration)
    measured = replace(declaration, frame_s=_measured(session, declaration))
    for name, claimed in claims.items():
        claimed_s = claimed * 0.01 if name == "subsampling" else claimed
        if not abs(claimed_s / measured.frame_s - 1) <= 0.02:
            raise InvalidInput(f"{name}: expected {measured.frame_s:g} s from one output frame to the next, as "
                               f"measured, got {claimed_s:g} s")  # fmt: skip
    return measured


def log_probs(declaration: Declaration, output: NDArray[Any]) -> Floats:
    """Log-probabilities (frames, classes), the blank first, of an output (1, frames, classes) of any scale.

    Raises:
        InvalidInput: it has another shape, or holds NaN.
    """
    count = len(declaration.vocabulary)
    if output.ndim != 3 or output.shape[0] != 1 or output.shape[2] != count:
        raise InvalidInput(f"vocabulary: expected an output of 1 x frames x {count} classes, got {output.shape}")
    values = output[0].astype(np.float64)[:, declaration.order]
    if np.isnan(values).any() or not np.isfinite(values.max(axis=1, initial=-np.inf)).all():
        raise InvalidInput("speech: expected finite log-probabilities from the network, got NaN or infinity")
    values = np.maximum(values, -1e4)  # classes that some networks rule out
    values = values - values.max(axis=1, keepdims=True)
    return np.asarray(values - np.log(np.exp(values).sum(axis=1, keepdims=True)))


def _require_known_features(graph: Graph) -> None:
    """What sherpa-onnx notes of a model, and what GigaAM calls its inputs, must be what can be computed here.

    Raises:
        InvalidInput: it wants sound at another rate, or features that are neither Kaldi's nor NeMo's.
    """
    metadata = graph.metadata
    rate = metadata.get("sample_rate", str(SAMPLE_RATE))
    if rate.partition(".")[0] != str(SAMPLE_RATE):
        raise InvalidInput(f"sample_rate: expected sound at {SAMPLE_RATE} Hz, got {rate}, as its "
                           "metadata says")  # fmt: skip
    giga_am = metadata.get("is_giga_am", "0") != "0" or any(port.name == "feature_lengths" for port in graph.inputs)
    family = "GigaAM" if giga_am else metadata.get("model_type", "")
    noted = ", ".join(key for key in _MOMENTS if key in metadata)
    if family == "GigaAM" or noted or any(name in family for name in _OWN_FEATURES):
        told = f" ({noted} in its metadata)" if noted else ""
        raise InvalidInput(f"model_type: expected one of the waveform, or of log-mel features of Kaldi's or NeMo's, "
                           f"got {family or 'one'} with features of its own{told}")  # fmt: skip
    scaling = metadata.get("normalize_type", "")
    if scaling not in ("", "NA", "per_feature"):
        raise InvalidInput(f"normalize_type: expected per_feature or nothing in the metadata, got {scaling!r}")


def _require_whole(graph: Graph, output: str) -> None:
    """A recogniser is one file: half of another kind may look like one.

    Raises:
        InvalidInput: it is the encoder or the decoder of one that writes word after word.
    """
    halves = [name for name in (*(port.name for port in graph.inputs), output) if name in _HALVES]
    halves += [port.name for port in graph.outputs if port.name in _HALF_LENGTHS]
    if halves or "pred_hidden" in graph.metadata:
        ports = ", ".join(map(str, (*graph.inputs, *graph.outputs)))
        raise InvalidInput(f"model: expected a whole recogniser with CTC classes, got half of one that writes word by "
                           f"word: {ports}; Whisper comes as whisper:SIZE or a folder")  # fmt: skip


def _told_by(graph: Graph, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the file itself says: its ports, and the metadata of NeMo's and sherpa-onnx's exports.

    Raises:
        InvalidInput: its input is no sound.
    """
    declared, metadata = given.get("input"), graph.metadata
    named = declared.get("name") if isinstance(declared, Mapping) else None
    sound = next((port for port in graph.inputs if port.name == named), graph.inputs[0])
    outputs = [port.name for port in graph.outputs]
    told: dict[str, Any] = {"output": _CTC_OF_WENET if _CTC_OF_WENET in outputs else outputs[0]}
    found: dict[str, Any] = {"name": sound.name}
    if others := [port.name for port in graph.inputs if port is not sound]:
        found["length"] = others[0]
    if len(sound.shape) not in (2, 3):
        raise InvalidInput(f"input: expected a waveform, 1 x samples, or its features, 1 x frames x mels, got {sound}")
    if len(sound.shape) == 2:
        found["kind"] = "waveform"
        if "omnilingual" in metadata.get("model_type", ""):  # its tokens have a <pad>, too
            told["blank"], found["normalise"] = 0, True
    else:
        found["kind"] = "log-mel"
        mels_first = sound.shape[1] is not None and sound.shape[2] is None
        found["layout"] = "mels-frames" if mels_first else "frames-mels"
        mels = sound.shape[1] if mels_first else sound.shape[2]
        untold = mels_first or "model_type" in metadata or sound.name != _ICEFALL  # others have features of any kind
        known = _features(graph) or ({} if untold else {"kind": "kaldi"})
        if sound.name == "input_features" and mels == _PAIRS:
            found["features"] = {"kind": "w2v-bert"}
        else:
            found["features"] = {**known, **({"mels": mels} if mels else {})}
    if re.fullmatch("[0-9]{1,9}", metadata.get("subsampling_factor", "")):
        told["subsampling"] = int(metadata["subsampling_factor"])
    return {**told, "input": found}


def _features(graph: Graph) -> dict[str, Any]:
    """The features that each family is trained on; nothing where the file tells of none."""
    metadata = graph.metadata
    family = metadata.get("model_type", "")
    if family.startswith("EncDec") or metadata.get("model_author") == "NeMo":
        normalise = "per_feature" if metadata.get("normalize_type") == "per_feature" else "none"
        return {"kind": "nemo", "normalise": normalise}
    if "wenet" in family or any(port.name == _CTC_OF_WENET for port in graph.outputs):
        return {"kind": "kaldi", "gain": 32768.0, "high_hz": 0.0}
    return {"kind": "kaldi"} if "zipformer" in family else {}


def _number(name: str, value: object) -> float:
    if not isinstance(value, (int, float)):
        raise InvalidInput(f"{name}: expected a number, got {value!r}")
    return float(value)


def _with_habits(graph: Graph, told: dict[str, Any]) -> dict[str, Any]:
    """The same, completed by what is usual for the features that it names.

    Raises:
        InvalidInput: it names none.
    """
    sound = told["input"]
    features = sound.get("features") if sound.get("kind") == "log-mel" else None
    if not isinstance(features, Mapping):
        return told
    if "kind" not in features:
        family = graph.metadata.get("model_type")
        told_of = f"tells of {family!r}, which is not known" if family else "does not tell"
        raise InvalidInput(f"input.features.kind: expected nemo or kaldi to be declared for {graph.inputs[0]}, got "
                           f"none: the file {told_of}")  # fmt: skip
    return merged({"input": {"features": _HABITS.get(str(features["kind"]), {})}}, told)


def _classes(graph: Graph, output: str) -> int | None:
    shape = graph.output(output).shape
    if len(shape) != 3:
        raise InvalidInput(f"output: expected 1 x frames x classes, got {graph.output(output)}")
    return shape[2]


def _check(graph: Graph, declaration: Declaration) -> None:
    """Every input must be known, and have the shape that is declared."""
    wants = declaration.input
    known = [wants.name, *([wants.length] if wants.length else [])]
    if {port.name for port in graph.inputs} != set(known):
        ports = ", ".join(map(str, graph.inputs))
        raise InvalidInput(f"input: expected sound and perhaps its length for {ports}, got {known}")
    port = next(port for port in graph.inputs if port.name == wants.name)
    rank = 2 if wants.kind == "waveform" else 3
    if len(port.shape) != rank:
        raise InvalidInput(f"input.kind: expected what {port} takes, got {wants.kind!r}, with {rank} axes")
    if wants.kind == "log-mel":
        width = port.shape[2 if wants.layout == "frames-mels" else 1]
        if width not in (None, wants.features.width):
            raise InvalidInput(f"input.features.mels: expected {width}, as {port} says with layout {wants.layout}, "
                               f"got {wants.features.width}")  # fmt: skip
    if declaration.embedding is not None:
        graph.output(declaration.embedding)


def _measured(session: onnxruntime.InferenceSession, declaration: Declaration) -> float:
    """Seconds from one output frame to the next, from how many more a longer clip has."""
    graph, rng = graph_of(session), np.random.default_rng(0)
    counts = []
    for seconds in _PROBE_S:
        clip = (0.05 * rng.standard_normal(seconds * SAMPLE_RATE)).astype(np.float32)
        output = run(session, declaration.input.feeds(clip, graph))[declaration.output]
        counts.append(len(log_probs(declaration, output)))
    if counts[1] <= counts[0]:
        raise InvalidInput(f"output: expected more frames for a clip of {_PROBE_S[1]} s than for one of "
                           f"{_PROBE_S[0]} s, got {counts[1]} and {counts[0]}")  # fmt: skip
    hundredths = 100 * (_PROBE_S[1] - _PROBE_S[0]) / (counts[1] - counts[0])
    return round(hundredths * 2) / 200 if abs(hundredths * 2 - round(hundredths * 2)) < 0.05 else hundredths / 100
